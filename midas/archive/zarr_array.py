"""Arrays of format Zarr 2: the ``.zarray`` document and the chunks (docs/theory/archive.md#rules-for-readers)."""

from __future__ import annotations

import itertools
import json
import math
import os
from dataclasses import dataclass, field
from types import EllipsisType
from typing import Any, Literal, TypeAlias, TypedDict, TypeGuard

import numpy as np
from numcodecs import blosc
from numpy.typing import NDArray

from midas.archive import codecs
from midas.archive.codecs import Chunk, Settings
from midas.archive.zip_container import Member, ZipReader
from midas.runtime.errors import ArchiveError
from midas.runtime.limits import too_large

# Frames are coded by many threads at once, one frame each: Blosc must neither start threads of its own nor share a
# global state between ours.
blosc.use_threads = False


class BloscSettings(TypedDict):
    """The settings of Blosc, as they stand in a ``.zarray``."""

    id: Literal["blosc"]
    cname: str
    clevel: int
    shuffle: int
    blocksize: int


#: the legacy programs read Blosc-1 frames only; numcodecs writes these. Blocks of 256 KiB are as good as any for lz4.
FRAME_CODEC: BloscSettings = {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 2, "blocksize": 1 << 18}
#: of frames most of whose pixels are 0: half the size and a third of the time. Every Blosc frame says how it is
#: shuffled: the document of the array, which names the codec above, does not matter to who decodes.
SPARSE_CODEC: BloscSettings = {**FRAME_CODEC, "shuffle": 1}
SMALL_CODEC: BloscSettings = {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0}

_LARGEST = 1 << 31
_LARGEST_TEXT = 1 << 24
_LARGEST_DOCUMENT = 1 << 20
_WIDEST_NUMBER = 8
_FLOAT_WORDS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


#: what the pixels of a frame may be
Pixel: TypeAlias = np.integer | np.floating


def is_pixel(dtype: np.dtype[np.generic]) -> TypeGuard[np.dtype[Pixel]]:
    """Whether frames may be of this type."""
    return dtype.kind in "iuf"


def _whole_numbers(key: str, numbers: object) -> tuple[int, ...]:
    """The numbers of a document, where true is none and 180.5 no size."""
    if not isinstance(numbers, list) or not all(type(n) is int for n in numbers):
        raise ValueError(f"has {key} {json.dumps(numbers)}, which must be whole numbers")
    return tuple(numbers)


