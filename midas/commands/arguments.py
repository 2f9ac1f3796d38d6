"""Arguments that several programs have, and what they mean: the layer, its parameters, who does which part."""

from __future__ import annotations

import argparse
import logging
import zipfile
from pathlib import Path

from midas.archive import Archive
from midas.formats.layer import Layer
from midas.parameters import Parameters
from midas.runtime.errors import ParameterError, UsageError
from midas.runtime.files import make_folder
from midas.runtime.parallel import Communicator, communicator, thread_count

log = logging.getLogger(__name__)


def is_archive(path: str) -> bool:
    """Whether an argument that may be an archive, a parameter file or an image is an archive."""
    if Path(path).suffix.lower() == ".npz":  # arrays of NumPy, in a zip file too
        return False
    return zipfile.is_zipfile(path) or Path(path).suffix == ".zip"


def layer_of_archive(values: argparse.Namespace, *, create: bool = False) -> tuple[Layer, Parameters]:
    """Layer and parameters of a command whose first argument is an archive; the first stage may create the folder.

    The layer is the folder that the user gives, else the one that the archive names, unless it was copied or moved.
    """
    path = Path(values.archive)
    with Archive(path) as archive:
        parameters = archive.parameters
    given = getattr(values, "folder", None) or getattr(values, "result_folder", None)
    own = parameters.for_stage("commands")
    folder = given or _folder_of_archive(path, own.get("ResultFolder", ""), create=create)
    if create:
        make_folder(folder)
    elif not Path(folder).is_dir():
        raise ParameterError("is not a folder", file=path, key="ResultFolder", value=folder)
    return Layer(Path(folder), path, folder, data_file=own["dataFN"]), parameters


def _folder_of_archive(path: Path, named: str, *, create: bool) -> str:
    """The folder that an archive names; its own one, with a warning, where it was copied or moved away from there."""
    if not named:
        raise ParameterError("is missing; give the folder as an argument", file=path, key="ResultFolder")
    there, here = Path(named), path.parent
    if there.is_dir():
        original = there / path.name
        if not original.exists() or original.samefile(path):
            return named
        reason = f"which has an archive {path.name} of its own"
    elif create and not _is_layer(here):
        return named
    else:
        reason = "which does not exist"
    log.warning(
        "%s: ResultFolder names %s, %s; the folder of the archive is used (an argument names another one)",
        *(path, named, reason),
    )
    return str(here)


def _is_layer(folder: Path) -> bool:
    """Whether the pipeline has made this folder: an archive that was moved with it need not be where it was."""
    layer = Layer(folder)
    return any(path.exists() for path in (layer.hkls, layer.temp, layer.logs))


def layer_of_paramstest(path: str, folder: str | None = None) -> tuple[Layer, Parameters]:
    """Layer and parameters of a command that works from a paramstest.txt.

    The layer is the folder of the file, wherever the folders stand that were written into it when it was made: a layer
    may have been copied or moved since. A file that stands by itself means the current folder. `folder` is what the
    user says.
    """
    parameters = Parameters.read(path, "paramstest")
    folders = parameters.for_stage("commands")
    if folder is not None:
        log.info("The layer is %s", folder)
        return Layer(Path(folder)), parameters
    here = folder_of(path)
    named = (folders["OutputFolder"], folders.get("ResultFolder"))
    output, results = (None if name is None else _in_layer(Path(name), here, path) for name in named)
    return Layer(here, output_folder=output, results_folder=results), parameters


def folder_of(paramstest: str) -> Path:
    """The layer of a paramstest.txt: its folder, or the current one where the file stands by itself."""
    here = Path(paramstest).parent
    return Path() if not Layer(here).hkls.exists() and Layer(Path()).hkls.exists() else here


def _in_layer(named: Path, layer: Path, source: str) -> Path:
    """A folder in the layer; the one of the same name, with a warning, where the file names one elsewhere."""
    path = layer / named
    if path.resolve().is_relative_to(layer.resolve()):
        return path
    own = layer / named.name
    reason = "%s names %s, which is not in the folder of the file; %s is used (--folder names another layer)"
    log.warning(reason, source, named, own)
    return own


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
