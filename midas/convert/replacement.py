"""Images of an archive replaced by those of files (docs/theory/archive.md#changing-a-value)."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from midas.archive import BRIGHT, DARK, DATA, FLOOD, MASK, Archive, set_dataset
from midas.archive.replacement import replace_frames
from midas.convert.flood import read_flood
from midas.convert.mask import read_mask
from midas.convert.readers import open_source
from midas.convert.readers.ge import GEFrames
from midas.convert.source import UNKNOWN, FrameSource, Reading
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
    if name == FLOOD:
        flood = read_flood(file, shape[1:], Reading(location=FLOOD, rows=shape[1], columns=shape[2]))
        set_dataset(archive_path, FLOOD, flood)
        return flood.shape
    source, count = _opened(file, name, shape)
    if source.shape[1:] != shape[1:]:
        raise FormatError(f"has frames of {source.shape[1:]} pixels, the archive has {shape[1:]}", file=file)
    if not np.can_cast(source.dtype, dtype, "safe"):
        reason = f"has pixels of type {source.dtype.name}, the archive of {dtype.name}; convert the scan again"
        raise FormatError(reason, file=file)
    replace_frames(archive_path, name, count, source.frames(), threads=threads)
    return (count, *shape[1:])


def _opened(file: Path, name: str, shape: tuple[int, int, int]) -> tuple[FrameSource, int]:
    """The frames of a file, and how many there are."""
    if not file.is_file():
        raise UsageError("is missing; give the file of the images", file=file, key=name)
    reading = Reading(location=name, rows=shape[1], columns=shape[2], scratch=file.parent)
    if (sizes := _RAW.search(file.name)) is None:
        source = open_source(file, reading)
        return source, sum(1 for _ in source.frames()) if source.shape[0] == UNKNOWN else source.shape[0]
    count, rows, columns = map(int, sizes.groups())
    raw = GEFrames(file, replace(reading, header=0, rows=rows, columns=columns))
    if raw.shape[0] != count:
        raise FormatError(f"has {raw.shape[0]} frames of {rows} x {columns} pixels, not {count}", file=file)
    return raw, count
