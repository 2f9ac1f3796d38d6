"""The frames of one dataset, its stored chunks decoded where the frames are made: in the compressing threads.

One thread reads the bytes of the chunks in their order. A chunk of several frames, or of a part of a frame, is decoded
once; see docs/theory/archive.md#chunks-of-hdf5.
"""

from __future__ import annotations

import itertools
import logging
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import h5py
import numpy as np
from numpy.typing import NDArray

from midas.archive import Pixel
from midas.archive.writer import Frame
from midas.convert.raw_pixels import RawPixels
from midas.convert.readers.hdf5_storage import Chunked, Contiguous, Stored
from midas.convert.source import BLOCK_BYTES
from midas.formats.hdf5 import FAILURES, text_name
from midas.runtime.errors import FormatError, one_line

log = logging.getLogger(__name__)

#: decoded frames that share chunks are in memory together, up to so many bytes of them
_SHARED_BYTES = 128 << 20
#: below this size the next frames that share chunks are decoded while threads would wait
_AHEAD_BYTES = 48 << 20

#: rows, columns
Size: TypeAlias = tuple[int, int]
#: first frame, row and column of a chunk; and how many it has of each
Start: TypeAlias = tuple[int, int, int]


@dataclass(frozen=True)
class Place:
    """Where the frames of a dataset are: which of them, and in a dataset of several channels in which."""

    first: int
    last: int
    channel: int | None = None

    def selection(self, first: int, last: int, *rest: slice) -> tuple[slice | int, ...]:
        """The index of frames `first` to `last` in the dataset."""
        return (slice(first, last), *(() if self.channel is None else (self.channel,)), *rest)


def can_read(stored: Stored, place: Place) -> bool:
    """Whether the frames can be read here: chunks that share frames must fit into memory as they are stored."""
    if not isinstance(stored.how, Chunked):
        return stored.how is not None
    depth = stored.how.decode.chunk[0]
    layer = int(stored.how.sizes.sum()) * depth // stored.shape[0]
    return depth == 1 or layer <= _SHARED_BYTES


def frames_of(stored: Stored, place: Place) -> Iterator[Frame]:
    """The frames of a dataset that `can_read` accepts, in their order."""
    try:
        if isinstance(stored.how, Chunked):
            with open(stored.path, "rb", buffering=0) as stream:
                yield from _decoded(stored, place, _ChunkReader(stored, stored.how, stream.fileno()))
        elif isinstance(stored.how, Contiguous):
            pixels = RawPixels(stored.path, stored.path, (stored.shape[-2], stored.shape[-1]), stored.dtype)
            for number in range(place.first, place.last):
                yield partial(pixels.frame, stored.how.offset + number * stored.frame_bytes)
    except OSError as error:
        raise FormatError(f"cannot be read ({error.strerror})", file=stored.path) from None


