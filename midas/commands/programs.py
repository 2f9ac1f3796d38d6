"""What each command does with its arguments: find the layer, read the parameters, call the stage."""

from __future__ import annotations

import argparse
import zipfile
from pathlib import Path

from midas.archive import Archive
from midas.formats.layer import Layer, StageResult
from midas.parameters import Parameters
from midas.runtime.errors import ArchiveError, ParameterError, UsageError, exiting_with
from midas.runtime.files import make_folder
from midas.runtime.parallel import SERIAL, Communicator, communicator, thread_count


def _of_archive(values: argparse.Namespace, *, create: bool = False) -> tuple[Layer, Parameters]:
    """Layer and parameters of a command whose first argument is an archive; the first stage may create the folder."""
    path = Path(values.archive)
    with Archive(path) as archive:
        parameters = archive.parameters
    given = getattr(values, "folder", None) or getattr(values, "result_folder", None)
    folder = given or parameters.get("ResultFolder")
    if not folder:
        raise ParameterError("is missing; give the folder as an argument", file=path, key="ResultFolder")
    if create:
        make_folder(folder)
    elif not Path(folder).is_dir():
        raise ParameterError("is not a folder", file=path, key="ResultFolder", value=folder)
    return Layer(Path(folder), path, folder), parameters


def _of_paramstest(path: str) -> tuple[Layer, Parameters]:
    """Layer and parameters of a command that works in the current folder with a paramstest.txt."""
    parameters = Parameters.read(path, "paramstest")
    output = Path(parameters["OutputFolder"])
    results = parameters.get("ResultFolder")
    return Layer(Path(), output_folder=output, results_folder=Path(results) if results else None), parameters


def _members(values: argparse.Namespace) -> Communicator:
    """Legacy blocks when they are given, else the MPI ranks."""
    if values.blockNr is None:
        return communicator()
    if values.nBlocks is None:
        raise UsageError("blockNr needs nBlocks", key="nBlocks")
    return Communicator(values.blockNr, values.nBlocks)


def _threads(values: argparse.Namespace) -> int:
    for name in ("nCPUs", "threads"):
        if getattr(values, name, None) is not None:
            return thread_count(getattr(values, name))
    return thread_count(None)


def hkls(values: argparse.Namespace) -> StageResult:
    from midas.stages import hkls as stage

    if not zipfile.is_zipfile(values.archive) and Path(values.archive).suffix != ".zip":
        return stage.run(Layer(Path(values.result_folder or ".")), Parameters.read(values.archive))
    layer, parameters = _of_archive(values, create=True)
    return stage.run(layer, parameters)


def hkls_of_parameter_file(values: argparse.Namespace) -> StageResult:
    from midas.stages import hkls as stage

    return stage.run(Layer(Path()), Parameters.read(values.paramfile))


def peaks(values: argparse.Namespace) -> StageResult:
    from midas.stages import peaks as stage

    comm, threads = _members(values), _threads(values)
    with exiting_with(stage.EXIT_NO_ARCHIVE, ArchiveError):
        layer, parameters = _of_archive(values)
    return stage.run(layer, parameters, threads=threads, comm=comm, fit=values.fitPeaks)


def merge(values: argparse.Namespace) -> StageResult:
    from midas.stages import merge as stage

    layer, parameters = _of_archive(values)
    return stage.run(layer, parameters, threads=_threads(values), comm=SERIAL)


def radius(values: argparse.Namespace) -> StageResult:
    from midas.stages import radius as stage

    layer, parameters = _of_archive(values)
    return stage.run(layer, parameters, threads=1, comm=SERIAL)


def setup(values: argparse.Namespace) -> StageResult:
    from midas.stages import fit_setup as stage

    layer, parameters = _of_archive(values)
    return stage.run(layer, parameters, threads=_threads(values), comm=SERIAL)


def binning(values: argparse.Namespace) -> StageResult:
    from midas.stages import binning as stage

    layer = Layer(Path(values.folder or "."))
    return stage.run(layer, Parameters.read(layer.paramstest, "paramstest"), threads=_threads(values), comm=SERIAL)


def index(values: argparse.Namespace) -> StageResult:
    from midas.stages import indexing as stage

    comm, threads = _members(values), _threads(values)
    layer, parameters = _of_paramstest(values.paramfile)
    return stage.run(layer, parameters, threads=threads, comm=comm, seed_count=values.nSpotsToIndex)


def refine(values: argparse.Namespace) -> StageResult:
    from midas.stages import refinement as stage

    comm, threads = _members(values), _threads(values)
    layer, parameters = _of_paramstest(values.paramfile)
    return stage.run(layer, parameters, threads=threads, comm=comm, seed_count=values.nSpotsToIndex)


def grains(values: argparse.Namespace) -> StageResult:
    if not zipfile.is_zipfile(values.archive) and Path(values.archive).suffix != ".zip":
        values.paramfile = values.archive
        return grains_of_parameter_file(values)
    from midas.stages import grains as stage

    path = Path(values.archive)
    with Archive(path) as archive:
        parameters = archive.parameters
    return stage.run(Layer(Path(), path), parameters, threads=_threads(values), track=values.TrackGrains == 1)


def grains_of_parameter_file(values: argparse.Namespace) -> StageResult:
    from midas.stages import grains as stage

    return stage.run(Layer(Path()), Parameters.read(values.paramfile, "paramstest"), threads=_threads(values))


def convert(values: argparse.Namespace) -> StageResult:
    from midas.convert import conversion

    for option in ("resultFolder", "paramFN"):
        if not getattr(values, option):
            raise UsageError("is required", key=f"-{option}")
    result = conversion.run(
        Path(values.paramFN),
        Path(values.resultFolder),
        data_file=values.dataFN,
        dark_file=values.darkFN,
        data_location=values.dataLoc,
        dark_location=values.darkLoc,
        frame_chunks=values.numFrameChunks,
        threshold=values.preProcThresh,
        files_per_scan=values.numFilesPerScan,
        layer=values.LayerNr,
        columns=values.numPxY,
        rows=values.numPxZ,
        omega_step=values.omegaStep,
        threads=thread_count(None),
    )
    # Scripts parse the last line of stdout; the log has said the rest.
    print(f"OutputZipName: {result.data}")
    return StageResult(result.stage, data=result.data)


def simulate(values: argparse.Namespace) -> StageResult:
    from midas import simulation

    return simulation.run(Path(values.paramfile), threads=_threads(values))


def compare(values: argparse.Namespace) -> StageResult:
    from midas.results import compare as comparison

    found = comparison.compare(
        Path(values.true),
        Path(values.found),
        omega_step=values.omega_step,
        turn_positions=values.turn_positions == 1,
        space_group=values.space_group,
        lattice=values.lattice,
    )
    print(found.grain_table())
    print(found.table())
    return StageResult("compare", data=found)


def run_driver(values: argparse.Namespace) -> StageResult:
    from midas.commands import driver

    return driver.command(values)
