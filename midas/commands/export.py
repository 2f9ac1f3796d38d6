"""``ff-export``: grains for other programs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from midas.commands.program import Argument, Program
from midas.results.exchange.options import ExportOptions
from midas.runtime.options import from_words, options_of

if TYPE_CHECKING:
    from midas.results.exchange.export import Exports
    from midas.runtime.result import StageResult


def run(values: argparse.Namespace) -> StageResult[Exports]:
    """Export a layer."""
    from midas.results.exchange.export import export

    return export(Path(values.layer), from_words(ExportOptions, vars(values)))


PROGRAMS = (
    Program(
        names=("ff-export",),
        does=(
            "Write the grains of a layer for other programs: ParaView, ImageD11, HEXRD, Neper, DAMASK, DREAM.3D-NX, "
            "readers of .ctf and .ang, NeXus. Axes, units, crystal frame and kind of rotation become those that the "
            "program expects."
        ),
        uses=(
            "Reads a layer folder, a consolidated HDF5 file or any grain list: Grains.csv, a list of true grains, a "
            "table of ff-stitch, grains.out of HEXRD, .map or .ubi of ImageD11. Writes into the folder exports of the "
            "layer, or into -o, all files or none; docs/exports.md says how to open each and which axes it has."
        ),
        examples=(
            ("ff-export LayerNr_1", "every format"),
            ("ff-export LayerNr_1 -format paraview -o grains.vtp", "one file"),
            ("ff-export LayerNr_1 -format damask neper -voxel 4 -box -300 300 -300 300 -100 100 -o model", "a model"),
            ("ff-export grains.out -format imaged11", "from HEXRD to ImageD11"),
        ),
        arguments=(Argument("layer", "layer folder, consolidated HDF5 file or grain list"),),
        options=options_of(ExportOptions),
        run=run,
        exact=True,
    ),
)
