"""Where the pixels of a dataset lie in its file, so that they are read without the HDF5 library.

See docs/theory/archive.md#chunks-of-hdf5. The library is asked once, in a process of its own, and what it says is
compared with the size of the file.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401  registers the filters of detector software
import numpy as np
from h5py import h5t
from numpy.typing import NDArray

from midas.archive import Pixel
from midas.convert.readers.hdf5_filters import Decoder, decoder
from midas.runtime.errors import FormatError
from midas.runtime.limits import odd_size, too_large

#: bytes of the first chunk or row that show whether the places are those in the file
_COMPARED = 4096


@dataclass(frozen=True)
class Contiguous:
    """Frame after frame, as in memory.

    Parameters
    ----------
    offset : of the first frame of the dataset, bytes
    """

    offset: int


@dataclass(frozen=True)
class Chunked:
    """Chunks that can be decoded without the library.

    Parameters
    ----------
    decode : from the bytes of a chunk to its pixels
    starts : (n, 3) first frame, row and column of the stored chunks, sorted
    places : (n,) where they begin, bytes
    sizes : (n,) how long they are
    masks : (n,) filters that were left out
    fill : pixels of chunks that were never written
    """

    decode: Decoder
    starts: NDArray[np.int64]
    places: NDArray[np.int64]
    sizes: NDArray[np.int64]
    masks: NDArray[np.uint32]
    fill: NDArray[Pixel]

    def find(self, start: tuple[int, int, int]) -> int:
        """The number of the chunk that begins there; -1 if it was never written."""
        low, high = 0, len(self.starts)
        for axis, value in enumerate(start):
            column = self.starts[low:high, axis]
            low, high = low + int(np.searchsorted(column, value)), low + int(np.searchsorted(column, value, "right"))
        return low if low < high else -1


@dataclass(frozen=True)
class Stored:
    """A dataset as it is in its file.

    Parameters
    ----------
    shape, dtype : of the frames: (frames, rows, columns), or with channels behind the frames
    how : None where only the library can read it
    path, key : the file that holds it, and its name there
    size : of the file, bytes
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Pixel]
    how: Contiguous | Chunked | None
    path: Path
    key: str
    size: int

    @property
    def frame_bytes(self) -> int:
        return self.shape[-2] * self.shape[-1] * self.dtype.itemsize


def stored(dataset: h5py.Dataset, channel: int | None, size: int | None = None) -> Stored:
    """How a dataset of two, three or four dimensions is stored.

    Parameters
    ----------
    channel : which one counts, of a dataset of four dimensions
    size : of the files that hold the pixels, where these are others (virtual datasets)

    Raises
    ------
    FormatError : it claims more than its file can hold, or lies in files that are no HDF5.
    """
    path, key = Path(dataset.file.filename), dataset.name.lstrip("/")
    size = os.stat(path).st_size if size is None else size
    shape = dataset.shape if dataset.ndim > 2 else (1, *dataset.shape)
    if reason := odd_size((shape[0], *shape[-2:]), dataset.dtype.itemsize, size):
        raise FormatError(reason, file=path, key=key)
    check_chunks(dataset, size)
    dtype = np.dtype(dataset.dtype.str)
    how: Contiguous | Chunked | None = None
    if not dataset.is_virtual and dataset.id.get_type() == h5t.py_create(dtype):
        how = _chunked(dataset, path, channel, size) if dataset.chunks else _contiguous(dataset, path, size)
    return Stored(shape, dtype, how, path, key, size)


def check_chunks(dataset: h5py.Dataset, size: int) -> None:
    """FormatError if the pieces in which a dataset is stored need more memory than its file may ask for."""
    if dataset.chunks and (reason := too_large(prod(dataset.chunks) * dataset.dtype.itemsize, size)):
        chunks = " x ".join(map(str, dataset.chunks))
        reason = f"has chunks of {chunks}, of which each {reason}; write it again with smaller chunks (h5repack)"
        raise FormatError(reason, file=dataset.file.filename, key=dataset.name.lstrip("/"))