@dataclass(frozen=True)
class ArrayMetadata:
    """What a ``.zarray`` document says."""

    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: np.dtype[np.generic]
    compressor: Settings | None = None
    filters: list[Settings] | None = None
    fill_value: Any = 0
    order: str = "C"
    separator: str = "."

    @classmethod
    def parse(cls, document: bytes) -> ArrayMetadata:
        """Read a document; ValueError says what is wrong with it."""
        try:
            content = json.loads(document)
        except RecursionError:
            raise ValueError("is nested too deeply") from None
        if not isinstance(content, dict):
            raise ValueError("is not a JSON object")
        if (version := content.get("zarr_format")) != 2:
            raise ValueError(f"has Zarr format {version}, not 2")
        try:
            shape, chunks = (_whole_numbers(key, content[key]) for key in ("shape", "chunks"))
            dtype = codecs.element_type(content["dtype"])
        except KeyError as error:
            raise ValueError(f"has no {error.args[0]}") from None
        except (TypeError, OverflowError) as error:
            raise ValueError(f"cannot be understood ({error})") from None
        if len(shape) != len(chunks) or min(shape, default=0) < 0 or min(chunks, default=1) < 1:
            raise ValueError(f"has shape {list(shape)} and chunks {list(chunks)}")
        order = content.get("order", "C")
        if order not in ("C", "F"):
            raise ValueError(f"has order {order}")
        if dtype.kind not in "biufSUO" or not dtype.itemsize:
            raise ValueError(f"has elements of type {dtype}")
        separator = content.get("dimension_separator", ".")
        if separator not in (".", "/"):
            raise ValueError(f"has dimension_separator {separator!r}")
        if math.prod(chunks) * dtype.itemsize >= _LARGEST:
            raise ValueError(f"has chunks {list(chunks)}, which are too large")
        optional = (content.get("compressor"), content.get("filters"))
        metadata = cls(shape, chunks, dtype, *optional, content.get("fill_value"), order, separator)
        metadata._check()
        return metadata

    def document(self) -> bytes:
        """The document in the layout of the legacy archives: the text ``shape`` nowhere before the shape itself."""
        content = {
            "chunks": self.chunks,
            "compressor": self.compressor,
            "dtype": self.dtype.str,
            "fill_value": self.fill_value,
            "filters": self.filters,
            "order": self.order,
            "shape": self.shape,
            "zarr_format": 2,
        }
        return json.dumps(content, indent=4, sort_keys=True).encode()

    def _check(self) -> None:
        """ValueError for codecs that are not to be used, and for a fill value that the type cannot hold."""
        filters = [] if self.filters is None else self.filters
        if not isinstance(filters, list) or not all(isinstance(f, dict) for f in filters):
            raise ValueError(f"has filters {self.filters!r}")
        if self.compressor is not None and not isinstance(self.compressor, dict):
            raise ValueError(f"has compressor {self.compressor!r}")
        codecs.check(self.steps(), self.dtype.kind == "O")
        try:
            if np.array(self.fill(), self.native).ndim:
                raise ValueError
        except (TypeError, ValueError, OverflowError, KeyError):
            raise ValueError(f"has fill_value {self.fill_value!r} for numbers of type {self.dtype}") from None

    def steps(self) -> list[Settings]:
        """The settings of the codecs in the order of decoding."""
        return [*([] if self.compressor is None else [self.compressor]), *reversed(self.filters or [])]

    @property
    def limit(self) -> int:
        """How many bytes a chunk can have between two codecs: delta stores wider numbers, a second codec a header."""
        if self.dtype.kind == "O":
            return _LARGEST_TEXT
        widened = any(one["id"] == "delta" for one in self.steps())
        size = math.prod(self.chunks) * max(self.dtype.itemsize, _WIDEST_NUMBER if widened else 0)
        return size + (size >> 6) + 1024

    @property
    def native(self) -> np.dtype[np.generic]:
        """The type of the numbers in memory."""
        return self.dtype.newbyteorder("=")

    def fill(self) -> Any:
        """The value of the elements of a chunk that is not stored."""
        value = self.fill_value
        if value is None or (value == "" and self.dtype.kind != "O"):
            return np.zeros((), self.native)[()]
        if self.dtype.kind == "f" and isinstance(value, str):
            return _FLOAT_WORDS[value]
        return value


