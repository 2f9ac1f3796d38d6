"""The median of many frames, pixel by pixel, in a bounded part of the memory (docs/theory/archive.md#median-dark)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import tifffile
from numpy.typing import NDArray

from midas.archive import DARK, Pixel
from midas.archive.writer import Frame
from midas.convert.source import FrameSource
from midas.runtime.errors import FormatError, OutputError
from midas.runtime.files import atomic_output
from midas.runtime.parallel import ordered_map

#: memory for the pixels of all frames that are sorted at once
MEMORY = 512 << 20
_GE_HEADER = 8192
_GE_SUFFIXES = (".ge", ".ge1", ".ge2", ".ge3", ".ge4", ".ge5")


def median(source: FrameSource, first: int = 0, *, threads: int = 1, memory: int = MEMORY) -> NDArray[Pixel]:
    """The median over the frames from number `first` on; of an even number the lower of the two in the middle.

    Parameters
    ----------
    source : of the frames; it is read several times when they do not fit into `memory`
    threads : that decode frames and sort pixels; they do not change the result
    memory : bytes for the pixels that are sorted at once

    Returns
    -------
    (rows, columns) in the type of the pixels.

    Raises
    ------
    FormatError : no frames are left, or fewer come than the file announces.
    """
    total, rows, columns = source.shape
    count = total - first
    if count < 1:
        raise FormatError(f"has {total} frames, of which {first} are to be skipped", file=source.path)
    out = np.empty((rows, columns), source.dtype)
    height = max(1, min(rows, memory // (count * columns * source.dtype.itemsize)))
    for top in range(0, rows, height):
        band = slice(top, min(top + height, rows))
        out[band] = _median_of(_band(source, first, band, threads), threads)
    return out


def _band(source: FrameSource, first: int, band: slice, threads: int) -> NDArray[Pixel]:
    """(frames, rows of the band, columns) of all frames."""
    count = source.shape[0] - first
    stack = np.empty((count, band.stop - band.start, source.shape[2]), source.dtype)

    def cut(frame: Frame) -> NDArray[Pixel]:
        return (frame() if callable(frame) else frame)[band]

    number = 0
    for number, part in enumerate(ordered_map(cut, source.frames(first), threads), 1):
        stack[number - 1] = part
    if number != count:
        raise FormatError(f"has {number} frames where {count} were announced; is it complete?", file=source.path)
    return stack


def _median_of(stack: NDArray[Pixel], threads: int) -> NDArray[Pixel]:
    """Sort every pixel's values up to the middle one."""
    middle = (len(stack) - 1) // 2
    out = np.empty(stack.shape[1:], stack.dtype)

    def sort(row: int) -> None:
        out[row] = np.partition(stack[:, row], middle, axis=0)[middle]

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(sort, range(stack.shape[1])))
    return out


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
        if suffix in (".tif", ".tiff"):
            tifffile.imwrite(stream, pixels)
        elif suffix in (".h5", ".hdf5"):
            _write_hdf5(stream.name, path, pixels)
        else:
            stream.write(bytes(_GE_HEADER) if suffix in _GE_SUFFIXES else b"")
            stream.write(pixels.tobytes())


def _write_hdf5(partial: str, path: Path, pixels: NDArray[Pixel]) -> None:
    try:
        with h5py.File(partial, "w") as file:
            file.create_dataset(DARK, data=pixels[np.newaxis], track_times=False)
    except (OSError, RuntimeError) as error:
        raise OutputError(f"cannot be written ({error})", file=path) from None
