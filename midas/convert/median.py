"""The median of many frames, pixel by pixel, in a bounded part of the memory (docs/theory/archive.md#median-dark)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import chain, islice
from pathlib import Path

import h5py
import numpy as np
import tifffile
from numpy.typing import NDArray

from midas.archive import DARK, Pixel
from midas.archive.writer import Frame
from midas.convert.source import UNKNOWN, FrameSource, made
from midas.runtime.errors import FormatError, UsageError
from midas.runtime.files import atomic_output
from midas.runtime.parallel import ordered_map, pool

#: memory for the pixels of all frames that are sorted at once
MEMORY = 512 << 20
_GE_HEADER = 8192
_GE_SUFFIXES = (".ge", ".ge1", ".ge2", ".ge3", ".ge4", ".ge5")
_TIFF_SUFFIXES = (".tif", ".tiff")
_HDF5_SUFFIXES = (".h5", ".hdf5")
#: of files of bare pixels
_BARE_SUFFIXES = ("", ".bin", ".raw")


def median(
    files: Sequence[FrameSource], first: int = 0, *, threads: int = 1, memory: int = MEMORY
) -> tuple[NDArray[Pixel], int]:
    """The median over the frames from number `first` on; of an even number the lower of the two in the middle.

    Parameters
    ----------
    files : with the frames, of one size and type; they are read several times when the frames do not fit into `memory`
    threads : that decode frames and sort pixels; they do not change the result
    memory : bytes for the pixels that are sorted at once

    Returns
    -------
    (rows, columns) in the type of the pixels, and the number of frames that count.

    Raises
    ------
    FormatError : no frames are left, or they change while they are read.
    """
    frames = _Frames(files, first)
    _, rows, columns = files[0].shape
    out = np.empty((rows, columns), frames.dtype)
    height = max(1, min(rows, memory // (frames.count * columns * frames.dtype.itemsize)))
    for top in range(0, rows, height):
        band = slice(top, min(top + height, rows))
        out[band] = _median_of(frames.band(band, threads), threads)
    return out, frames.count


class _Frames:
    """The frames of several files as one stack, of which the first ones do not count."""

    def __init__(self, files: Sequence[FrameSource], first: int):
        self._files, self._first = files, first
        self.dtype = files[0].dtype
        for file in files:
            if file.shape[1:] != files[0].shape[1:] or file.dtype != self.dtype:
                reason = f"has frames of {file.shape[1:]} pixels, {file.dtype.name}; the first file has "
                raise FormatError(f"{reason}{files[0].shape[1:]}, {self.dtype.name}", file=file.path)
        # A compressed stream tells how many frames it has only at its end.
        counts = [sum(1 for _ in file.frames()) if file.shape[0] == UNKNOWN else file.shape[0] for file in files]
        self.count = sum(counts) - first
        if self.count < 1:
            raise FormatError(f"has {sum(counts)} frames, of which {first} are to be skipped", file=files[0].path)

    def band(self, band: slice, threads: int) -> NDArray[Pixel]:
        """(frames, rows of the band, columns) of all frames."""
        stack = np.empty((self.count, band.stop - band.start, self._files[0].shape[2]), self.dtype)

        def cut(frame: Frame) -> NDArray[Pixel]:
            return made(frame)[band]

        frames = islice(chain.from_iterable(file.frames() for file in self._files), self._first, None)
        number = 0
        for number, part in enumerate(ordered_map(cut, frames, threads), 1):
            if number <= self.count:
                stack[number - 1] = part
        if number != self.count:
            reason = f"has {number} frames where {self.count} were announced; is it complete?"
            raise FormatError(reason, file=self._files[-1].path)
        return stack


def _median_of(stack: NDArray[Pixel], threads: int) -> NDArray[Pixel]:
    """Sort every pixel's values up to the middle one."""
    middle = (len(stack) - 1) // 2
    out = np.empty(stack.shape[1:], stack.dtype)

    def sort(row: int) -> None:
        out[row] = np.partition(stack[:, row], middle, axis=0)[middle]

    with pool(threads) as workers:
        list(workers.map(sort, range(stack.shape[1])))
    return out


def check_extension(path: Path) -> None:
    """Refuse a file whose name says that it is what `write_frame` cannot write.

    Raises
    ------
    UsageError : the extension is none of those that it knows.
    """
    suffix = path.suffix.lower()
    if suffix in (*_TIFF_SUFFIXES, *_HDF5_SUFFIXES, *_GE_SUFFIXES, *_BARE_SUFFIXES):
        return
    known = " ".join((*_TIFF_SUFFIXES, *_HDF5_SUFFIXES))
    reason = f"'{suffix}' cannot be written; it can be {known}, .ge and .ge1 to .ge5, or, for the pixels alone, .bin, "
    raise UsageError(f"{reason}.raw or no extension", file=path)


def write_frame(path: Path, frame: NDArray[Pixel], *, plain: bool = False) -> None:
    """Write one frame, complete or not at all.

    Parameters
    ----------
    path : its extension says what is written: TIFF, HDF5 (``exchange/dark``), GE with a header of 8192 bytes that are
        0, else the pixels alone
    plain : the pixels alone, little-endian, row by row, whatever the file is called
    """
    suffix = "" if plain else path.suffix.lower()
    pixels = np.ascontiguousarray(frame, frame.dtype.newbyteorder("<"))
    with atomic_output(path) as stream:
        if suffix in _TIFF_SUFFIXES:
            stream.write(tiff(pixels))
        elif suffix in _HDF5_SUFFIXES:
            stream.write(_hdf5(pixels))
        else:
            stream.write(bytes(_GE_HEADER) if suffix in _GE_SUFFIXES else b"")
            stream.write(pixels.tobytes())


def tiff(pixels: NDArray[np.generic]) -> bytes:
    """One grey image as an uncompressed TIFF file."""
    content = io.BytesIO()  # so that it is one ordinary write, with ordinary errors
    tifffile.imwrite(content, pixels, photometric="minisblack")
    return content.getvalue()


def _hdf5(pixels: NDArray[Pixel]) -> bytes:
    content = io.BytesIO()  # the library does not survive a disk that is full
    with h5py.File(content, "w") as file:
        file.create_dataset(DARK, data=pixels[np.newaxis], track_times=False)
    return content.getvalue()
