"""The dark frames of a scan, and their subtraction before the frames are stored (docs/theory/archive.md#dark-frames).

Without a threshold the archive holds raw frames and the real dark, which the peak search subtracts. With one, the dark
is subtracted now, and the archive holds a dark of zeros: it is subtracted once in either case.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from midas.archive import Pixel
from midas.archive.writer import Frame
from midas.convert.readers import open_source
from midas.convert.readers.existing import ArchivedFrames
from midas.convert.readers.hdf5 import SUFFIXES, HDF5Frames, has_dataset
from midas.convert.source import FrameSource, Reading
from midas.runtime.errors import FormatError


class Dark:
    """The dark of a scan.

    Parameters
    ----------
    source : where its frames are; None = there is none
    data : a file of the scan
    skipped : leading dark frames that do not count

    Attributes
    ----------
    shape : of the stack in the archive
    """

    def __init__(self, source: FrameSource | None, data: FrameSource, skipped: int):
        self._source = source
        self._skipped = skipped
        self._dtype = data.dtype
        absent = 10 if isinstance(data, HDF5Frames) else 1  # zero frames in place of a dark, as in legacy archives
        count = absent if source is None else source.shape[0]
        self.shape: tuple[int, int, int] = (count, data.shape[1], data.shape[2])
        if source is not None and source.shape[1:] != data.shape[1:]:
            reason = f"the dark has frames of {source.shape[1:]} pixels, the data have {data.shape[1:]}"
            raise FormatError(reason, file=source.path)

    def frames(self) -> Iterator[Frame]:
        """The dark frames, in the type of the data."""
        if self._source is None:
            yield from self.zeros()
            return
        for frame in self._source.frames():
            yield _as_pixels(_made(frame), self._dtype)

    def zeros(self) -> Iterator[Frame]:
        """As many frames without anything in them."""
        zero = np.zeros(self.shape[1:], self._dtype)
        return (zero for _ in range(self.shape[0]))

    def mean(self) -> NDArray[np.float64]:
        """Mean of the frames that count; of the first one when no more frames than the skipped ones are there."""
        total = np.zeros(self.shape[1:])
        if self._source is None:
            return total
        if self.shape[0] <= self._skipped:
            return total + _made(next(iter(self._source.frames())))
        for frame in self._source.frames(self._skipped):
            total += _made(frame)
        return total / (self.shape[0] - self._skipped)


class DarkCorrection:
    """A pixel p becomes 0 where p < D + threshold, else max(0, int(p) - int(D)).

    Parameters
    ----------
    dark : (rows, columns) mean of the dark frames D
    threshold : above the dark, at least 0
    dtype : of the pixels, and of the result
    """

    def __init__(self, dark: NDArray[np.float64], threshold: float, dtype: np.dtype[Pixel]):
        self._dtype = dtype
        limit = dark + threshold
        if dtype.kind == "f":
            self._limit, self._dark = limit, np.trunc(dark)
            return
        # For whole numbers p < x is p < ceil(x), so that both arrays have the type of the pixels. No pixel passes a
        # limit beyond the largest value: there that value is subtracted, which leaves 0.
        info = np.iinfo(dtype.name)
        self._limit = np.clip(np.ceil(limit), info.min, info.max).astype(dtype)
        self._dark = np.where(limit > info.max, info.max, np.clip(np.trunc(dark), info.min, info.max)).astype(dtype)

    def __call__(self, frame: Frame) -> NDArray[Pixel]:
        pixels = _made(frame)
        kept = pixels >= self._limit  # False for NaN
        if self._dtype.kind == "f":
            return np.where(kept, np.maximum(np.trunc(pixels) - self._dark, 0), 0).astype(self._dtype)
        if self._dtype.kind == "i":  # below a negative dark the difference may leave the range of the pixels
            difference = np.minimum(np.subtract(pixels, self._dark, dtype=np.int64), np.iinfo(self._dtype.name).max)
            return np.multiply(difference, kept).astype(self._dtype)
        return np.multiply(pixels - self._dark, kept, dtype=self._dtype)


def find_dark(file: Path | None, reading: Reading, data: FrameSource) -> FrameSource | None:
    """Where the dark frames are.

    In a dark file of its own (which must have them: under `reading.location`, or under its last component at the
    root), else beside the frames in the data file; None when there are none.
    """
    location = reading.location
    if file is not None:
        if file.suffix.lower() in SUFFIXES and file.is_file() and not has_dataset(file, location):
            short = PurePosixPath(location).name
            if has_dataset(file, short):
                reading = replace(reading, location=short)
            elif file.samefile(data.path):
                raise FormatError(
                    "no dataset of this name, where darkLoc says that the dark is", file=file, key=location
                )
        return open_source(file, reading)
    if isinstance(data, HDF5Frames):
        return open_source(data.path, reading) if has_dataset(data.path, location) else None
    if isinstance(data, ArchivedFrames):
        return open_source(data.path, reading) if data.extra_exists(location) else None
    return None


def _made(frame: Frame) -> NDArray[Pixel]:
    return frame() if callable(frame) else frame


def _as_pixels(frame: NDArray[Pixel], dtype: np.dtype[Pixel]) -> NDArray[Pixel]:
    """Numbers of another type (a mean of frames, say) as the nearest pixel values."""
    if frame.dtype == dtype or dtype.kind == "f":
        return frame.astype(dtype, copy=False)
    info = np.iinfo(dtype.name)
    rounded = np.rint(frame) if frame.dtype.kind == "f" else frame
    return np.clip(rounded, info.min, info.max).astype(dtype)
