"""Frames that stand in a file one after the other, behind a header: GE detectors, and any other raw pixels.

See docs/theory/archive.md#raw-files-of-bare-pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from midas.archive.writer import Frame
from midas.convert import decompressed
from midas.convert.raw_pixels import RawPixels
from midas.convert.source import UNKNOWN, Reading, checked_pixels
from midas.runtime.errors import FormatError

_PIECE = 1 << 20


class GEFrames:
    """A header of any length, then frames of one size and type; their number follows from the size of the file.

    A compressed file is read from beginning to end as it is decompressed. Its number of frames shows only then.
    """

    def __init__(self, path: Path, reading: Reading):
        self.path = path
        self.omegas: NDArray[np.float64] | None = None
        self.dtype = checked_pixels(reading.pixel, path)
        self._header = reading.header
        self._pixels = RawPixels(path, path, (reading.rows, reading.columns), reading.pixel)
        count = UNKNOWN if decompressed.is_compressed(path) else self._count(path.stat().st_size)
        self.shape: tuple[int, int, int] = (count, reading.rows, reading.columns)

    def frames(self, first: int = 0, block: int = -1) -> Iterator[Frame]:
        if self.shape[0] == UNKNOWN:
            yield from self._streamed(first)
            return
        for number in range(first, self.shape[0]):
            yield partial(self._pixels.frame, self._header + number * self._pixels.frame_bytes)

    def masked(self) -> NDArray[np.bool_] | None:
        return None

    def _streamed(self, first: int) -> Iterator[Frame]:
        with decompressed.opened(self.path) as stream:
            size = _skipped(stream, self._header)
            number = 0
            while size == self._header:
                pixels, count = self._pixels.read(stream)
                if count < self._pixels.frame_bytes:
                    size += number * self._pixels.frame_bytes + count
                    break
                if number >= first:
                    yield pixels
                number += 1
        self._count(size)  # it must be whole frames

    def _count(self, size: int) -> int:
        """Frames in a file of that many bytes."""
        rows, columns = self._pixels.shape
        frame_bytes = self._pixels.frame_bytes
        count, rest = divmod(size - self._header, frame_bytes)
        if count > 0 and not rest:
            return count
        keys = "HeadSize, NrPixelsZ, NrPixelsY, RawPixelType"
        frame = f"frames of {rows} x {columns} pixels of {self._pixels.dtype.itemsize} bytes"
        layout = f"a header of {self._header} bytes and {frame} ({keys})"
        if size < self._header + frame_bytes:
            raise FormatError(f"has {size} bytes, too few for {layout}", file=self.path)
        reason = f"has {size} bytes, which is not {layout}: after {count} frames {rest} bytes of {frame_bytes} are left"
        raise FormatError(f"{reason}; is it complete?", file=self.path)


def _skipped(stream: IO[bytes], count: int) -> int:
    """Read over so many bytes; how many there were."""
    done = 0
    while done < count and (piece := stream.read(min(_PIECE, count - done))):
        done += len(piece)
    return done
