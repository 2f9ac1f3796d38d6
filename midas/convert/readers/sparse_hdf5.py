"""Sparse frame caches in HDF5 (``.fch5``): the pixels of all frames one after the other, as HEXRD writes them.

See docs/theory/archive.md#sparse-caches.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from midas.archive.writer import Frame
from midas.convert.readers.hdf5_files import item_at, opened
from midas.convert.readers.sparse import Pixels, begins, described
from midas.convert.source import Reading
from midas.runtime.errors import FormatError

_VERSION = "HEXRD_FRAMECACHE_VERSION"


class SparseHDF5Frames:
    """Frame i is the rows ``frame_ids[2i]`` to ``frame_ids[2i + 1]`` of ``indices`` (row, column) and of ``data``."""

    def __init__(self, path: Path, reading: Reading):
        self.path = path
        with opened(path) as file:
            if (version := file.attrs.get(_VERSION, 1)) != 1:
                raise FormatError(f"is a frame cache of version {version}; only version 1 can be read", file=path)
            entries = (np.asarray(self._dataset(file, name)[()]) for name in ("shape", "nframes", "dtype"))
            self.shape, self.dtype = described(path, *entries)
            omegas = item_at(file, "metadata/omega")
            self.omegas = None
            if isinstance(omegas, h5py.Dataset):
                self.omegas = begins(path, np.asarray(omegas[()]), self.shape[0])
            self._bounds = self._frame_bounds(file)

    def frames(self, first: int = 0, block: int = -1) -> Iterator[Frame]:
        with opened(self.path) as file:
            indices, data = self._dataset(file, "indices"), self._dataset(file, "data")
            for i in range(first, self.shape[0]):
                begin, end = self._bounds[i]
                where = indices[begin:end]
                pixels = Pixels(where[:, 0], where[:, 1], data[begin:end].reshape(-1))
                pixels.check(self.path, i, self.shape)
                yield partial(pixels.dense, self.shape, self.dtype)

    def masked(self) -> NDArray[np.bool_] | None:
        return None

    def _frame_bounds(self, file: h5py.File) -> NDArray[np.int64]:
        ids, indices, data = (self._dataset(file, name) for name in ("frame_ids", "indices", "data"))
        pixels = indices.shape[0] if indices.ndim == 2 and indices.shape[1] == 2 else -1
        if pixels != data.size or ids.size != 2 * self.shape[0] or ids.dtype.kind not in "iu":
            reason = f"has shape {ids.shape} beside indices of {indices.shape} and data of {data.shape}"
            raise FormatError(reason, file=self.path, key="frame_ids")
        bounds = np.asarray(ids[()], np.int64).reshape(-1, 2)
        if (bounds < 0).any() or (bounds > pixels).any() or (bounds[:, 0] > bounds[:, 1]).any():
            raise FormatError(f"leads outside the {pixels} pixels", file=self.path, key="frame_ids")
        return bounds

    def _dataset(self, file: h5py.File, name: str) -> h5py.Dataset:
        dataset = item_at(file, name)
        if not isinstance(dataset, h5py.Dataset):
            raise FormatError("is missing; is this a sparse frame cache?", file=self.path, key=name)
        return dataset
