"""Sparse frame caches (``.npz``): of each frame the pixels that are not 0, as HEXRD writes them."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from midas.archive.writer import Frame
from midas.convert.source import checked_pixels
from midas.runtime.errors import FormatError


class SparseFrames:
    """Frame i is ``<i>_row``, ``<i>_col``, ``<i>_data``; the sizes are ``shape``, ``nframes``, ``dtype``, ``omega``."""

    def __init__(self, path: Path, location: str = ""):
        self.path = path
        with _opened(path) as cache:
            sizes = self._entry(cache, "shape").ravel()
            count = self._entry(cache, "nframes").ravel()
            if sizes.size != 2 or count.size != 1 or min(*sizes, *count) < 1:
                raise FormatError(f"has {count} frames of shape {sizes}", file=path)
            self.shape: tuple[int, int, int] = (int(count[0]), int(sizes[0]), int(sizes[1]))
            name = self._entry(cache, "dtype").ravel()[0]
            try:
                dtype = np.dtype(name.decode() if isinstance(name, bytes) else str(name))
            except TypeError as error:
                raise FormatError(str(error), file=path, key="dtype") from None
            self.dtype = checked_pixels(dtype, path)
            self.omegas = self._omegas(cache)

    def frames(self, first: int = 0, block: int = -1) -> Iterator[Frame]:
        with _opened(self.path) as cache:
            for i in range(first, self.shape[0]):
                rows, columns, values = (self._entry(cache, f"{i}_{part}") for part in ("row", "col", "data"))
                self._check(i, rows, columns, values)
                yield partial(self._dense, rows, columns, values)

    def _dense(self, rows: NDArray[Any], columns: NDArray[Any], values: NDArray[Any]) -> NDArray[Any]:
        frame = np.zeros(self.shape[1:], self.dtype)
        frame[rows, columns] = values
        return frame

    def _check(self, frame: int, rows: NDArray[Any], columns: NDArray[Any], values: NDArray[Any]) -> None:
        if not rows.shape == columns.shape == values.shape or rows.ndim != 1:
            raise FormatError("rows, columns and data differ in length", file=self.path, key=f"{frame}_data")
        for name, indices, size in (("row", rows, self.shape[1]), ("col", columns, self.shape[2])):
            if indices.dtype.kind not in "iu":
                raise FormatError("holds no whole numbers", file=self.path, key=f"{frame}_{name}")
            if indices.size and (indices.min() < 0 or indices.max() >= size):
                raise FormatError(f"has an index outside 0 ... {size - 1}", file=self.path, key=f"{frame}_{name}")

    def _omegas(self, cache: Any) -> NDArray[np.float64] | None:
        """Where each frame begins; the file has start and end of each."""
        if "omega" not in cache:
            return None
        ranges = self._entry(cache, "omega")
        if ranges.shape != (self.shape[0], 2) or ranges.dtype.kind not in "iuf" or not np.isfinite(ranges).all():
            raise FormatError(f"must hold start and end of {self.shape[0]} frames", file=self.path, key="omega")
        return np.array(ranges[:, 0], np.float64)

    def _entry(self, cache: Any, name: str) -> NDArray[Any]:
        try:
            return cache[name]
        except KeyError:
            raise FormatError("is missing; is this a sparse frame cache?", file=self.path, key=name) from None


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with open(path, "rb") as stream:  # NumPy leaves a file open that is no archive
            loaded = np.load(stream, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                raise FormatError("is not a .npz file, but a single array", file=path)
            with loaded as cache:
                yield cache
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise FormatError(f"cannot be read as a sparse frame cache ({error})", file=path) from None
