"""Part files: outputs that are being written, beside the names that they will get.

A part is called ``<name>.<8 hexadecimal digits>.part``. It is made anew, whatever stands in the folder: nothing is
overwritten and no link is followed. Its writer holds a shared lock on it (flock) until it has its name, so that a part
which nobody holds was left by a process that was killed; the next writer of the name removes it. On a file system
without locks nobody can tell, and what was left stays.
"""

from __future__ import annotations

import atexit
import errno
import os
import re
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from midas.runtime.copying import copy_content
from midas.runtime.errors import OutputError

try:
    import fcntl
except ImportError:  # not on this system
    fcntl = None  # type: ignore[assignment]

_ENDING = re.compile(rb"(.*)\.[0-9a-f]{8}\.part", re.DOTALL)
#: bytes of the longest name of a file, without what makes it the name of a part
_LONGEST = 255 - len(".01234567.part")
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_FOUND = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)

#: parts of this process and the process: an interruption may come between any two lines
_living: dict[str, int] = {}
#: the parts that stood in each folder when this process wrote there for the first time, by the names they are for
_left: dict[str, dict[bytes, list[Path]]] = {}
_MOST_FOLDERS = 256


def is_path(text: str | os.PathLike[str]) -> bool:
    """Whether a text can be a path at all: it holds no NUL, and nothing that no bytes stand for."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


class Part:
    """A new file beside the name that it will get.

    Parameters
    ----------
    target : that name
    stream : the file, open for writing

    Raises
    ------
    OSError : when it cannot be made
    """

    def __init__(self, target: str | os.PathLike[str]):
        self.target = Path(target)
        if not is_path(target):
            raise OSError(errno.EINVAL, "no file can have this name")
        _sweep_for(self.target)
        self.path, self._held = _made(self.target)
        try:
            self.stream: IO[bytes] = open(self.path, "w+b", opener=lambda *_: os.dup(self._held))  # noqa: SIM115
        except BaseException:
            self.discard()
            raise

    def complete(self, *, durable: bool = False) -> None:
        """Nothing more will be written; a full disk may show only here."""
        if not self.stream.closed:
            self.stream.flush()
            if durable:
                os.fsync(self.stream.fileno())
        self.stream.close()

    def closes(self) -> bool:
        """Close the stream; whether what was left to write could be written."""
        try:
            self.stream.close()
        except OSError:
            return False
        return True

    def take_name(self) -> None:
        """Give the file its name: at every instant the name is the earlier file or this one."""
        os.replace(self.path, self.target)
        self._let_go()

    def discard(self) -> None:
        """Remove the file, unless it has its name."""
        stream = getattr(self, "stream", None)
        if stream is not None:
            with suppress(OSError):
                stream.close()
        if os.fspath(self.path) in _living:
            with suppress(OSError):
                os.unlink(self.path)
            self._let_go()

    def unlock(self) -> None:
        """Keep the file, but not the handle that says so."""
        held, self._held = self._held, -1
        if held >= 0:
            os.close(held)

    def _let_go(self) -> None:
        _living.pop(os.fspath(self.path), None)
        self.unlock()


@contextmanager
def part(target: str | os.PathLike[str]) -> Iterator[Part]:
    """A part for a writer that wants a path; it is removed at the end of the block unless it got its name there."""
    new = Part(target)
    try:
        yield new
    finally:
        new.discard()


def take_names(parts: Sequence[Part]) -> None:
    """Give complete parts their names, in this order; where one fails, all names are again the earlier files.

    At every instant each name is its earlier file or the new one. Whoever is killed on the way may leave some names old
    and some new.

    Raises
    ------
    OutputError : for the name that cannot be given
    """
    earlier: list[tuple[Part, Path | None]] = []
    try:
        for new in parts:
            try:
                if new is not parts[-1]:  # after the last name nothing can fail
                    earlier.append((new, _second_name(new.target)))
                new.take_name()
            except OSError as error:
                raise OutputError(f"cannot be written ({error.strerror or error})", file=new.target) from None
    except BaseException:
        if os.path.lexists(parts[-1].path):
            for new, kept in earlier:
                _take_back(new, kept)
        raise
    finally:
        for _, kept in earlier:
            if kept is not None:
                _remove(kept)


def _take_back(new: Part, kept: Path | None) -> None:
    with suppress(OSError):
        if kept is not None:
            os.replace(kept, new.target)
        elif not os.path.lexists(new.path):
            new.target.unlink()


def keep_as(path: Path, other: Path) -> None:
    """What stands under a name also gets another one, in place of what stands there: the name is never without a file.

    Where a file system knows no second names the file is moved.
    """
    try:
        kept = _second_name(path, copied=False)
    except OSError:
        os.replace(path, other)
        return
    if kept is not None:
        os.replace(kept, other)
        _remove(kept)


def _second_name(path: Path, *, copied: bool = True) -> Path | None:
    """Another name for the file, or a copy where the file system has no such; None where there is none to keep."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        return None
    kept = _new_name(path)
    _living[os.fspath(kept)] = os.getpid()
    try:
        try:
            os.link(path, kept, follow_symlinks=False)
        except (OSError, NotImplementedError):
            if not copied:
                raise OSError(errno.EPERM, os.strerror(errno.EPERM), os.fspath(path)) from None
            _copy(path, kept, mode)
    except BaseException:
        _remove(kept)
        raise
    return kept


