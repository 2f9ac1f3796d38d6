"""Arguments that several programs have, and what they mean: the layer, its parameters, who does which part."""

from __future__ import annotations

import argparse
import zipfile
from pathlib import Path

from midas.archive import Archive
from midas.formats.layer import Layer
from midas.parameters import Parameters
from midas.runtime.errors import ParameterError, UsageError
from midas.runtime.files import make_folder
from midas.runtime.parallel import Communicator, communicator, thread_count


def is_archive(path: str) -> bool:
    """Whether an argument that may be an archive or a parameter file is an archive."""
    return zipfile.is_zipfile(path) or Path(path).suffix == ".zip"


def layer_of_archive(values: argparse.Namespace, *, create: bool = False) -> tuple[Layer, Parameters]:
    """Layer and parameters of a command whose first argument is an archive; the first stage may create the folder."""
    path = Path(values.archive)
    with Archive(path) as archive:
        parameters = archive.parameters
    given = getattr(values, "folder", None) or getattr(values, "result_folder", None)
    folder = given or parameters.for_stage("commands").get("ResultFolder")
    if not folder:
        raise ParameterError("is missing; give the folder as an argument", file=path, key="ResultFolder")
    if create:
        make_folder(folder)
    elif not Path(folder).is_dir():
        raise ParameterError("is not a folder", file=path, key="ResultFolder", value=folder)
    return Layer(Path(folder), path, folder), parameters


def layer_of_paramstest(path: str) -> tuple[Layer, Parameters]:
    """Layer and parameters of a command that works in the current folder with a paramstest.txt."""
    parameters = Parameters.read(path, "paramstest")
    folders = parameters.for_stage("commands")
    output, results = Path(folders["OutputFolder"]), folders.get("ResultFolder")
    return Layer(Path(), output_folder=output, results_folder=Path(results) if results else None), parameters


def members(values: argparse.Namespace) -> Communicator:
    """Legacy blocks when they are given, else the MPI ranks."""
    if values.blockNr is None:
        return communicator()
    if values.nBlocks is None:
        raise UsageError("blockNr needs nBlocks", key="nBlocks")
    return Communicator(values.blockNr, values.nBlocks)


def threads_of(values: argparse.Namespace) -> int:
    """The threads that the user asks for, by the legacy argument or the option."""
    for name in ("nCPUs", "threads"):
        if getattr(values, name, None) is not None:
            return thread_count(getattr(values, name))
    return thread_count(None)