def blocks_of(dataset: h5py.Dataset, place: Place, block: int = -1) -> Iterator[NDArray[Pixel]]:
    """The frames as the library reads them, several at once; `block` is how many (-1: as is good)."""
    if dataset.ndim == 2:
        yield _read(dataset, ())[np.newaxis]
        return
    frame_bytes = dataset.shape[-2] * dataset.shape[-1] * dataset.dtype.itemsize
    depth = dataset.chunks[0] if dataset.chunks else 1
    if block < 1:  # whole chunks, so that none is decompressed twice, as far as memory goes
        block = min(max(1, BLOCK_BYTES // (frame_bytes * depth)) * depth, max(1, _SHARED_BYTES // frame_bytes))
    first = place.first
    while first < place.last:
        last = min((first // block + 1) * block, place.last)
        yield _read(dataset, place.selection(first, last))
        first = last


def _read(dataset: h5py.Dataset, selection: tuple[slice | int, ...]) -> NDArray[Pixel]:
    """What the library reads; FormatError naming the dataset, and its first chunk that cannot be read."""
    try:
        pixels: NDArray[Pixel] = dataset[selection]
    except FAILURES as error:
        where = _broken_chunk(dataset, selection)
        reason = f"{where}cannot be read ({one_line(error)}); the file is damaged"
        raise FormatError(reason, file=dataset.file.filename, key=text_name(dataset.name).lstrip("/")) from None
    return pixels


def _broken_chunk(dataset: h5py.Dataset, selection: tuple[slice | int, ...]) -> str:
    """The first chunk of a part of a dataset that the library cannot read, as the subject of a sentence."""
    if not dataset.chunks or dataset.is_virtual:
        return ""
    given = (slice(i, i + 1) if isinstance(i, int) else i for i in selection)
    every = (slice(0, n) for n in dataset.shape[len(selection) :])
    for part in dataset.iter_chunks((*given, *every)):
        try:
            dataset[part]
        except FAILURES:
            start = tuple(s.start // c * c for s, c in zip(part, dataset.chunks, strict=True))
            return f"the chunk at {start} "
    return ""


def _decoded(stored: Stored, place: Place, reader: _ChunkReader) -> Iterator[Frame]:
    decode, size = reader.decode, reader.size
    depth = decode.chunk[0]
    if depth == 1 and decode.chunk[-2:] == size:
        for i in range(place.first, place.last):
            (piece,) = reader.pieces(i, i + 1)
            yield partial(_whole, piece)
        reader.report()
        return
    frame_bytes = stored.frame_bytes
    together = min(depth, max(1, _SHARED_BYTES // frame_bytes))
    if decode.chunk[-2:] == size:
        together = depth  # a chunk is decoded as a whole, so that it takes no more memory to keep all of it
    if together < depth:
        log.info(
            "%s: %s: its chunks of %d frames are decoded %d times; with chunks of one frame it would be faster",
            *(stored.path, stored.key, depth, -(-depth // together)),
        )
    slabs = _slabs(reader, place, depth, together)
    ahead = together * frame_bytes <= _AHEAD_BYTES
    slab = next(slabs, None)
    while slab is not None:
        following = next(slabs, None) if ahead else None
        yield from slab.frames(following)
        slab = following if ahead else next(slabs, None)
    reader.report()


def _slabs(reader: _ChunkReader, place: Place, depth: int, together: int) -> Iterator[_Slab]:
    """The frames of one layer of chunks after the other, or parts of them where they are too large."""
    first = place.first
    while first < place.last:
        last = min((first // depth + 1) * depth, place.last)
        pieces = reader.pieces(first, last)
        for begin in range(first, last, together):
            end = min(begin + together, last)
            yield _Slab((end - begin, *reader.size), [piece.cut(begin, end) for piece in pieces])
        first = last


@dataclass(frozen=True)
class _Piece:
    """A stored chunk, to be decoded, and where its pixels belong.

    Parameters
    ----------
    make : the pixels of the chunk's frames, rows and columns; FormatError if it cannot be decoded
    frames : which frames of it count
    rows, columns : of the frames
    """

    make: Callable[[], NDArray[Pixel]]
    first: int
    frames: slice
    rows: slice
    columns: slice

    def cut(self, begin: int, end: int) -> _Piece:
        """The same chunk for some of its frames, by their numbers in the dataset."""
        return _Piece(self.make, self.first, slice(begin - self.first, end - self.first), self.rows, self.columns)


class _ChunkReader:
    """Reads chunks as they are stored, without decoding them."""

    def __init__(self, stored: Stored, how: Chunked, descriptor: int):
        self._path, self._name, self._how, self._descriptor = stored.path, stored.key, how, descriptor
        self.decode = how.decode
        self._chunk: Start = (how.decode.chunk[0], how.decode.chunk[-2], how.decode.chunk[-1])
        self._channels = len(how.decode.chunk) == 4
        self._absent = 0
        self.size: Size = (stored.shape[-2], stored.shape[-1])

    def report(self) -> None:
        """Say how many chunks were never written."""
        if self._absent:
            reason = "%s: %s: %d of its chunks were never written, their pixels are %s; was the scan broken off?"
            log.warning(reason, self._path, self._name, self._absent, self._how.fill)

    def pieces(self, first: int, last: int) -> list[_Piece]:
        """The chunks of frames `first` to `last`, which are of one layer of chunks."""
        depth, height, width = self._chunk
        start = first // depth * depth
        grid = itertools.product(range(0, self.size[0], height), range(0, self.size[1], width))
        found = []
        for row, column in grid:
            rows = slice(row, min(row + height, self.size[0]))
            columns = slice(column, min(column + width, self.size[1]))
            make = self._stored((start, row, column))
            found.append(_Piece(make, start, slice(first - start, last - start), rows, columns))
        return found

    def _stored(self, start: Start) -> Callable[[], NDArray[Pixel]]:
        """What makes the pixels of the chunk that starts there from its bytes."""
        number = self._how.find(start)
        if number < 0:
            self._absent += 1
            return partial(np.full, self._chunk, self._how.fill, self._how.fill.dtype)
        size, place = int(self._how.sizes[number]), int(self._how.places[number])
        raw = os.pread(self._descriptor, size, place)
        while 0 < len(raw) < size and (more := os.pread(self._descriptor, size - len(raw), place + len(raw))):
            raw += more  # Linux reads at most 2 GiB at once
        return partial(self._made, raw, int(self._how.masks[number]), start)

    def _made(self, raw: bytes, left_out: int, start: Start) -> NDArray[Pixel]:
        try:
            chunk = self.decode(raw, left_out)
        except Exception as error:  # each codec has its own exceptions
            reason = f"the chunk at {start} (frame, row, column) cannot be decoded ({one_line(error)})"
            raise FormatError(reason, file=self._path, key=self._name) from None
        pixels: NDArray[Pixel] = chunk[:, 0] if self._channels else chunk
        return pixels


def _whole(piece: _Piece) -> NDArray[Pixel]:
    """The one frame of a chunk."""
    frame: NDArray[Pixel] = piece.make()[piece.frames][0]
    return frame


class _Slab:
    """Frames that share chunks: whichever thread comes first decodes the next chunk, and all wait for the last one."""

    def __init__(self, shape: tuple[int, int, int], pieces: list[_Piece]):
        self._shape = shape
        self._waiting = iter(pieces)
        self._undecoded, self._untaken = len(pieces), shape[0]
        self._lock, self._done = threading.Lock(), threading.Event()
        self._pixels: NDArray[Pixel] | None = None
        self._error: BaseException | None = None
        self._following: _Slab | None = None

    def frames(self, following: _Slab | None) -> Iterator[Frame]:
        """The frames, as functions for the compressing threads; while these would wait, they begin `following`."""
        self._following = following
        return (partial(self._frame, i) for i in range(self._shape[0]))

    def _frame(self, number: int) -> NDArray[Pixel]:
        while self._decode_next():
            pass
        ahead = self._following
        while ahead is not None and not self._done.is_set() and ahead._decode_next():
            pass
        self._done.wait()
        if self._error is not None:
            raise self._error
        assert self._pixels is not None
        frame: NDArray[Pixel] = self._pixels[number]
        if self._shape[0] > 1:
            frame = frame.copy()  # the others may go as soon as the last of them has been taken
        with self._lock:
            self._untaken -= 1
            if not self._untaken:
                self._pixels = self._following = None
        return frame

    def _decode_next(self) -> bool:
        """Decode the next chunk that no thread has begun; False if there is none."""
        with self._lock:
            piece = next(self._waiting, None)
        if piece is None:
            return False
        try:
            height, width = (s.stop - s.start for s in (piece.rows, piece.columns))
            chunk = piece.make()[piece.frames, :height, :width]
            with self._lock:
                if self._pixels is None:
                    alone = chunk.shape == self._shape
                    self._pixels = chunk if alone else np.empty(self._shape, chunk.dtype)
            if self._pixels is not chunk:
                self._pixels[:, piece.rows, piece.columns] = chunk
        except BaseException as error:
            self._error = error
        with self._lock:
            self._undecoded -= 1
            if not self._undecoded:
                self._done.set()
        return True
