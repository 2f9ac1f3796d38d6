"""``ff-bin``, ``SaveBinData``: the spot tables in binary form."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from midas.commands.program import THREADS, Argument, Program

if TYPE_CHECKING:
    from midas.runtime.result import StageResult
    from midas.stages.binning import BinaryTables


def run(values: argparse.Namespace) -> StageResult[BinaryTables]:
    """Write the binary tables of a layer folder."""
    from midas.commands.arguments import threads_of
    from midas.commands.holding import hold
    from midas.formats.layer import Layer
    from midas.parameters import Parameters
    from midas.stages import binning

    layer = Layer(Path(values.folder or "."))
    parameters, threads = Parameters.read(layer.paramstest, "paramstest"), threads_of(values)
    hold(layer.folder, values)
    return binning.run(layer, parameters, threads=threads)


PROGRAMS = (
    Program(
        names=("ff-bin", "SaveBinData"),
        does="Write the spot tables in the binary form that indexing and refinement read, and the bins that the legacy "
        "indexer reads.",
        uses=(
            "Reads InputAll.csv, InputAllExtraInfoFittingAll.csv and paramstest.txt (ff-setup). Writes Spots.bin and "
            "ExtraInfo.bin, and Data.bin and nData.bin unless WriteLegacyBins is 0; ff-midas writes these two only for "
            "WriteLegacyBins 1. ff-index is next."
        ),
        examples=(("ff-bin", "in the current folder"), ("ff-bin LayerNr_1", "in LayerNr_1")),
        arguments=(Argument("folder", "layer folder; by default the current one", str, False),),
        options=(THREADS,),
        run=run,
    ),
)