def _copy(path: Path, kept: Path, mode: int) -> None:
    if stat.S_ISLNK(mode):
        os.symlink(os.readlink(path), kept)
        return
    with open(path, "rb") as source, os.fdopen(os.open(kept, _NEW, 0o600), "wb") as copy:
        copy_content(source, copy)
    shutil.copystat(path, kept)


def _remove(path: Path) -> None:
    with suppress(OSError):
        os.unlink(path)
    _living.pop(os.fspath(path), None)


def _made(target: Path) -> tuple[Path, int]:
    """A new file with its lock."""
    while True:
        path = _new_name(target)
        _living[os.fspath(path)] = os.getpid()
        try:
            handle = os.open(path, _NEW, 0o666)
        except FileExistsError:
            del _living[os.fspath(path)]
            continue
        except BaseException as error:
            if isinstance(error, Exception):  # after an interruption the file may be there
                del _living[os.fspath(path)]
            raise
        if fcntl is not None:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(handle, fcntl.LOCK_SH)  # shared: a library that reads the part may lock it too
        if os.fstat(handle).st_nlink:
            return path, handle
        os.close(handle)  # it was swept before it was locked
        del _living[os.fspath(path)]


def _new_name(target: Path) -> Path:
    return target.with_name(os.fsdecode(_beginning(target) + f".{os.urandom(4).hex()}.part".encode()))


def _beginning(target: Path) -> bytes:
    return os.fsencode(target.name)[:_LONGEST]


def sweep(*folders: str | os.PathLike[str]) -> None:
    """Remove what killed processes have left in these folders, whatever it was to become; parts in use stay."""
    for folder in folders:
        for leftovers in _listed(folder).values():
            _sweep(leftovers)


def _sweep_for(target: Path) -> None:
    """Remove what killed processes have left of this file, as far as it stood there at first."""
    folder = os.path.abspath(target.parent)
    if folder not in _left:
        if len(_left) >= _MOST_FOLDERS:  # those of earlier layers are done
            _left.clear()
        _left[folder] = _listed(folder)
    if left := _left[folder]:
        _sweep(left.pop(_beginning(target), []))


def _listed(folder: str | os.PathLike[str]) -> dict[bytes, list[Path]]:
    """The parts in a folder by the beginnings of the names that they are for."""
    found: dict[bytes, list[Path]] = {}
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".part") and (match := _ENDING.fullmatch(os.fsencode(entry.name))):
                found.setdefault(match[1], []).append(Path(entry.path))
    return found


def _sweep(paths: Iterable[Path]) -> None:
    for path in paths:
        if fcntl is None or os.fspath(path) in _living:
            continue
        try:
            handle = os.open(path, _FOUND)
        except OSError:  # gone, a link, or not ours
            continue
        try:
            if stat.S_ISREG(os.fstat(handle).st_mode):
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(path)
        except OSError:  # somebody writes it
            continue
        finally:
            os.close(handle)


@atexit.register
def _remove_own() -> None:
    """What an interruption at the wrong moment has left of this process, not of one that it was forked from."""
    for path, process in list(_living.items()):
        if process == os.getpid():
            _remove(Path(path))