@dataclass
class StoredArray:
    """An array in a ZIP file.

    Parameters
    ----------
    container : the open file
    path : name of the array
    """

    container: ZipReader
    path: str
    metadata: ArrayMetadata = field(init=False)

    def __post_init__(self) -> None:
        member = self.container.members.get(f"{self.path}/.zarray")
        if member is None:
            raise ArchiveError("is missing", file=self.container.path, key=self.path)
        try:
            self.metadata = ArrayMetadata.parse(self.container.read(member, _LARGEST_DOCUMENT))
        except ValueError as error:
            raise ArchiveError(f"cannot be read ({error})", file=self.container.path, key=member.name) from None
        self._check_size("a chunk", self.metadata.chunks)

    @property
    def file(self) -> str:
        return os.fspath(self.container.path)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.metadata.shape

    @property
    def dtype(self) -> np.dtype[np.generic]:
        return self.metadata.native

    def holds(self, values: NDArray[np.generic]) -> bool:
        """Whether it is exactly this array, its type included."""
        if self.metadata.dtype != values.dtype or self.shape != values.shape:
            return False
        return self.read().tobytes() == values.tobytes()

    def read(self) -> NDArray[np.generic]:
        """The whole array."""
        self._check_size("the array", self.shape)
        out = np.empty(self.shape, self.dtype)
        chunks = self.metadata.chunks
        grid = (range(-(-length // chunk)) for length, chunk in zip(self.shape, chunks, strict=True))
        for index in itertools.product(*grid):
            start = [i * chunk for i, chunk in zip(index, chunks, strict=True)]
            where = (slice(s, s + chunk) for s, chunk in zip(start, chunks, strict=True))
            # Without the dots an array of no dimensions would give its element.
            place: tuple[slice | EllipsisType, ...] = (*where, ...)
            region = out[place]
            region[...] = self._chunk(index)[tuple(slice(0, n) for n in region.shape)]
        return out

    def read_frame(self, frame: int, out: NDArray[np.generic]) -> None:
        """Element `frame` along the first axis, into `out`; thread safe."""
        depth, *chunks = self.metadata.chunks
        in_place = depth == 1 and tuple(chunks) == out.shape and out.dtype == self.dtype and out.flags.c_contiguous
        if in_place:
            self._chunk((frame,) + (0,) * len(chunks), out)
            return
        grid = (range(-(-length // chunk)) for length, chunk in zip(self.shape[1:], chunks, strict=True))
        for index in itertools.product(*grid):
            region = out[tuple(slice(i * c, (i + 1) * c) for i, c in zip(index, chunks, strict=True))]
            chunk = self._chunk((frame // depth, *index))[frame % depth]
            region[...] = chunk[tuple(slice(0, n) for n in region.shape)]

    def _chunk(self, index: tuple[int, ...], out: NDArray[np.generic] | None = None) -> NDArray[np.generic]:
        """A whole chunk, in the native type; decoded straight into `out` (of the chunk's size) where it is given."""
        metadata = self.metadata
        name = metadata.separator.join(map(str, index)) or "0"
        member = self.container.members.get(f"{self.path}/{name}")
        if member is None:
            target = np.empty(metadata.chunks, metadata.native) if out is None else out
            target[...] = metadata.fill()
            return target
        raw = self.container.read(member, metadata.limit)
        try:
            chunk = _decode(raw, metadata, out)
        except Exception as error:  # each codec has its own exceptions
            raise self._damaged(member, error) from None
        if chunk is not out and out is not None:
            out[...] = chunk.reshape(out.shape)
            return out
        return chunk

    def _check_size(self, what: str, shape: tuple[int, ...]) -> None:
        """ArchiveError for more bytes than this file may ask for."""
        if reason := too_large(math.prod(shape) * self.dtype.itemsize, self.container.size):
            raise ArchiveError(f"{what} of shape {list(shape)} {reason}", file=self.file, key=self.path)

    def _damaged(self, member: Member, error: Exception) -> ArchiveError:
        return ArchiveError(f"cannot be decoded ({error})", file=self.file, key=member.name)


def _decode(raw: bytes, metadata: ArrayMetadata, out: NDArray[np.generic] | None) -> NDArray[np.generic]:
    """The array of a stored chunk. ValueError and the codecs' own exceptions when its bytes do not fit."""
    elements = math.prod(metadata.chunks)
    settings = metadata.steps()
    text = metadata.dtype.kind == "O"
    if metadata.order == "C" and not text and [one["id"] for one in settings] == ["blosc"]:
        size, expected = codecs.blosc_size(raw), elements * metadata.dtype.itemsize
        if size != expected:
            raise ValueError(f"{size} bytes of numbers instead of {expected}")
        if out is None or not metadata.dtype.isnative:
            out = np.empty(metadata.chunks, metadata.dtype)
        if size:
            blosc.decompress(raw, out)
        return out.astype(metadata.native, copy=False)
    buffer: Chunk = raw
    for one in settings:
        buffer = codecs.decode(one, buffer, elements, metadata.limit)
    if text:
        return np.asarray(buffer, dtype=object).reshape(metadata.chunks)
    numbers = np.frombuffer(np.ascontiguousarray(buffer) if isinstance(buffer, np.ndarray) else buffer, metadata.dtype)
    return numbers.reshape(metadata.chunks, order="F" if metadata.order == "F" else "C").astype(metadata.native)


def encode(array: NDArray[np.generic], codec: BloscSettings) -> bytes:
    """One Blosc-1 frame; releases the interpreter lock."""
    frame: bytes = blosc.compress(array, codec["cname"].encode(), codec["clevel"], codec["shuffle"], codec["blocksize"])
    return frame
