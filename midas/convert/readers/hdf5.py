"""Frames and metadata from HDF5 files (docs/theory/archive.md#raw-files-in-hdf5)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401  registers the filters of detector software
import numpy as np
from numpy.typing import NDArray

from midas.archive.writer import Frame
from midas.convert.source import BLOCK_BYTES, Reading, checked_pixels
from midas.runtime.errors import FormatError, one_line

log = logging.getLogger(__name__)

#: datasets larger than this are detector data, not metadata, and are not copied
_LARGEST_METADATA = 16 << 20
_COPIED_GROUPS = ("instrument", "measurement")
_NOT_COPIED = "measurement/process"


class HDF5Frames:
    """The frames of one dataset, of three dimensions or, as a single frame, of two."""

    def __init__(self, path: Path, reading: Reading):
        location = reading.location
        self.path, self.location = path, location
        self.omegas: NDArray[np.float64] | None = None
        with _opened(path) as file:
            dataset = file.get(location)
            if not isinstance(dataset, h5py.Dataset):
                reason = f"no dataset of this name; there is {', '.join(_images(file)) or 'none with frames'}"
                raise FormatError(reason, file=path, key=location)
            if dataset.ndim not in (2, 3) or 0 in dataset.shape:
                raise FormatError(f"has shape {dataset.shape}, not (frames, rows, columns)", file=path, key=location)
            self.shape: tuple[int, int, int] = (1,) * (3 - dataset.ndim) + dataset.shape
            self.dtype = checked_pixels(dataset.dtype, path, location)
            depth = dataset.chunks[0] if dataset.chunks and dataset.ndim == 3 else 1
        frame_bytes = self.shape[1] * self.shape[2] * self.dtype.itemsize
        # whole chunks, so that none is decompressed twice
        self._block = max(1, BLOCK_BYTES // (frame_bytes * depth)) * depth

    def frames(self, first: int = 0, block: int = -1) -> Iterator[Frame]:
        size = self._block if block < 1 else block
        with _opened(self.path) as file:
            dataset = file[self.location]
            if dataset.ndim == 2:
                yield dataset[()]
                return
            while first < self.shape[0]:
                last = min((first // size + 1) * size, self.shape[0])
                yield from dataset[first:last]
                first = last

    def masked(self) -> NDArray[np.bool_] | None:
        return None


def has_dataset(path: Path, location: str) -> bool:
    """Whether a file has a dataset of that name."""
    with _opened(path) as file:
        return isinstance(file.get(location), h5py.Dataset)


def metadata(path: Path, scan_values: dict[str, str]) -> Iterator[tuple[str, NDArray[np.generic]]]:
    """Small datasets that an archive takes over.

    Parameters
    ----------
    path : the first file of a scan
    scan_values : name -> where it is in the file, for the values of the scan group

    Yields
    ------
    Path in the archive (a bare name means the scan group) and values.
    """
    with _opened(path) as file:
        for name, location in scan_values.items():
            dataset = file.get(location)
            if isinstance(dataset, h5py.Dataset) and (values := _plain(dataset)) is not None:
                yield name, values
        for group in _COPIED_GROUPS:
            if isinstance(file.get(group), h5py.Group):
                yield from _copied(file[group], group)


def _copied(group: h5py.Group, path: str) -> Iterator[tuple[str, NDArray[np.generic]]]:
    for name in group:
        item = group.get(name)
        target = f"{path}/{name}"
        if isinstance(item, h5py.Group):
            if f"{target}/".startswith(f"{_NOT_COPIED}/"):
                log.debug("%s: the group %s is not copied", group.file.filename, target)
            else:
                yield from _copied(item, target)
        elif isinstance(item, h5py.Dataset) and (values := _plain(item)) is not None:
            yield target, values


def _plain(dataset: h5py.Dataset) -> NDArray[np.generic] | None:
    """The values, as numbers or bytes of one length; None for what an archive does not hold."""
    if dataset.size and dataset.size * dataset.dtype.itemsize <= _LARGEST_METADATA:
        try:
            values = np.asarray(dataset[()])
        except (OSError, TypeError, ValueError) as error:
            log.warning("%s: %s is not copied (%s)", dataset.file.filename, dataset.name, error)
            return None
        if h5py.check_string_dtype(dataset.dtype) is not None:
            values = np.array([v if isinstance(v, bytes) else str(v).encode() for v in values.ravel()])
            return values.reshape(dataset.shape)
        if values.dtype.kind == "b":
            return values.astype(np.uint8)
        if values.dtype.kind in "iuf" and values.dtype.itemsize <= 8:
            return values
    log.debug("%s: %s is not copied", dataset.file.filename, dataset.name)
    return None


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    """The file, with the library's errors, while it is open, as errors about this file."""
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError, KeyError) as error:
        raise FormatError(f"cannot be read as HDF5 ({one_line(error)})", file=path) from None


def _images(file: h5py.File, limit: int = 5) -> list[str]:
    """Names of the datasets that could hold frames."""
    found: list[str] = []

    def visit(name: str, item: object) -> object:
        if isinstance(item, h5py.Dataset) and item.ndim == 3:
            found.append(name)
        return True if len(found) >= limit else None

    file.visititems(visit)
    return found
