"""Which reader takes which raw file (docs/theory/archive.md#conversion)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from midas.convert.existing import ArchivedFrames
from midas.convert.hdf5 import HDF5Frames
from midas.convert.source import FrameSource
from midas.convert.sparse import SparseFrames
from midas.runtime.errors import FormatError, UsageError

READERS: dict[str, Callable[[Path, str], FrameSource]] = {
    ".h5": HDF5Frames,
    ".hdf5": HDF5Frames,
    ".npz": SparseFrames,
    ".zip": ArchivedFrames,
}


def open_source(path: Path, location: str) -> FrameSource:
    """The reader for a file, by its extension; `location` is the dataset of the frames in files that hold several."""
    extension = path.suffix.lower()
    make = READERS.get(extension)
    if make is None:
        known = " ".join(sorted(READERS))
        raise UsageError(f"raw files of type '{extension}' are not supported yet; only {known}", file=path)
    if not path.is_file():
        raise FormatError("is missing", file=path)
    return make(path, location)
