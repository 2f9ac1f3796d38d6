"""``ff-merge``, ``MergeOverlappingPeaksAllZarr``: peaks of adjacent frames to spots."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from midas.commands.program import ARCHIVE, RESULT_FOLDER, THREADS, Program

if TYPE_CHECKING:
    from midas.formats.table import Table
    from midas.runtime.result import StageResult


def run(values: argparse.Namespace) -> StageResult[tuple[Table, Table]]:
    """Merge the peaks of a layer."""
    from midas.commands.arguments import layer_of_archive, threads_of
    from midas.commands.holding import hold
    from midas.stages import merge

    layer, parameters = layer_of_archive(values)
    hold(layer.folder, values)
    return merge.run(layer, parameters, threads=threads_of(values))


PROGRAMS = (
    Program(
        names=("ff-merge", "MergeOverlappingPeaksAllZarr"),
        does=(
            "Merge the peaks that a reflection leaves in adjacent frames into one spot, with its position, omega and "
            "intensity summed over the frames."
        ),
        uses=(
            "Reads the peak tables in Temp/ (ff-peaks). Writes Result_StartNr_1_EndNr_<frames>.csv, the spots, and "
            "MergeMap.csv, which peak is in which spot; ff-radius is next. OverlapLength says how near is near."
        ),
        examples=(
            ("ff-merge scan.MIDAS.zip", "in the folder that the archive names"),
            ("ff-merge scan.MIDAS.zip LayerNr_1 --threads 4", "in LayerNr_1, with four threads"),
        ),
        arguments=(ARCHIVE, RESULT_FOLDER),
        options=(THREADS,),
        run=run,
    ),
)
