"""Sparse frame caches in HDF5 (``.fch5``): the pixels of all frames one after the other, as HEXRD writes them.

See docs/theory/archive.md#sparse-caches.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from midas.archive import Pixel
from midas.archive.writer import Frame
from midas.convert.readers.hdf5_storage import check_chunks
from midas.convert.readers.sparse import Pixels, begins, described
from midas.convert.source import Reading
from midas.formats.hdf5 import kind_of
from midas.formats.hdf5_links import item_at, opened
from midas.formats.hdf5_values import check_storage, values
from midas.runtime.apart import apart, stream
from midas.runtime.errors import FormatError
from midas.runtime.limits import odd_size

_VERSION = "HEXRD_FRAMECACHE_VERSION"


@dataclass(frozen=True)
class Header:
    """What a cache says about its frames; `bounds` are the pixels of each."""

    shape: tuple[int, int, int]
    dtype: np.dtype[Pixel]
    omegas: NDArray[np.float64] | None
    bounds: NDArray[np.int64]


class SparseHDF5Frames:
    """Frame i is the rows ``frame_ids[2i]`` to ``frame_ids[2i + 1]`` of ``indices`` (row, column) and of ``data``.

    The HDF5 library works in processes of its own, where damage of a file is no harm.
    """

    def __init__(self, path: Path, reading: Reading):
        self.path, self._links = path, reading.links
        header = apart(partial(described_by, path, reading.links), path)
        self.shape, self.dtype, self.omegas, self._bounds = header.shape, header.dtype, header.omegas, header.bounds

    def frames(self, first: int = 0, block: int = -1) -> Iterator[Frame]:
        found = stream(partial(_pixels, self.path, self._bounds[first:], self._links), self.path)
        for number, pixels in enumerate(found, first):
            pixels.check(self.path, number, self.shape, self.dtype)
            yield partial(pixels.dense, self.shape, self.dtype)

    def masked(self) -> NDArray[np.bool_] | None:
        return None


def described_by(path: Path, links: bool) -> Header:
    """The header of a cache; all datasets are followed to where their values lie."""
    with opened(path, links) as file:
        if (version := file.attrs.get(_VERSION, 1)) != 1:
            raise FormatError(f"is a frame cache of version {version}; only version 1 can be read", file=path)
        shape, dtype = described(path, *(values(_dataset(file, name)) for name in ("shape", "nframes", "dtype")))
        if reason := odd_size(shape, dtype.itemsize, path.stat().st_size):
            raise FormatError(reason, file=path)
        omegas = item_at(file, "metadata/omega")
        angles = begins(path, values(omegas), shape[0]) if isinstance(omegas, h5py.Dataset) else None
        return Header(shape, dtype, angles, _frame_bounds(file, path, shape[0]))


def _frame_bounds(file: h5py.File, path: Path, count: int) -> NDArray[np.int64]:
    ids, indices, data = (_dataset(file, name) for name in ("frame_ids", "indices", "data"))
    pixels = indices.shape[0] if indices.ndim == 2 and indices.shape[1] == 2 else -1
    whole = kind_of(ids)
    if pixels != data.size or ids.size != 2 * count or whole is None or whole.kind not in "iu":
        reason = f"has shape {ids.shape} beside indices of {indices.shape} and data of {data.shape}"
        raise FormatError(reason, file=path, key="frame_ids")
    bounds = np.asarray(values(ids), np.int64).reshape(-1, 2)
    if (bounds < 0).any() or (bounds > pixels).any() or (bounds[:, 0] > bounds[:, 1]).any():
        raise FormatError(f"leads outside the {pixels} pixels", file=path, key="frame_ids")
    return bounds


def _pixels(path: Path, bounds: NDArray[np.int64], links: bool) -> Iterator[Pixels]:
    with opened(path, links) as file:
        indices, data = _dataset(file, "indices"), _dataset(file, "data")
        for begin, end in bounds.tolist():
            where = indices[begin:end]
            yield Pixels(where[:, 0], where[:, 1], data[begin:end].reshape(-1))


def _dataset(file: h5py.File, name: str) -> h5py.Dataset:
    dataset = item_at(file, name)
    if not isinstance(dataset, h5py.Dataset):
        raise FormatError("is missing; is this a sparse frame cache?", file=file.filename, key=name)
    check_storage(dataset)
    check_chunks(dataset, Path(file.filename).stat().st_size)
    return dataset
