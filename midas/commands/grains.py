"""``ff-grains``, ``ProcessGrainsZarr``, ``ProcessGrains``: the seeds to grains."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from midas.commands.program import ALLOW_PARTIAL, THREADS, Argument, Program

if TYPE_CHECKING:
    from midas.runtime.result import StageResult
    from midas.stages.grains import GrainTables


def run(values: argparse.Namespace) -> StageResult[GrainTables]:
    """The grains of the current folder, parameters from an archive or a parameter file."""
    from midas.archive import Archive
    from midas.calibration.grains import sigma
    from midas.commands.arguments import is_archive, threads_of
    from midas.commands.holding import hold
    from midas.diagnosis.programs import explained
    from midas.formats.layer import Layer
    from midas.stages import grains

    if not is_archive(values.archive):
        return _of_parameter_file(values.archive, values)
    path = Path(values.archive)
    with Archive(path) as archive:
        parameters = archive.parameters
    layer = Layer(Path(), path, data_file=parameters.for_stage("commands")["dataFN"])
    threads = threads_of(values)
    hold(layer.folder, values)
    sigma.check(layer, parameters, track=values.TrackGrains == 1)
    with explained(layer, parameters, threads):
        result = grains.run(
            layer, parameters, threads=threads, track=values.TrackGrains == 1, allow_partial=values.allowPartial == 1
        )
    if parameters.for_stage("pull")["MeasureSpots"]:
        from midas.stages.grains import pull

        pull.run(layer, parameters, threads=threads)
    sigma.run(layer, parameters, threads=threads, track=values.TrackGrains == 1)
    return result


def run_with_parameter_file(values: argparse.Namespace) -> StageResult[GrainTables]:
    """The grains of the current folder, parameters from a text file."""
    return _of_parameter_file(values.paramfile, values)


def _of_parameter_file(path: str, values: argparse.Namespace) -> StageResult[GrainTables]:
    from midas.calibration.grains import sigma
    from midas.commands.arguments import folder_of, threads_of
    from midas.commands.holding import hold
    from midas.formats.layer import Layer
    from midas.parameters import Parameters
    from midas.stages import grains

    layer, parameters, threads = Layer(folder_of(path)), Parameters.read(path, "paramstest"), threads_of(values)
    hold(layer.folder, values)
    sigma.check(layer, parameters)
    result = grains.run(layer, parameters, threads=threads, allow_partial=values.allowPartial == 1)
    sigma.run(layer, parameters, threads=threads)
    return result


_DOES = (
    "Collect the refined seeds that belong to the same crystal into grains, and give each grain its orientation, "
    "position, cell and strain."
)
_USES = (
    "Works in the current folder: reads the files of ff-refine, InputAllExtraInfoFittingAll.csv and IDsHash.csv. "
    "Writes Grains.csv, the grain map, SpotMatrix.csv, the spots of every grain, GrainIDsKey.csv, and GrainsSigma.csv: "
    "how well the numbers of every grain are known. MinNrSpots says how many seeds a grain must have been found from."
)

PROGRAMS = (
    Program(
        names=("ff-grains", "ProcessGrainsZarr"),
        does=_DOES,
        uses=_USES,
        examples=(
            ("ff-grains scan.MIDAS.zip", "of the current folder"),
            ("ff-grains scan.MIDAS.zip 1", "a guided run: every seed is a grain of its own"),
        ),
        arguments=(
            Argument("archive", "the scan, a .MIDAS.zip, or a parameter file"),
            Argument("TrackGrains", "1: every seed is a grain of its own", int, False),
        ),
        options=(THREADS, ALLOW_PARTIAL),
        run=run,
    ),
    Program(
        names=("ProcessGrains",),
        has_short_name=False,
        does=_DOES,
        uses=_USES,
        examples=(("ProcessGrains paramstest.txt", "of the current folder"),),
        arguments=(Argument("paramfile", "parameter file"),),
        options=(ALLOW_PARTIAL,),
        run=run_with_parameter_file,
    ),
)
