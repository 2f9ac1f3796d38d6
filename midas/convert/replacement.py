"""Images of an archive replaced by those of files (docs/theory/archive.md#changing-a-value)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from midas.archive import BRIGHT, DARK, DATA, FLOOD, MASK, Archive, Pixel, set_dataset
from midas.archive.replacement import replace_frames
from midas.archive.writer import Frame
from midas.convert.mask import read_mask
from midas.convert.readers import open_source
from midas.convert.source import FrameSource, Reading
from midas.runtime.errors import FormatError, UsageError

#: what the images of an archive are called
IMAGES = (DATA, DARK, BRIGHT, MASK, FLOOD)
#: frames without a header, of which the name tells the sizes: <frames>x<rows>x<columns>
_RAW = re.compile(r"_(\d+)x(\d+)x(\d+)\.[^.]*$")


def replace_images(archive_path: Path, name: str, file: Path, *, threads: int) -> tuple[int, ...]:
    """Put the images of a file in the place of `name`, one of `IMAGES`.

    Parameters
    ----------
    file : a mask as TIFF; otherwise any raw format, or ``*_<frames>x<rows>x<columns>.<extension>``: uint16, no header

    Returns
    -------
    Shape of what the archive holds now.
    """
    with Archive(archive_path) as archive:
        shape, dtype = archive.frames.shape, archive.frames.dtype
    if name == MASK:
        mask = read_mask(file, shape[1:], dtype)
        set_dataset(archive_path, MASK, mask)
        return mask.shape
    count, size, pixel, frames = _opened(file, name, shape)
    if size != shape[1:]:
        raise FormatError(f"has frames of {size} pixels, the archive has {shape[1:]}", file=file)
    if name == FLOOD:
        flood = np.asarray(_made(next(frames)))[np.newaxis]
        set_dataset(archive_path, FLOOD, flood)
        return flood.shape
    if not np.can_cast(pixel, dtype, "safe"):
        reason = f"has pixels of type {pixel.name}, the archive of {dtype.name}; convert the scan again"
        raise FormatError(reason, file=file)
    replace_frames(archive_path, name, count, frames, threads=threads)
    return (count, *size)


def _opened(
    file: Path, name: str, shape: tuple[int, int, int]
) -> tuple[int, tuple[int, int], np.dtype[Pixel], Iterator[Frame]]:
    """Number, size, type of the frames of a file, and the frames."""
    if not file.is_file():
        raise UsageError("is missing; give the file of the images", file=file, key=name)
    if (sizes := _RAW.search(file.name)) is not None:
        count, rows, columns = map(int, sizes.groups())
        return count, (rows, columns), np.dtype("<u2"), _raw_frames(file, count, rows, columns)
    source: FrameSource = open_source(file, Reading(location=name, rows=shape[1], columns=shape[2]))
    return source.shape[0], source.shape[1:], source.dtype, source.frames()


def _raw_frames(file: Path, count: int, rows: int, columns: int) -> Iterator[Frame]:
    if file.stat().st_size != (expected := 2 * count * rows * columns):
        reason = f"has {file.stat().st_size} bytes; {count} x {rows} x {columns} pixels of two bytes are {expected}"
        raise FormatError(reason, file=file)
    pixels: NDArray[Pixel] = np.memmap(file, "<u2", "r", shape=(count, rows, columns))
    return (partial(np.array, frame) for frame in pixels)


def _made(frame: Frame) -> NDArray[Pixel]:
    return frame() if callable(frame) else frame
