"""One run a layer folder: a lock that says who holds it (docs/reliability.md#one-run-a-folder).

The lock is an ``flock`` on a file in the folder. It goes with the process that holds it, however that ends, so that no
lock is ever left behind; the file is no more than the place for it and for the name of its holder.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from midas.runtime.errors import MidasError, OutputError
from midas.runtime.files import make_folder

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger(__name__)

#: of the file in the layer folder
LOCK = ".midas.lock"

#: what a file system says that has no locks
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)

#: how often the lock is asked for again when its file goes with the run that held it, and the seconds between
_TRIES, _PAUSE = 25, 0.02

#: characters of a lock file that are looked at
_MOST_CHARACTERS = 1 << 16


class InUseError(MidasError):
    """Another run works in the folder."""


@dataclass(frozen=True)
class Holder:
    """Who works in a folder.

    Parameters
    ----------
    command : short name of the program
    work : what several processes may do together, such as the blocks of a stage; empty for a run that is alone
    pid, host, user : of the process
    started : date in UTC, ISO 8601
    """

    command: str
    work: str
    pid: int
    host: str
    user: str
    started: str

    def __str__(self) -> str:
        since = self.started.replace("T", " ").replace("Z", " UTC")
        return f"{self.command} (pid {self.pid} of {self.user} on {self.host} since {since})"


def _this_process(command: str, work: str) -> Holder:
    import getpass  # only here: it takes time

    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container may have no name for it
        user = str(os.getuid()) if hasattr(os, "getuid") else "?"
    started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return Holder(command, work, os.getpid(), socket.gethostname(), user, started)


@dataclass
class _Held:
    """A lock of this process, and how often it is held."""

    handle: int
    thread: int
    holder: Holder
    count: int = 1


_held: dict[str, _Held] = {}


def _forget() -> None:
    """A copy of the process does not hold its locks: closed here, they stay with the process itself."""
    for held in _held.values():
        with suppress(OSError):
            os.close(held.handle)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


@contextmanager
def folder_lock(folder: str | os.PathLike[str], command: str, *, work: str = "") -> Iterator[None]:
    """Hold a layer folder, which is made if it is missing, while the block runs.

    Parameters
    ----------
    command : short name of the program, for the others to read
    work : runs with the same words here may work side by side, such as the legacy blocks of one stage

    Raises
    ------
    InUseError : another run holds it. OutputError : the lock cannot be written.
    """
    key = os.path.realpath(folder)
    if (held := _held.get(key)) is not None:
        if held.thread != threading.get_ident():
            raise _in_use(Path(folder), held.holder)
        held.count += 1
    else:
        own = _this_process(command, work)
        handle = _acquired(Path(folder), own)
        if handle is None:
            yield
            return
        _held[key] = _Held(handle, threading.get_ident(), own)
    try:
        yield
    finally:
        held = _held.get(key)
        if held is not None:  # else in a copy of the process
            held.count -= 1
            if not held.count:
                del _held[key]
                _release(Path(folder) / LOCK, held.handle)


def holder(folder: str | os.PathLike[str]) -> Holder | None:
    """Who holds a folder now; None where nobody does, or nobody can tell."""
    path = Path(folder) / LOCK
    if fcntl is None:
        return None
    if (held := _held.get(os.path.realpath(folder))) is not None:
        return held.holder
    try:
        handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return None if error.errno in _NO_LOCKS else _named(handle)
    finally:
        os.close(handle)
    return None


def _acquired(folder: Path, own: Holder) -> int | None:
    """The descriptor that holds the lock; None where the file system has none."""
    path = make_folder(folder) / LOCK
    if fcntl is None:
        return None
    for _ in range(_TRIES):
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        except OSError as error:
            raise OutputError(f"cannot be written ({error.strerror})", file=path) from None
        try:
            taken = _taken(handle, path, own)
        except OSError as error:
            os.close(handle)
            if error.errno not in _NO_LOCKS:
                raise OutputError(f"cannot be locked ({error.strerror})", file=path) from None
            log.warning("%s has no locks (%s): see to it that no other run works there", folder, error.strerror)
            return None
        except BaseException:
            os.close(handle)
            raise
        if taken:
            return handle
        os.close(handle)
        time.sleep(_PAUSE)
    raise InUseError("is in use by another run, which has not said its name; wait for its end", file=folder)


def _taken(handle: int, path: Path, own: Holder) -> bool:
    """Take the lock and write who has it; False when its file has just gone, or who has it is not known yet."""
    alone = _locked(handle, fcntl.LOCK_EX)
    if not alone and not (own.work and _locked(handle, fcntl.LOCK_SH)):
        other = _named(handle)
        if other is None:  # between its lock and its name
            return False
        raise _in_use(path.parent, other)
    if not _is_there(handle, path):
        return False
    if not alone:
        other = _named(handle)
        if other is not None and other.work != own.work:
            raise _in_use(path.parent, other)
    with suppress(OSError):  # on a full disk the lock holds, too, and nobody learns whose it is
        if alone:
            os.ftruncate(handle, 0)
        os.lseek(handle, 0, os.SEEK_END)
        os.write(handle, f"{json.dumps(asdict(own))}\n".encode())
    # No step down in one: another run may come between, and then this one has lost.
    return not (alone and own.work) or _locked(handle, fcntl.LOCK_SH)


def _locked(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_there(handle: int, path: Path) -> bool:
    """Whether the name still leads to the file that is open: its last holder removes it."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _named(handle: int) -> Holder | None:
    """The first holder in a lock file that is still alive, as far as can be told from here; else the last one."""
    lines = os.pread(handle, _MOST_CHARACTERS, 0).decode("utf-8", "replace").splitlines()
    found = []
    for line in lines:
        with suppress(ValueError, TypeError):
            found.append(Holder(**json.loads(line)))
    here = socket.gethostname()
    return next((one for one in found if one.host != here or is_alive(one.pid)), found[-1] if found else None)


def is_alive(pid: int) -> bool:
    """Whether a process of this machine runs, as far as can be told."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, TypeError, OverflowError):
        return True
    return True


def _in_use(folder: Path, other: Holder) -> InUseError:
    return InUseError(f"is in use by {other}; wait for its end, or end it", file=folder)


def _release(path: Path, handle: int) -> None:
    """Let go; the last of those that share the lock removes its file."""
    with suppress(OSError):
        if _locked(handle, fcntl.LOCK_EX) and _is_there(handle, path):
            path.unlink()
    with suppress(OSError):
        os.close(handle)


def wait_for(handle: int) -> None:
    """Wait until no other process has locked this file, which is then this one's until it is closed."""
    if fcntl is None:
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError as error:  # some network file systems have no locks
        log.debug("descriptor %d is not locked: %s", handle, error)


@contextmanager
def one_at_a_time(handle: int) -> Iterator[None]:
    """Processes that have this file open come into the block one after the other, where the file system has locks."""
    wait_for(handle)
    try:
        yield
    finally:
        if fcntl is not None:
            with suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_UN)
