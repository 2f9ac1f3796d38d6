"""Arguments that several programs have, and what they mean: the layer, its parameters, who does which part."""

from __future__ import annotations

import argparse
import logging
import os
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from midas.archive import Archive
from midas.commands.holding import hold
from midas.formats.layer import Layer
from midas.parameters import Parameters
from midas.runtime.errors import MidasError, ParameterError, UsageError, shown
from midas.runtime.files import make_folder, ordinary, read_bytes
from midas.runtime.named_paths import follow, why_not_into
from midas.runtime.parallel import Communicator, communicator, thread_count

log = logging.getLogger(__name__)


def is_archive(path: str) -> bool:
    """Whether an argument that may be an archive, a parameter file or an image is an archive."""
    if Path(path).suffix.lower() == ".npz":  # arrays of NumPy, in a zip file too
        return False
    ordinary(path)
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
    folder = given or _folder_of_archive(path, own.get("ResultFolder", ""))
    if given and create:
        make_folder(folder)
    elif not os.path.isdir(folder):
        raise ParameterError("is not a folder", file=path, key="ResultFolder", value=folder)
    return Layer(Path(folder), path, folder, data_file=own["dataFN"]), parameters


def _folder_of_archive(path: Path, named: str) -> str:
    """The folder that an archive names, where it is surely meant; never made, for anybody may have written the archive.

    It is the folder in which the archive lies, or one that exists and belongs to the user and is not that of another
    scan. Else the results go to the folder of the archive if the pipeline has worked there, or to the current one.
    """
    if not named:
        raise ParameterError("is missing; give the folder as an argument", file=path, key="ResultFolder")
    there, here = Path(named), path.parent
    if _same(there, here):
        return named
    reason = why_not_into(there) or _of_another_scan(there, path)
    if not reason:
        if not _same(there, Path()):
            log.info("The results go to %s, the ResultFolder of %s", shown(named), path)
        return named
    folder, which = (here, "folder of the archive") if _is_layer(here) else (Path(), "current folder")
    log.warning(
        "%s: ResultFolder names %s, which %s; the %s is used (an argument names another one)",
        *(path, shown(named), reason, which),
    )
    return str(folder)


def _same(one: Path, other: Path) -> bool:
    return os.path.isdir(one) and os.path.samefile(one, other)


def _of_another_scan(there: Path, path: Path) -> str:
    """Why results of an archive do not belong into a folder; "" where they may."""
    original = there / path.name
    if original.exists():
        return "" if original.samefile(path) else f"has an archive {path.name} of its own"
    others = sorted(other.name for other in there.glob("*.MIDAS.zip"))
    return f"is that of another scan ({others[0]})" if others else ""


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
        layer = Layer(Path(folder))
    else:
        plain = Layer(folder_of(path))
        named = (folders["OutputFolder"], folders.get("ResultFolder"))
        output, results = (
            None if name is None else _in_layer(name, own, plain.folder, path)
            for name, own in zip(named, (plain.output, plain.results), strict=True)
        )
        layer = replace(plain, output_folder=output, results_folder=results)
    for subfolder in (layer.output, layer.results):
        if subfolder.is_symlink():
            follow(subfolder)
    return layer, parameters


def folder_of(paramstest: str) -> Path:
    """The layer of a paramstest.txt: its folder, or the current one where the file stands by itself."""
    here = Path(paramstest).parent
    return Path() if not Layer(here).hkls.exists() and Layer(Path()).hkls.exists() else here


def _in_layer(named: str, plain: Path, layer: Path, source: str) -> Path:
    """A folder in the layer; the one of the same name, with a warning, where the file names one elsewhere.

    A link in the layer by that name is left to `follow`.

    Parameters
    ----------
    plain : the folder of the layer where the name says nothing
    """
    text, path = Path(named), layer / named
    if Path(os.path.realpath(path)).is_relative_to(os.path.realpath(layer)):
        return path
    own = plain if path.name in ("", "..") else layer / path.name
    if own != path:
        reason = "%s names %s, which is not in the folder of the file; %s is used (--folder names another layer)"
        log.warning(reason, source, shown(text), own)
    return own


def of_seeds(values: argparse.Namespace, blocks_of: str) -> tuple[Layer, Parameters, dict[str, Any]]:
    """The layer, held, its parameters, and the keywords of a stage that works on seeds."""
    comm, threads = members(values), threads_of(values)
    layer, parameters = layer_of_paramstest(values.paramfile, values.folder)
    hold(layer.folder, values, comm, blocks_of=blocks_of)
    count, resume = _seed_count(values, layer), values.resume == 1
    return layer, parameters, {"threads": threads, "comm": comm, "seed_count": count, "resume": resume}


def _seed_count(values: argparse.Namespace, layer: Layer) -> int | None:
    """The number of seeds that the legacy form names, unless it says what goes without saying: how many there are."""
    count: int | None = values.nSpotsToIndex
    try:
        return None if count is None or count == len(read_bytes(layer.spots_to_index).splitlines()) else count
    except MidasError:  # the stage says what is wrong
        return count


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
