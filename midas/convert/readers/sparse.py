"""Sparse frame caches (``.npz``): of each frame the pixels that are not 0, as HEXRD writes them.

See docs/theory/archive.md#sparse-caches.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from midas.archive import Pixel
from midas.archive.writer import Frame
from midas.convert.source import Reading, checked_pixels
from midas.runtime.errors import FormatError, one_line


class SparseFrames:
    """Frame i is ``<i>_row``, ``<i>_col``, ``<i>_data``; the sizes are ``shape``, ``nframes``, ``dtype``, ``omega``."""

    def __init__(self, path: Path, reading: Reading):
        self.path = path
        with _opened(path) as cache:
            sizes = self._entry(cache, "shape").ravel()
            count = self._entry(cache, "nframes").ravel()
            numbers = sizes.dtype.kind in "iu" and count.dtype.kind in "iu"
            if not numbers or sizes.size != 2 or count.size != 1 or min(*sizes, *count) < 1:
                raise FormatError(f"has {count} frames of shape {sizes}", file=path)
            self.shape: tuple[int, int, int] = (int(count[0]), int(sizes[0]), int(sizes[1]))
            self.dtype = checked_pixels(self._pixel_type(cache), path)
            self.omegas = self._omegas(cache)

    def frames(self, first: int = 0, block: int = -1) -> Iterator[Frame]:
        with _opened(self.path) as cache:
            for i in range(first, self.shape[0]):
                rows, columns, values = (self._entry(cache, f"{i}_{part}") for part in ("row", "col", "data"))
                self._check(i, rows, columns, values)
                yield partial(self._dense, rows, columns, values)

    def masked(self) -> NDArray[np.bool_] | None:
        return None

    def _dense(
        self, rows: NDArray[np.generic], columns: NDArray[np.generic], values: NDArray[np.generic]
    ) -> NDArray[Pixel]:
        frame = np.zeros(self.shape[1:], self.dtype)
        frame[rows, columns] = values
        return frame

    def _pixel_type(self, cache: NpzFile) -> np.dtype[np.generic]:
        """The type of that name: one word, because NumPy evaluates what looks like a compound type."""
        names = self._entry(cache, "dtype").ravel()[:1].tolist()
        name = "".join(n.decode(errors="replace") if isinstance(n, bytes) else str(n) for n in names)
        if name.lstrip("<>=|").isalnum():
            with suppress(TypeError):
                return np.dtype(name)
        raise FormatError(f"names no type of pixels: {name!r}", file=self.path, key="dtype")

    def _check(
        self, frame: int, rows: NDArray[np.generic], columns: NDArray[np.generic], values: NDArray[np.generic]
    ) -> None:
        if not rows.shape == columns.shape == values.shape or rows.ndim != 1:
            raise FormatError("rows, columns and data differ in length", file=self.path, key=f"{frame}_data")
        if values.dtype.kind not in "biuf":
            raise FormatError(f"holds pixels of type {values.dtype}", file=self.path, key=f"{frame}_data")
        for name, indices, size in (("row", rows, self.shape[1]), ("col", columns, self.shape[2])):
            if indices.dtype.kind not in "iu":
                raise FormatError("holds no whole numbers", file=self.path, key=f"{frame}_{name}")
            if indices.size and (indices.min() < 0 or indices.max() >= size):
                raise FormatError(f"has an index outside 0 ... {size - 1}", file=self.path, key=f"{frame}_{name}")

    def _omegas(self, cache: NpzFile) -> NDArray[np.float64] | None:
        """Where each frame begins; the file has start and end of each."""
        if "omega" not in cache:
            return None
        ranges = self._entry(cache, "omega")
        if ranges.shape != (self.shape[0], 2) or ranges.dtype.kind not in "iuf" or not np.isfinite(ranges).all():
            raise FormatError(f"must hold start and end of {self.shape[0]} frames", file=self.path, key="omega")
        return np.array(ranges[:, 0], np.float64)

    def _entry(self, cache: NpzFile, name: str) -> NDArray[np.generic]:
        try:
            entry = cache[name]
        except KeyError:
            raise FormatError("is missing; is this a sparse frame cache?", file=self.path, key=name) from None
        except Exception as error:  # NumPy and zipfile have many exceptions, the file is at fault in each
            raise FormatError(f"cannot be read ({one_line(error)})", file=self.path, key=name) from None
        if not isinstance(entry, np.ndarray):  # NumPy hands out as bytes what has not the mark of an array
            raise FormatError("is no array; is this a sparse frame cache?", file=self.path, key=name)
        return entry


@contextmanager
def _opened(path: Path) -> Iterator[NpzFile]:
    """The arrays of the file; what they are is numbers, never objects, whose reading could run code."""
    with ExitStack() as stack:
        try:
            stream = stack.enter_context(open(path, "rb"))  # NumPy would leave a file open that is no archive
            loaded = np.load(stream, allow_pickle=False)
        except Exception as error:  # as above
            raise FormatError(f"cannot be read as a sparse frame cache ({one_line(error)})", file=path) from None
        if isinstance(loaded, np.ndarray):
            raise FormatError("is not a .npz file, but a single array", file=path)
        yield stack.enter_context(loaded)