def _contiguous(dataset: h5py.Dataset, path: Path, size: int) -> Contiguous | None:
    offset = dataset.id.get_offset()
    if offset is None or dataset.ndim == 4:
        return None
    if offset + dataset.size * dataset.dtype.itemsize > size:
        reason = f"should have {dataset.size * dataset.dtype.itemsize} bytes from byte {offset} on, but the file ends "
        raise FormatError(f"{reason}at {size}; is it complete?", file=path, key=dataset.name.lstrip("/"))
    row = np.ascontiguousarray(dataset[(0,) * (dataset.ndim - 1)]).tobytes()[:_COMPARED]
    return Contiguous(offset) if _bytes(path, offset, len(row)) == row else None


def _chunked(dataset: h5py.Dataset, path: Path, channel: int | None, size: int) -> Chunked | None:
    decode = decoder(dataset)
    if decode is None or (channel is not None and decode.chunk[1] != 1):
        return None
    if dataset.ndim == 2:
        decode = replace(decode, chunk=(1, *decode.chunk))
    found = _places(dataset)
    starts = found["start"]
    if channel is not None:
        found = found[starts[:, 1] == channel]
        starts = np.delete(found["start"], 1, axis=1)
    elif dataset.ndim == 2:
        starts = np.insert(starts, 0, 0, axis=1)
    order = np.lexsort(starts.T[::-1])
    found, starts = found[order], np.ascontiguousarray(starts[order], np.int64)
    ends = found["place"].astype(np.float64) + found["size"]
    if len(found) and (found["place"].min() < 0 or ends.max() > size):
        reason = f"has a chunk that ends at byte {ends.max():.0f}, the file at {size}; is it complete?"
        raise FormatError(reason, file=path, key=dataset.name.lstrip("/"))
    chunk = (decode.chunk[0], *decode.chunk[-2:])
    limits = (dataset.shape[0] if dataset.ndim > 2 else 1, *dataset.shape[-2:])
    # The format allows to write chunks beyond the edge without filters, and does not say so in the chunk.
    beyond = (starts + chunk > limits).any(axis=1) & (found["mask"] == 0) & (found["size"] == decode.size)
    if (decode.steps and beyond.any()) or not _as_the_library(dataset, path, found):
        return None
    fill = np.asarray(dataset.fillvalue, decode.dtype)
    return Chunked(decode, starts, found["place"], found["size"], found["mask"], fill)


def _places(dataset: h5py.Dataset) -> NDArray[np.void]:
    """Start, place, size and mask of every stored chunk."""
    rows: list[tuple[tuple[int, ...], int, int, int]] = []
    extent = range(dataset.ndim)

    def take(info: h5py.h5d.StoreInfo) -> None:
        rows.append((tuple(info.chunk_offset[i] for i in extent), info.byte_offset, info.size, info.filter_mask))

    if hasattr(dataset.id, "chunk_iter"):
        dataset.id.chunk_iter(take)
    else:
        for number in range(dataset.id.get_num_chunks()):
            take(dataset.id.get_chunk_info(number))
    layout = [("start", np.int64, (dataset.ndim,)), ("place", np.int64), ("size", np.int64), ("mask", np.uint32)]
    return np.array(rows, layout)


def _as_the_library(dataset: h5py.Dataset, path: Path, found: NDArray[np.void]) -> bool:
    """Whether the bytes at the place of the first chunk are those that the library reads."""
    if not len(found):
        return True
    one = found[0]
    raw = bytes(dataset.id.read_direct_chunk(tuple(one["start"].tolist()))[1])
    return len(raw) == one["size"] and _bytes(path, int(one["place"]), len(raw)) == raw


def _bytes(path: Path, offset: int, count: int) -> bytes:
    with open(path, "rb", buffering=0) as stream:
        stream.seek(offset)
        return stream.read(count)
