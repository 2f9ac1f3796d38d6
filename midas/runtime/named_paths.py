"""Paths that stand in data: where what an archive, a table or a link names is written, and what is read from there.

Archives are exchanged between groups. What one names is used where that is surely what its user wants, and never makes
a command write into, or wait for, something else (docs/security.md#what-is-written-where).
"""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path

from midas.runtime.errors import FormatError, OutputError, shown
from midas.runtime.files import make_folder
from midas.runtime.part_files import is_path

log = logging.getLogger(__name__)


def why_not_into(folder: str | os.PathLike[str]) -> str:
    """Why nothing is written into a folder that data name; "" where it may be: it exists and is the user's own."""
    if not is_path(folder):
        return "can be no folder"
    try:
        state = os.stat(folder)
    except FileNotFoundError:
        return "does not exist"
    except OSError as error:
        return f"cannot be reached ({error.strerror})"
    if not stat.S_ISDIR(state.st_mode):
        return "is not a folder"
    if hasattr(os, "geteuid") and state.st_uid != os.geteuid():
        return "belongs to another user"
    return "may be written to by everybody" if state.st_mode & stat.S_IWOTH else ""


def make_subfolder(path: Path) -> Path:
    """A folder of a layer, which may have come from somebody else: a link there is followed only to the user's own.

    Raises
    ------
    OutputError : it cannot be made, or is a link that is not followed
    """
    if path.is_symlink():
        follow(path)
    return make_folder(path)


def follow(link: Path) -> None:
    """Nothing, with a message, where a link in a layer leads to a folder that may be written to, or within the layer.

    Raises
    ------
    OutputError : it leads elsewhere
    """
    target = Path(os.path.realpath(link))
    if target.is_relative_to(os.path.realpath(link.parent)) and target.is_dir():
        return
    if reason := why_not_into(link):
        advice = "put a folder in its place"
        raise OutputError(f"is a link to {target}, which {reason}; {advice}", file=link)
    log.info("%s is a link: what belongs there goes to %s", link, target)


def places_of(folder: Path) -> tuple[Path, Path]:
    """Where a file is sought that a parameter of a layer names: in its folder, then where the name says.

    The driver copies such files into the layer folder, where the legacy programs ran.
    """
    return folder, Path()


def sought(name: str, *folders: Path) -> Path:
    """The path of a file in the first of the folders that has it; in the last one if none has."""
    paths = [folder / name for folder in folders]
    return next((path for path in paths if is_path(path) and os.path.exists(path)), paths[-1])


def named_file(name: str, *folders: Path, key: str, source: str | os.PathLike[str]) -> Path:
    """A file to read that a parameter names, `sought` in the folders.

    Raises
    ------
    FormatError : it is no file, but something that may never end
    """
    path = sought(name, *folders)
    if not is_path(path):
        raise FormatError("can be no file", file=source or None, key=key, value=name)
    if os.path.exists(path) and not os.path.isfile(path):
        raise FormatError(f"is not a file ({key})", file=path)
    real = Path(os.path.realpath(path))
    if not any(real.is_relative_to(os.path.realpath(folder)) for folder in (*folders, Path())):
        log.info("%s names %s, which is read", key, shown(path))
    return path
