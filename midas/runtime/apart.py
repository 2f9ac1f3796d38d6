"""Work with foreign files in a process of its own, where a library may crash or never end without harm to this one.

See docs/theory/archive.md#damaged-hdf5. A forked process does the work and sends what it has made, or the error of the
user; its time and memory are limited by the system. Where processes cannot be forked, the work is done here.
"""

from __future__ import annotations

import contextlib
import gc
import io
import logging
import os
import pickle
import select
import signal
import struct
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any, NoReturn, TypeVar

import midas._ext.numerics.ending as ending
from midas.runtime.errors import FormatError, MidasError, one_line
from midas.runtime.limits import ROOM

if sys.platform != "win32":
    import fcntl
    import resource

Result = TypeVar("Result")

#: seconds of the processor for a piece of work, and how many more for each GiB of the file
SECONDS, SECONDS_PER_GIB = 4, 1
#: memory beyond what this process has, besides twice the size of the file
_MEMORY = 2 * ROOM
#: before each part of a message: its length, and how many parts follow
_HEAD = struct.Struct("<QI")
#: bytes that a pipe holds, where the system lets one choose
_PIPE = 1 << 20
#: one at a time, so that no process holds the pipe of another one open
_FORKING = threading.Lock()
#: whether this is a process that `stream` has started
_apart = False
_ITEM, _ERROR, _RECORD, _END = range(4)
#: what a process sends first, within how many seconds, and how many are started until one does
_HERE, _STARTING, _ATTEMPTS = b"\1", 10.0, 3
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGXCPU", "SIGPIPE")


def apart(work: Callable[[], Result], file: Path) -> Result:
    """What `work` returns, which must be possible to pickle.

    Parameters
    ----------
    work : reads the file
    file : for messages, and because a large one may take more time and memory

    Raises
    ------
    MidasError : as `work` does; FormatError if the process dies.
    """
    (result,) = stream(lambda: iter([work()]), file)
    return result


def stream(work: Callable[[], Iterator[Result]], file: Path) -> Iterator[Result]:
    """The items of an iterator, each made and sent when there is room for it; otherwise as `apart`."""
    global _apart
    if _apart or not hasattr(os, "fork"):
        yield from _guarded(work, file)
        return
    with _FORKING, warnings.catch_warnings():
        # The other threads hold no lock that the new process needs: h5py sees to its own.
        warnings.simplefilter("ignore", DeprecationWarning)
        reading, writing, process = _started(file)
        if process == 0:
            _apart = True
            _serve(work, file, writing)
    ended = False
    try:
        with open(reading, "rb", buffering=0) as pipe:
            while (message := _received(pipe)) is not None:
                kind, content = message
                if kind == _ITEM:
                    yield content
                elif kind == _RECORD:
                    logging.getLogger(content.name).handle(content)
                elif kind == _ERROR:
                    raise _rebuilt(content)
                else:
                    ended = True
    finally:
        if not ended:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL if sys.exc_info()[0] is not None else 0)
        status = os.waitpid(process, 0)[1]
    if not ended:
        raise FormatError(_reason(status), file=file)


def _started(file: Path) -> tuple[int, int, int]:
    """The end of a pipe that is read, that which is written (in the new process), and the new process; 0 in it.

    A lock that another thread holds at the moment of the fork stays locked in the new process. Python and the C library
    see to theirs, but not all of them (`tracemalloc`), and such a process waits for ever before it does anything: it is
    ended, and another one started.

    Raises
    ------
    FormatError : the system has no pipe or no process left, or none of the processes comes to work.
    """
    parent = os.getpid() if threading.current_thread() is threading.main_thread() else 0
    for _ in range(_ATTEMPTS):
        reading, writing, process = _forked(file)
        if process == 0:
            ending.follow(parent)
            os.close(reading)
            return -1, writing, 0
        os.close(writing)
        works = False
        try:
            works = _works(reading)
        finally:
            if not works:
                os.close(reading)
                os.kill(process, signal.SIGKILL)
                os.waitpid(process, 0)
        if works:
            return reading, -1, process
    raise FormatError("cannot be read: the process that reads it does not start; run the command again", file=file)


def _works(reading: int) -> bool:
    """Whether the process at the other end has begun, or ended, within the time for it."""
    events = select.poll()
    events.register(reading, select.POLLIN)
    return bool(events.poll(_STARTING * 1000)) and os.read(reading, len(_HERE)) in (_HERE, b"")


