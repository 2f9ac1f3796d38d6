"""``ff-radius``, ``CalcRadiusAllZarr``: the ring of every spot, and the size of the grain behind it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from midas.commands.program import ARCHIVE, RESULT_FOLDER, Program

if TYPE_CHECKING:
    from midas.formats.table import Table
    from midas.runtime.result import StageResult


def run(values: argparse.Namespace) -> StageResult[Table]:
    """Rings and grain sizes of a layer's spots."""
    from midas.commands.arguments import layer_of_archive
    from midas.commands.holding import hold
    from midas.stages import radius

    layer, parameters = layer_of_archive(values)
    hold(layer.folder, values)
    return radius.run(layer, parameters, threads=1)


PROGRAMS = (
    Program(
        names=("ff-radius", "CalcRadiusAllZarr"),
        does=(
            "Give every spot the ring that it lies on, and estimate the size of its grain from its share of the "
            "intensity of that ring."
        ),
        uses=(
            "Reads Result_*.csv (ff-merge) and hkls.csv. Writes Radius_StartNr_1_EndNr_<frames>.csv; spots on no ring "
            "are left out. Vsample, or Rsample and Hbeam, give the illuminated volume; ff-setup is next."
        ),
        examples=(("ff-radius scan.MIDAS.zip", "in the folder that the archive names"),),
        arguments=(ARCHIVE, RESULT_FOLDER),
        run=run,
    ),
)
