"""Frames one after the other behind a header, whatever the file is called."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from midas.archive.writer import Frame
from midas.convert.source import Reading
from midas.runtime.errors import FormatError


class FlatFrames:
    """A file of pixels of one type; the user says of which, and how many there are in a row and column."""

    omegas: NDArray[np.float64] | None = None

    def __init__(self, path: Path, reading: Reading):
        if not path.is_file():
            raise FormatError("is missing", file=path)
        self.path, self.dtype = path, reading.pixel
        self._header = reading.header
        frame_bytes = reading.rows * reading.columns * self.dtype.itemsize
        count, rest = divmod(path.stat().st_size - reading.header, frame_bytes)
        if count < 1 or rest:
            reason = (
                f"has {path.stat().st_size} bytes, which are no whole frames of {reading.rows} x {reading.columns} "
                f"pixels ({self.dtype.name}) behind a header of {reading.header} bytes"
            )
            raise FormatError(reason, file=path)
        self.shape: tuple[int, int, int] = (count, reading.rows, reading.columns)

    def frames(self, first: int = 0, block: int = -1) -> Iterator[Frame]:
        pixels = np.memmap(self.path, self.dtype, "r", self._header, self.shape)
        return (partial(np.array, pixels[i]) for i in range(first, self.shape[0]))

    def masked(self) -> NDArray[np.bool_] | None:
        return None