def _forked(file: Path) -> tuple[int, int, int]:
    """Both ends of a pipe, and the new process; 0 in this one itself.

    Raises
    ------
    FormatError : the system has no pipe or no process left.
    """
    ends: tuple[int, ...] = ()
    try:
        ends = reading, writing = os.pipe()
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            with contextlib.suppress(OSError):
                fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _PIPE)
        return reading, writing, os.fork()
    except OSError as error:
        for end in ends:
            os.close(end)
        reason = f"cannot be read: no process can be started for it ({error.strerror}); end others, or raise the limit"
        raise FormatError(reason, file=file) from None


def _received(pipe: io.FileIO) -> tuple[int, Any] | None:
    """The next message; None at the end of the pipe."""
    parts: list[bytearray] = []
    left = 1
    while left:
        head = _exactly(pipe, _HEAD.size)
        if head is None:
            return None
        length, left = _HEAD.unpack(head)
        if (part := _exactly(pipe, length)) is None:
            return None
        parts.append(part)
    message: tuple[int, Any] = pickle.loads(parts[-1], buffers=parts[:-1])
    return message


def _sent(pipe: IO[bytes], kind: int, content: object) -> None:
    """Write a message: its arrays as they are in memory, then all that is left, each behind its length."""
    buffers: list[pickle.PickleBuffer] = []
    message = pickle.dumps((kind, content), protocol=5, buffer_callback=buffers.append)
    parts: list[memoryview | bytes] = [*(buffer.raw() for buffer in buffers), message]
    for number, part in enumerate(parts, 1):
        pipe.write(_HEAD.pack(len(part), len(parts) - number))
        pipe.write(part)
    pipe.flush()


def _exactly(pipe: io.FileIO, count: int) -> bytearray | None:
    """So many bytes; None if the pipe ends before."""
    content = bytearray(count)
    view, done = memoryview(content), 0
    while done < count:
        more = pipe.readinto(view[done:])
        if not more:
            return None
        done += more
    return content


def _serve(work: Callable[[], Iterator[object]], file: Path, writing: int) -> NoReturn:
    """The forked process; it ends here, and nothing of the program's own tidying is done twice."""
    code = 1
    try:
        os.write(writing, _HERE)
        gc.disable()
        _set_limits(file)
        with open(writing, "wb") as pipe:
            send = partial(_sent, pipe)
            _forward_logs(send)
            try:
                for item in _guarded(work, file):
                    send(_ITEM, item)
                    _more_time(file)
                send(_END, None)
            except MidasError as error:
                send(_ERROR, (type(error), error.reason, error.file, error.line, error.key, error.value))
        code = 0
    finally:
        os._exit(code)


def _guarded(work: Callable[[], Iterator[Result]], file: Path) -> Iterator[Result]:
    """The items, with what goes wrong as an error about the file."""
    try:
        yield from work()
        return
    except (MidasError, GeneratorExit):
        raise
    except MemoryError:
        reason = "cannot be read: it needs more memory than a file of its size may ask for; it is damaged"
    except Exception as error:  # the libraries have many exceptions, the file is at fault in each
        reason = f"cannot be read ({one_line(error)})"
    raise FormatError(reason, file=file)


def _set_limits(file: Path) -> None:
    """The signals of an ordinary process, and the limits of time and memory."""
    for name in _SIGNALS:
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _more_time(file)
    with contextlib.suppress(OSError, ValueError):  # where there is no /proc, memory is not limited
        used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        wanted = used + _MEMORY + 2 * _size(file)
        resource.setrlimit(resource.RLIMIT_AS, (wanted if hard < 0 else min(wanted, hard), hard))


def _more_time(file: Path) -> None:
    """The time for the next piece of work: the system ends a process that takes more."""
    seconds = SECONDS + SECONDS_PER_GIB * (_size(file) >> 30)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    wanted = int(time.process_time()) + 1 + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (wanted if hard < 0 else min(wanted, hard), hard))


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _forward_logs(send: Callable[[int, object], None]) -> None:
    """What is logged goes to the other process, which knows where it belongs."""

    class Forward(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            record.msg, record.args = record.getMessage(), None
            record.exc_info = None
            send(_RECORD, record)

    for logger in (logging.getLogger(), *logging.Logger.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger):
            logger.handlers[:] = []
            logger.propagate = True
    logging.getLogger().addHandler(Forward())


def _rebuilt(content: tuple[type[MidasError], str, str | None, int | None, str | None, object]) -> MidasError:
    kind, reason, file, line, key, value = content
    return kind(reason, file=file, line=line, key=key, value=value)


def _reason(status: int) -> str:
    """Why a process has sent nothing more."""
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if number == signal.SIGXCPU:
        return "cannot be read: the library that reads it does not come to an end; the file is damaged"
    if number in (signal.SIGKILL, 0):
        return "cannot be read: the process that reads it was ended"
    return f"cannot be read: it makes the library that reads it crash ({signal.Signals(number).name}); it is damaged"
