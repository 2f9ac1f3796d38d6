"""Binary files of fixed slots that the members of a run fill in any order.

See docs/theory/indexing.md#blocks-and-threads.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from midas.runtime.errors import FormatError, OutputError

Scalar = TypeVar("Scalar", bound=np.generic)


class SlotFile:
    """A file in which record r stands at byte r times the size of a slot.

    It is created by the first record written, never truncated by opening it, and ends with its last record unless room
    was reserved; what nobody writes is a hole of zeros.
    """

    def __init__(self, path: str | os.PathLike[str], slot: int):
        self.path = Path(path)
        self.slot = slot
        self._handle: int | None = None

    def __enter__(self) -> SlotFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, row: int, content: bytes | memoryview) -> None:
        """Write one record, or adjacent ones, from slot `row` on."""
        at, rest = row * self.slot, memoryview(content).cast("B")
        with self.reporting():
            handle = self.opened()
            while rest:
                written = os.pwrite(handle, rest, at)
                at, rest = at + written, rest[written:]

    def reserve(self, rows: int) -> bool:
        """Make the file long enough for so many slots; whether it had content before."""
        with self.reporting():
            handle = self.opened()
            size = os.fstat(handle).st_size
            if size < rows * self.slot:
                os.ftruncate(handle, rows * self.slot)
        return size > 0

    def clear(self, row: int, used: int) -> None:
        """Zeros in slot `row` behind its first `used` bytes, without filling holes of the file."""
        at, end = row * self.slot + used, (row + 1) * self.slot
        with self.reporting():
            handle = self.opened()
            while at < end:
                try:
                    at = os.lseek(handle, at, os.SEEK_DATA)
                    hole = os.lseek(handle, at, os.SEEK_HOLE)
                except OSError as problem:
                    if problem.errno == errno.ENXIO:
                        return  # nothing but holes up to the end of the file
                    hole = end  # no such question on this file system
                if at < end:
                    os.pwrite(handle, bytes(min(hole, end) - at), at)
                at = max(hole, at + 1)

    def shorten(self, rows: int) -> None:
        """Cut off what an earlier, longer run left behind the slots of this one."""
        shorten(self.path, rows * self.slot)

    def close(self) -> None:
        """Close the file; on some file systems a full disk is only noticed here."""
        if self._handle is not None:
            handle, self._handle = self._handle, None
            with self.reporting():
                os.close(handle)

    def opened(self) -> int:
        """Its descriptor; the file is created if it is missing."""
        if self._handle is None:
            self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        return self._handle

    @contextmanager
    def reporting(self) -> Iterator[None]:
        """What the system cannot do is an error that names the file."""
        try:
            yield
        except OSError as problem:
            raise OutputError(f"cannot be written ({problem.strerror})", file=self.path) from None


def unfinished(path: Path) -> Path:
    """Where the slots of a run stand until all of them are written, and stay when it is interrupted."""
    return path.with_name(f"{path.name}.unfinished")


def shorten(path: Path, size: int) -> None:
    """Cut a file off behind its first `size` bytes, if it is longer; never one that a link leads to."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        return
    except OSError as problem:
        raise OutputError(f"cannot be written ({problem.strerror})", file=path) from None
    try:
        if os.fstat(handle).st_size > size:
            os.ftruncate(handle, size)
    except OSError as problem:
        raise OutputError(f"cannot be written ({problem.strerror})", file=path) from None
    finally:
        os.close(handle)


def read_slots(
    path: Path,
    dtype: np.dtype[Scalar],
    slot: int,
    rows: NDArray[np.int64],
    counts: NDArray[np.int64],
    *,
    written_by: str,
    what: str = "solutions",
) -> NDArray[Scalar]:
    """The first ``counts[i]`` records of the slot of each row, one after the other: reads what is used and no more.

    A file that another program cuts off meanwhile is an error here; mapped into memory it would end the process.

    Raises
    ------
    FormatError : for a file that is missing or too short
    """
    out = np.empty(int(counts.sum()), dtype)
    view = out.view(np.uint8).data if out.size else memoryview(b"")
    size = out.dtype.itemsize
    try:
        with open(path, "rb", buffering=0) as stream:
            handle, at = stream.fileno(), 0
            for row, length in zip((rows * slot).tolist(), (counts * size).tolist(), strict=True):
                part, done = view[at : at + length], 0
                while done < length:
                    got = os.preadv(handle, [part[done:]], row + done)
                    if not got:
                        have, need = os.fstat(handle).st_size, row + length
                        raise FormatError(f"has {have} bytes where its {what} need {need}; it is cut off", file=path)
                    done += got
                at += length
    except OSError as error:
        raise FormatError(f"cannot be read ({error.strerror}); run {written_by} first", file=path) from None
    return out
