"""``ff-setup``, ``FitSetupZarr``: spots in the laboratory, and the seeds."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from midas.commands.program import ARCHIVE, RESULT_FOLDER, THREADS, Program

if TYPE_CHECKING:
    from midas.formats.spots import SpotTables
    from midas.runtime.result import StageResult


def run(values: argparse.Namespace) -> StageResult[SpotTables]:
    """Set up the indexing of a layer."""
    from midas.commands.arguments import layer_of_archive, threads_of
    from midas.commands.holding import hold
    from midas.diagnosis.programs import explained
    from midas.stages import fit_setup

    (layer, parameters), threads = layer_of_archive(values), threads_of(values)
    hold(layer.folder, values)
    with explained(layer, parameters, threads):
        return fit_setup.run(layer, parameters, threads=threads)


PROGRAMS = (
    Program(
        names=("ff-setup", "FitSetupZarr"),
        does=(
            "Transform the spots from pixels to the laboratory: tilts, distortion, read-out time and wedge are "
            "corrected, spots outside the region of interest rejected, and the seeds of the indexing chosen. DoFit 1 "
            "refines distance, beam centre and tilts from the rings first."
        ),
        uses=(
            "Reads Radius_*.csv (ff-radius) and hkls.csv. Writes InputAll.csv, InputAllExtraInfoFittingAll.csv, "
            "IDRings.csv, IDsHash.csv, SpotsToIndex.csv and paramstest.txt, from which the later programs work; "
            "ff-bin is next."
        ),
        examples=(("ff-setup scan.MIDAS.zip", "in the folder that the archive names"),),
        arguments=(ARCHIVE, RESULT_FOLDER),
        options=(THREADS,),
        run=run,
    ),
)
