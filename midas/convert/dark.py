"""The dark frames of a scan, and their subtraction before the frames are stored (docs/theory/archive.md#dark-frames).

Without a threshold the archive holds raw frames and the real dark, which the peak search subtracts. With one, the dark
is subtracted now, and the archive holds a dark of zeros: it is subtracted once in either case.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from midas.archive import Pixel
from midas.archive.writer import Frame
from midas.convert.readers import open_source
from midas.convert.readers.existing import ArchivedFrames
from midas.convert.readers.hdf5 import SUFFIXES, HDF5Frames, has_dataset
from midas.convert.source import UNKNOWN, FrameSource, Reading, made
from midas.convert.sweep import raw_files
from midas.runtime.errors import FormatError


class Dark:
    """The dark of a scan.

    Parameters
    ----------
    sources : files with its frames; none = there is none
    data : a file of the scan
    skipped : leading frames of each file that do not count. Those of the first one stay in the archive, whose readers
        skip them; of a file that has no others the first frame counts.

    Attributes
    ----------
    shape : of the stack in the archive
    """

    def __init__(self, sources: Sequence[FrameSource], data: FrameSource, skipped: int):
        self._parts: list[tuple[FrameSource, range]] = []
        self._skipped = skipped
        self._dtype = data.dtype
        for source in sources:
            if source.shape[1:] != data.shape[1:]:
                reason = f"the dark has frames of {source.shape[1:]} pixels, the data have {data.shape[1:]}"
                raise FormatError(reason, file=source.path)
            count = sum(1 for _ in source.frames()) if source.shape[0] == UNKNOWN else source.shape[0]
            used = range(skipped, count) if count > skipped else range(1)
            self._parts.append((source, used))
        absent = 10 if isinstance(data, HDF5Frames) else 1  # zero frames in place of a dark, as in legacy archives
        count = skipped + sum(len(used) for _, used in self._parts) if sources else absent
        self.shape: tuple[int, int, int] = (count, data.shape[1], data.shape[2])

    def frames(self) -> Iterator[Frame]:
        """The dark frames, in the type of the data, behind as many as the readers of the archive skip."""
        if not self._parts:
            yield from self.zeros()
            return
        source, used = self._parts[0]
        leading = self._skipped
        if used.start:
            yield from (_as_pixels(made(frame), self._dtype) for frame in islice(source.frames(), leading))
            leading = 0
        for frame in self._used():
            pixels = _as_pixels(frame, self._dtype)
            for _ in range(leading + 1):
                yield pixels
            leading = 0

    def zeros(self) -> Iterator[Frame]:
        """As many frames without anything in them."""
        zero = np.zeros(self.shape[1:], self._dtype)
        return (zero for _ in range(self.shape[0]))

    def mean(self) -> NDArray[np.float64]:
        """Mean of the frames that count."""
        total = np.zeros(self.shape[1:])
        for frame in self._used():
            total += frame
        return total / max(1, sum(len(used) for _, used in self._parts))

    def _used(self) -> Iterator[NDArray[Pixel]]:
        for source, used in self._parts:
            for frame in islice(source.frames(used.start), len(used)):
                yield made(frame)


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
        pixels = made(frame)
        kept = pixels >= self._limit  # False for NaN
        if self._dtype.kind == "f":
            return np.where(kept, np.maximum(np.trunc(pixels) - self._dark, 0), 0).astype(self._dtype)
        if self._dtype.kind == "i":  # below a negative dark the difference may leave the range of the pixels
            difference = np.minimum(np.subtract(pixels, self._dark, dtype=np.int64), np.iinfo(self._dtype.name).max)
            return np.multiply(difference, kept).astype(self._dtype)
        return np.multiply(pixels - self._dark, kept, dtype=self._dtype)


def find_dark(files: Sequence[Path], reading: Reading, data: FrameSource) -> list[FrameSource]:
    """Where the dark frames are.

    In dark files of their own (which must have them: under `reading.location`, or under its last component at the
    root), else beside the frames in the data file; empty when there are none.
    """
    if files:
        return [_dark_file(path, reading, data) for file in files for path in raw_files(file, 1)]
    location = reading.location
    if isinstance(data, HDF5Frames):
        return [open_source(data.file, reading)] if has_dataset(data.file, location, reading.links) else []
    if isinstance(data, ArchivedFrames):
        return [open_source(data.path, reading)] if data.extra_exists(location) else []
    return []


def _dark_file(file: Path, reading: Reading, data: FrameSource) -> FrameSource:
    location = reading.location
    if file.suffix.lower() in SUFFIXES and file.is_file() and not has_dataset(file, location, reading.links):
        short = PurePosixPath(location).name
        if has_dataset(file, short, reading.links):
            reading = replace(reading, location=short)
        elif file.samefile(data.path):
            raise FormatError("no dataset of this name, where darkLoc says that the dark is", file=file, key=location)
    return open_source(file, reading)


def _as_pixels(frame: NDArray[Pixel], dtype: np.dtype[Pixel]) -> NDArray[Pixel]:
    """Numbers of another type (a mean of frames, say) as the nearest pixel values."""
    if frame.dtype == dtype or dtype.kind == "f":
        return frame.astype(dtype, copy=False)
    info = np.iinfo(dtype.name)
    rounded = np.rint(frame) if frame.dtype.kind == "f" else frame
    return np.clip(rounded, info.min, info.max).astype(dtype)
