"""Decoding the stored chunks of a dataset outside the HDF5 library, which decodes one at a time for all threads.

The filters are those that detectors and beamlines use; libraries do the work. For another filter there is no decoder,
and the HDF5 library reads the dataset (docs/theory/archive.md#chunks-of-hdf5).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

import h5py
import numpy as np
from numcodecs import blosc, lz4, zstd
from numpy.typing import NDArray

from midas.archive import Pixel
from midas.archive.codecs import blosc_size

Bytes: TypeAlias = bytes | memoryview
#: bytes of a chunk to those before the filter was applied; the second argument is how many these are
Step: TypeAlias = Callable[[Bytes, int], Bytes]

#: numbers of the filters as the HDF Group registers them
_DEFLATE, _SHUFFLE, _BLOSC, _LZ4_FILTER, _BITSHUFFLE, _ZSTD_FILTER = 1, 2, 32001, 32004, 32008, 32015
#: settings of the bitshuffle filter: element size, block size, and what compresses the blocks
_BITSHUFFLE_LZ4, _BITSHUFFLE_ZSTD = 2, 3
# The header of a Blosc 1 frame: versions, flags (bits shuffled; one stream a block; the codec from bit 5 on), size of
# an element, then the sizes of the content, of a block and of the frame.
_BLOSC_HEADER = struct.Struct("<BBBBIII")
_BITS_SHUFFLED, _UNSPLIT, _LZ4, _ZSTD = 0x04, 0x10, 1 << 5, 4 << 5


@dataclass(frozen=True)
class Decoder:
    """From the bytes of a stored chunk to its pixels; any number of threads may call it at once.

    Parameters
    ----------
    chunk : shape
    dtype : of the pixels as they are stored
    steps : to be taken back, the last filter first
    """

    chunk: tuple[int, ...]
    dtype: np.dtype[Pixel]
    steps: tuple[Step, ...]

    @property
    def size(self) -> int:
        """Bytes of the pixels of a chunk."""
        return prod(self.chunk) * self.dtype.itemsize

    def __call__(self, raw: Bytes, left_out: int = 0) -> NDArray[Pixel]:
        """The pixels; the bits of `left_out` are the filters that were not applied to this chunk, the first one lowest.

        ValueError and the codecs' own exceptions when the bytes do not fit.
        """
        for number, step in enumerate(self.steps, 1):
            if not left_out >> (len(self.steps) - number) & 1:
                raw = step(raw, self.size)
        if len(raw) != self.size:
            raise ValueError(f"{len(raw)} bytes of pixels instead of {self.size}")
        return np.frombuffer(raw, self.dtype).reshape(self.chunk)


def decoder(dataset: h5py.Dataset) -> Decoder | None:
    """The decoder for the chunks of a dataset; None if it is not stored in chunks, or by a filter of another kind."""
    settings = dataset.id.get_create_plist()
    if dataset.chunks is None or dataset.is_virtual or settings.get_external_count():
        return None
    filters = [settings.get_filter(i) for i in range(settings.get_nfilters())]
    steps = [_step(number, values, dataset.dtype) for number, _, values, _ in filters]
    known = tuple(step for step in reversed(steps) if step is not None)
    return Decoder(dataset.chunks, dataset.dtype, known) if len(known) == len(steps) else None


def _step(number: int, values: tuple[int, ...], dtype: np.dtype[Pixel]) -> Step | None:
    """What takes a filter back, by its registered number and the settings stored with it."""
    if number == _DEFLATE:
        return _inflated
    if number == _SHUFFLE and values and values[0] == dtype.itemsize:
        return _Unshuffled(dtype.itemsize)
    if number == _BITSHUFFLE and len(values) >= 5 and values[2] == dtype.itemsize:
        codec = {_BITSHUFFLE_LZ4: _LZ4, _BITSHUFFLE_ZSTD: _ZSTD}.get(values[4])
        return None if codec is None else _Blocks(codec | _BITS_SHUFFLED, dtype.itemsize)
    if number == _LZ4_FILTER:
        return _Blocks(_LZ4, 1)
    if number == _ZSTD_FILTER:
        return _unzstd
    return _unblosc if number == _BLOSC else None


def _inflated(raw: Bytes, size: int) -> Bytes:
    stream = zlib.decompressobj()
    pixels = stream.decompress(raw, size + 1)  # one more, so that it comes to the checksum at the end
    if not stream.eof and len(pixels) <= size:
        raise ValueError("incomplete or truncated stream")
    return pixels


def _unzstd(raw: Bytes, size: int) -> Bytes:
    out = np.empty(size, np.uint8)
    zstd.decompress(raw, out)
    return out.data


def _unblosc(raw: Bytes, size: int) -> Bytes:
    if (content := blosc_size(bytes(raw))) != size:
        raise ValueError(f"{content} bytes of pixels instead of {size}")
    out = np.empty(size, np.uint8)
    blosc.decompress(raw, out)
    return out.data


@dataclass(frozen=True)
class _Unshuffled:
    """The bytes of each element stand together again; the filter had put all first ones first, then all second ones."""

    width: int

    def __call__(self, raw: Bytes, size: int) -> Bytes:
        if len(raw) != size:
            raise ValueError(f"{len(raw)} bytes of pixels instead of {size}")
        out = np.empty((size // self.width, self.width), np.uint8)
        planes = np.frombuffer(raw, np.uint8).reshape(self.width, -1)
        for byte in range(self.width):
            out[:, byte] = planes[byte]
        return out.reshape(-1).data


@dataclass(frozen=True)
class _Blocks:
    """Bitshuffle (LZ4 or Zstd inside) and the LZ4 filter: blocks, each with its stored size before it.

    Their blocks are those of a Blosc 1 frame but for the byte order of the sizes and the table of their places, so that
    Blosc decodes them. A block whose stored size is its full size is plain in Blosc and in the LZ4 filter, but not in
    bitshuffle: such a block is decompressed before.
    """

    flags: int
    width: int

    def __call__(self, raw: Bytes, size: int) -> Bytes:
        total, block = struct.unpack_from(">QI", raw)
        if total != size or block == 0 or block % self.width:
            raise ValueError(f"{total} bytes of pixels instead of {size}, in blocks of {block}")
        shuffled = self.flags & _BITS_SHUFFLED
        # bits are shuffled among eight elements; up to seven at the end stand as they are
        coded = size - size % (8 * self.width) if shuffled else size
        block = min(block, coded)
        count = -(-coded // block) if coded else 0
        if 4 * count > len(raw):
            raise ValueError(f"{count} blocks in {len(raw)} bytes")
        places, end = _places(raw, count)
        out = np.empty(size, np.uint8)
        if coded:
            content = np.frombuffer(raw, np.uint8)[:end].copy()
            content[places[:, None] + np.arange(4)] = content[places[:, None] + np.arange(3, -1, -1)]
            if shuffled:
                self._plain_where_full(content, places, block, coded)
            head = _BLOSC_HEADER.size + 4 * len(places)
            frame = _BLOSC_HEADER.pack(2, 1, self.flags | _UNSPLIT, self.width, coded, block, head + end - 12)
            table = (places - 12 + head).astype("<i4").tobytes()
            blosc.decompress(frame + table + content[12:].tobytes(), out[:coded])
        rest = np.frombuffer(raw, np.uint8)[end:]
        if rest.size != size - coded:
            raise ValueError(f"{rest.size} bytes after the last block instead of {size - coded}")
        out[coded:] = rest
        return out.data

    def _plain_where_full(self, content: NDArray[np.uint8], places: NDArray[np.int64], block: int, coded: int) -> None:
        stored = content[places[:, None] + np.arange(4)].view("<u4").ravel()
        full = np.full(len(places), block)
        full[-1] = coded - block * (len(places) - 1)
        for i in np.flatnonzero(stored == full):
            part = content[places[i] + 4 : places[i] + 4 + full[i]]
            if self.flags & _ZSTD == _ZSTD:
                zstd.decompress(part.tobytes(), part)
            else:
                lz4.decompress(struct.pack("<I", full[i]) + part.tobytes(), part)


def _places(raw: Bytes, count: int) -> tuple[NDArray[np.int64], int]:
    """Where the stored size of each block stands, and where the last block ends."""
    places = np.empty(count, np.int64)
    place = 12
    for i in range(count):
        places[i] = place
        place += 4 + int.from_bytes(raw[place : place + 4], "big")
    if place > len(raw):
        raise ValueError("the last blocks are not there")
    return places, place
