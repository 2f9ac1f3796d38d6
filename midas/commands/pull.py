"""``ff-pull``: the spots of the grains, measured on the frames."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from midas.commands.program import ARCHIVE, N_CPUS, THREADS, Program

if TYPE_CHECKING:
    from midas.runtime.result import StageResult
    from midas.stages.grains.pull import PullTables


def run(values: argparse.Namespace) -> StageResult[PullTables]:
    """Measure the spots of the grains of the current folder."""
    from midas.archive import Archive
    from midas.calibration.grains import sigma
    from midas.commands.arguments import threads_of
    from midas.commands.holding import hold
    from midas.formats.layer import Layer
    from midas.stages.grains import pull

    path = Path(values.archive)
    with Archive(path) as archive:
        parameters = archive.parameters
    layer = Layer(Path(), path, data_file=parameters.for_stage("commands")["dataFN"])
    threads = threads_of(values)
    hold(layer.folder, values)
    sigma.check(layer, parameters)
    result = pull.run(layer, parameters, threads=threads)
    sigma.run(layer, parameters, threads=threads)
    return result


PROGRAMS = (
    Program(
        names=("ff-pull",),
        does=(
            "Measure the spots of the grains on the frames: what lies in a box around every predicted reflection is "
            "summed up, whether the peak search found a peak there or not. The grains are refined on these spots."
        ),
        uses=(
            "Works in the current folder, after ff-grains: reads Grains.csv, SpotMatrix.csv, "
            "InputAllExtraInfoFittingAll.csv, hkls.csv and paramstest.txt. Writes SpotsMeasured.csv and, with the "
            "refined grains, Grains.csv and GrainsSigma.csv. For mosaic grains, saturated spots and frames that lost "
            "some; clean sharp spots are better as the peak search fits them. PullBox says how large the boxes are."
        ),
        examples=(
            ("ff-pull scan.MIDAS.zip", "of the current folder"),
            ("ff-pull scan.MIDAS.zip 8", "with eight threads"),
        ),
        arguments=(ARCHIVE, N_CPUS),
        options=(THREADS,),
        run=run,
    ),
)
