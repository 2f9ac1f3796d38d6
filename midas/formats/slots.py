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

from midas.runtime.errors import OutputError


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
        with self._reported():
            handle = self._opened()
            while rest:
                written = os.pwrite(handle, rest, at)
                at, rest = at + written, rest[written:]

    def reserve(self, rows: int) -> bool:
        """Make the file long enough for so many slots; whether it had content before."""
        with self._reported():
            handle = self._opened()
            size = os.fstat(handle).st_size
            if size < rows * self.slot:
                os.ftruncate(handle, rows * self.slot)
        return size > 0

    def clear(self, row: int, used: int) -> None:
        """Zeros in slot `row` behind its first `used` bytes, without filling holes of the file."""
        at, end = row * self.slot + used, (row + 1) * self.slot
        with self._reported():
            handle = self._opened()
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
            with self._reported():
                os.close(handle)

    def _opened(self) -> int:
        if self._handle is None:
            self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        return self._handle

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except OSError as problem:
            raise OutputError(f"cannot be written ({problem.strerror})", file=self.path) from None


def shorten(path: Path, size: int) -> None:
    """Cut a file off behind its first `size` bytes, if it is longer."""
    try:
        if path.stat().st_size > size:
            os.truncate(path, size)
    except FileNotFoundError:
        return
    except OSError as problem:
        raise OutputError(f"cannot be written ({problem.strerror})", file=path) from None
