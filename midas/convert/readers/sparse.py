"""Sparse frame caches (``.npz``): of each frame the pixels that are not 0, as HEXRD writes them.

See docs/theory/archive.md#sparse-caches.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import ZIP_DEFLATED, ZIP_STORED

import numpy as np
from numpy.lib import format as npy
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from midas.archive import Pixel
from midas.archive.writer import Frame
from midas.convert.source import Reading, checked_pixels
from midas.runtime.errors import FormatError, MidasError, one_line
from midas.runtime.limits import odd_size, too_large

#: deflate makes at most so many bytes of one
_DEFLATE_RATIO = 1032
#: arrays of a file that is no cache that are named
_NAMED = 5


class SparseFrames:
    """Frame i is ``<i>_row``, ``<i>_col``, ``<i>_data``; the sizes are ``shape``, ``nframes``, ``dtype``, ``omega``."""

    def __init__(self, path: Path, reading: Reading):
        self.path = path
        with _opened(path) as cache:
            if not any(name in cache for name in ("shape", "nframes", "dtype")):
                held = ", ".join(cache.files[:_NAMED]) + (", ..." if len(cache.files) > _NAMED else "")
                reason = (
                    f"holds {held or 'nothing'}; of .npz files only sparse frame caches can be read: write a TIFF file"
                )
                raise FormatError(reason, file=path)
            entries = (self._entry(cache, name) for name in ("shape", "nframes", "dtype"))
            self.shape, self.dtype = described(path, *entries)
            if 3 * self.shape[0] > len(cache.files):
                reason = f"announces {self.shape[0]} frames, but holds {len(cache.files)} arrays; it is incomplete"
                raise FormatError(reason, file=path)
            if reason := odd_size(self.shape, self.dtype.itemsize, path.stat().st_size):
                raise FormatError(reason, file=path)
            self.omegas = begins(path, self._entry(cache, "omega"), self.shape[0]) if "omega" in cache else None

    def frames(self, first: int = 0, block: int = -1) -> Iterator[Frame]:
        with _opened(self.path) as cache:
            for i in range(first, self.shape[0]):
                pixels = Pixels(*(self._entry(cache, f"{i}_{part}") for part in ("row", "col", "data")))
                pixels.check(self.path, i, self.shape, self.dtype)
                yield partial(pixels.dense, self.shape, self.dtype)

    def masked(self) -> NDArray[np.bool_] | None:
        return None

    def _entry(self, cache: NpzFile, name: str) -> NDArray[np.generic]:
        try:
            return _array(cache, name, self.path)
        except MidasError:
            raise
        except KeyError:
            raise FormatError("is missing; is this a sparse frame cache?", file=self.path, key=name) from None
        except Exception as error:  # NumPy and zipfile have many exceptions, the file is at fault in each
            raise FormatError(f"cannot be read{_said(error)}; it is damaged", file=self.path, key=name) from None


def _array(cache: NpzFile, name: str, path: Path) -> NDArray[np.generic]:
    """The array of that name; NumPy alone would make room for what a header claims before it looks for it."""
    assert cache.zip is not None
    member = cache.zip.getinfo(f"{name}.npy")
    size = path.stat().st_size
    packed = member.compress_size * (_DEFLATE_RATIO if member.compress_type else 1)
    if member.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise FormatError(f"cannot be read (compressed by ZIP method {member.compress_type})", file=path, key=name)
    if member.compress_size > size or member.file_size > packed:
        reason = f"should have {member.file_size} bytes, stored in {member.compress_size}, which a file of {size} bytes"
        raise FormatError(f"{reason} cannot hold; it is damaged", file=path, key=name)
    if reason := too_large(member.file_size, size):
        raise FormatError(reason, file=path, key=name)
    stream = io.BytesIO(cache.zip.read(member))
    if not stream.getvalue().startswith(npy.MAGIC_PREFIX):
        raise FormatError("is no array; is this a sparse frame cache?", file=path, key=name)
    major, _ = npy.read_magic(stream)
    try:
        shape, _, dtype = (npy.read_array_header_1_0 if major == 1 else npy.read_array_header_2_0)(stream)
    except Exception:  # what NumPy says is about its own parser, or how to trust the file
        raise FormatError("has a header that describes no array; it is damaged", file=path, key=name) from None
    if dtype.hasobject:
        raise FormatError("holds Python objects, which are never read, where numbers belong", file=path, key=name)
    claimed = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or claimed != member.file_size - stream.tell():
        reason = f"should be an array of shape {shape} and type {dtype}, which has other than {member.file_size} bytes"
        raise FormatError(f"{reason}; it is damaged", file=path, key=name)
    stream.seek(0)
    array: NDArray[np.generic] = npy.read_array(stream, allow_pickle=False)
    return array


class Pixels(NamedTuple):
    """The pixels of a frame that are not 0, and where they are."""

    rows: NDArray[np.generic]
    columns: NDArray[np.generic]
    values: NDArray[np.generic]

    def check(self, path: Path, frame: int, shape: tuple[int, int, int], dtype: np.dtype[Pixel]) -> None:
        """FormatError unless they can be of that frame, whose pixels have that type."""
        rows, columns, values = self
        if not rows.shape == columns.shape == values.shape or rows.ndim != 1:
            raise FormatError("rows, columns and data differ in length", file=path, key=f"{frame}_data")
        if values.dtype.kind not in "biuf":
            raise FormatError(f"holds pixels of type {values.dtype}", file=path, key=f"{frame}_data")
        for name, indices, size in (("row", rows, shape[1]), ("col", columns, shape[2])):
            if indices.dtype.kind not in "iu":
                raise FormatError("holds no whole numbers", file=path, key=f"{frame}_{name}")
            if indices.size and (indices.min() < 0 or indices.max() >= size):
                raise FormatError(f"has an index outside 0 ... {size - 1}", file=path, key=f"{frame}_{name}")
        if (bad := _unfit(values, dtype)).any():
            reason = f"must hold finite numbers that are pixels of type {dtype}"
            value = f"{values[np.argmax(bad)]:g} (of {np.count_nonzero(bad)} such)"
            raise FormatError(reason, file=path, key=f"{frame}_data", value=value)

    def dense(self, shape: tuple[int, int, int], dtype: np.dtype[Pixel]) -> NDArray[Pixel]:
        """The frame."""
        frame = np.zeros(shape[1:], dtype)
        frame[self.rows, self.columns] = self.values
        return frame


def _unfit(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[np.bool_]:
    """Which values the type of the pixels cannot hold; a fraction is none of them, it is cut."""
    whole = dtype.kind in "iu"
    if values.dtype == dtype and whole:
        return np.zeros(values.shape, np.bool_)
    info = np.iinfo(dtype) if whole else np.finfo(dtype)
    # The largest 64-bit integers are no floating-point numbers: they would round up to one that does not fit.
    above = values >= 2.0 ** np.iinfo(dtype).bits / (1 + (dtype.kind == "i")) if whole else values > info.max
    return np.asarray(~np.isfinite(values) | (values < info.min) | above, np.bool_)


def _said(error: Exception) -> str:
    """What a library says of a file, unless it says how to trust it."""
    text = one_line(error)
    return "" if "pickle" in text.lower() or " object at 0x" in text else f" ({text})"


def described(
    path: Path, shape: NDArray[np.generic], count: NDArray[np.generic], dtype: NDArray[np.generic]
) -> tuple[tuple[int, int, int], np.dtype[Pixel]]:
    """Shape and type of the frames of a cache, from what it says about them, checked."""
    shape, count = shape.ravel(), count.ravel()
    numbers = shape.dtype.kind in "iu" and count.dtype.kind in "iu"
    if not numbers or shape.size != 2 or count.size != 1 or min(*shape, *count) < 1:
        raise FormatError(f"has {count} frames of shape {shape}", file=path)
    return (int(count[0]), int(shape[0]), int(shape[1])), checked_pixels(_pixel_type(path, dtype), path)


def begins(path: Path, ranges: NDArray[np.generic], count: int) -> NDArray[np.float64]:
    """Where each frame begins; a cache has start and end of each."""
    if ranges.shape != (count, 2) or ranges.dtype.kind not in "iuf" or not np.isfinite(ranges).all():
        raise FormatError(f"must hold start and end of {count} frames", file=path, key="omega")
    return np.array(ranges[:, 0], np.float64)


def _pixel_type(path: Path, entry: NDArray[np.generic]) -> np.dtype[np.generic]:
    """The type of that name: one word, because NumPy evaluates what looks like a compound type."""
    names = entry.ravel()[:1].tolist()
    name = "".join(n.decode(errors="replace") if isinstance(n, bytes) else str(n) for n in names)
    if name.lstrip("<>=|").isalnum():
        with suppress(TypeError):
            return np.dtype(name)
    raise FormatError(f"names no type of pixels: {name!r}", file=path, key="dtype")


@contextmanager
def _opened(path: Path) -> Iterator[NpzFile]:
    """The arrays of the file; what they are is numbers, never objects, whose reading could run code."""
    with ExitStack() as stack:
        try:
            stream = stack.enter_context(open(path, "rb"))  # NumPy would leave a file open that is no archive
            loaded = np.load(stream, allow_pickle=False)
        except Exception as error:  # as above
            raise FormatError(f"cannot be read as a sparse frame cache{_said(error)}", file=path) from None
        if isinstance(loaded, np.ndarray):
            raise FormatError("is not a .npz file, but a single array", file=path)
        yield stack.enter_context(loaded)
