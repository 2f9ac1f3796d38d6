"""Raw files of all kinds, a module a format, and which reader takes which file (docs/theory/archive.md#conversion)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from midas.convert.readers.existing import ArchivedFrames
from midas.convert.readers.hdf5 import SUFFIXES, HDF5Frames
from midas.convert.readers.sparse import SparseFrames
from midas.convert.readers.sparse_hdf5 import SparseHDF5Frames
from midas.convert.source import FrameSource, Reading
from midas.runtime.errors import FormatError, UsageError

READERS: dict[str, Callable[[Path, Reading], FrameSource]] = {
    ".fch5": SparseHDF5Frames,
    **dict.fromkeys(SUFFIXES, HDF5Frames),
    ".npz": SparseFrames,
    ".zip": ArchivedFrames,
}


def open_source(path: Path, reading: Reading) -> FrameSource:
    """The reader for a file, by its extension."""
    extension = path.suffix.lower()
    make = READERS.get(extension)
    if make is None:
        known = " ".join(sorted(READERS))
        raise UsageError(f"raw files of type '{extension}' are not supported yet; only {known}", file=path)
    if not path.is_file():
        raise FormatError("is missing", file=path)
    return make(path, reading)
