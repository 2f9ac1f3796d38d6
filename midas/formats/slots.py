"""Binary files of fixed slots that the members of a run fill in any order (spec chapters 05 §6, 06 §5-7)."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType

from midas.errors import OutputError


class SlotFile:
    """A file in which record r stands at byte r times the size of a slot.

    It is created by the first record written, never truncated by opening it, and ends with its last record; what
    nobody writes is a hole of zeros.
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
        try:
            if self._handle is None:
                self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
            while rest:
                written = os.pwrite(self._handle, rest, at)
                at, rest = at + written, rest[written:]
        except OSError as problem:
            raise OutputError(f"cannot be written ({problem.strerror})", file=self.path) from None

    def shorten(self, rows: int) -> None:
        """Cut off what an earlier, longer run left behind the slots of this one."""
        try:
            if self.path.stat().st_size > rows * self.slot:
                os.truncate(self.path, rows * self.slot)
        except FileNotFoundError:
            return
        except OSError as problem:
            raise OutputError(f"cannot be written ({problem.strerror})", file=self.path) from None

    def close(self) -> None:
        """Close the file; on some file systems a full disk is only noticed here."""
        if self._handle is None:
            return
        handle, self._handle = self._handle, None
        try:
            os.close(handle)
        except OSError as problem:
            raise OutputError(f"cannot be written ({problem.strerror})", file=self.path) from None
