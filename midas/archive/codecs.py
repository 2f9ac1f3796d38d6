"""The codecs with which the chunks of an archive are decoded, and no others (docs/theory/archive.md#rules-for-readers).

The ``.zarray`` documents of an archive name their codecs, and the registry of numcodecs would make any of that name:
``pickle``, which runs what a chunk says, and whatever other packages have registered. An archive comes from outside, so
that the registry is never asked. The codecs here are those that archives hold (blosc and, for text, vlen-utf8) and the
usual ones of Zarr for numbers; each decodes at most as many bytes as its chunk can need, whatever the chunk states.
"""

from __future__ import annotations

import bz2
import lzma
import re
import reprlib
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Protocol, TypeAlias

import numcodecs
import numpy as np
from numcodecs import blosc
from numpy.typing import NDArray

#: the settings of a codec, as in a ``.zarray``
Settings: TypeAlias = Mapping[str, object]
#: a chunk between two codecs
Chunk: TypeAlias = bytes | NDArray[np.generic]

#: what is between numbers and bytes, by the name in a ``.zarray``
COMPRESSORS = ("blosc", "bz2", "gzip", "lz4", "lzma", "zlib", "zstd")
FILTERS = ("delta", "shuffle")
#: what turns bytes into an array of text
TEXT_CODECS = ("vlen-bytes", "vlen-utf8")

_ALL = (*COMPRESSORS, *FILTERS, *TEXT_CODECS)
_TYPE = re.compile("[<>|=]?[biufcmMOSUV][0-9]{0,9}")
_BLOSC_HEADER = struct.Struct("<4B3I")
_BLOSC1_VERSION = 2
_ZSTD_MARK = b"\x28\xb5\x2f\xfd"


class _Stream(Protocol):
    """What decompresses a stream piece by piece."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _Filter(Protocol):
    """A codec between arrays of numbers."""

    def decode(self, buf: Chunk, /) -> Chunk: ...


_STREAMS: dict[str, Callable[[], _Stream]] = {
    "bz2": bz2.BZ2Decompressor,
    "gzip": partial(zlib.decompressobj, zlib.MAX_WBITS | 16),
    # a stream of any size may ask for a dictionary of 4 GiB; those of the strongest settings take 65 MiB
    "lzma": partial(lzma.LZMADecompressor, memlimit=128 << 20),
    "zlib": zlib.decompressobj,
}


def check(settings: Sequence[Settings], text: bool) -> None:
    """ValueError unless an array can be decoded with these codecs.

    Parameters
    ----------
    settings : of each codec, as in a ``.zarray``, in the order of decoding
    text : whether the elements are objects, which must be text
    """
    names = [one.get("id") for one in settings]
    for name in names:
        if name not in _ALL:
            known = f"{', '.join(_ALL[:-1])} and {_ALL[-1]}"
            raise ValueError(
                f"names the codec {reprlib.repr(name)}; others than {known} are never used, because decoding may run "
                "code: write this dataset again with one of these, or leave it out"
            )
    if text and (not names or names[-1] not in TEXT_CODECS):
        raise ValueError(f"has objects as elements, but none of the codecs of text ({', '.join(TEXT_CODECS)})")
    if any(name in TEXT_CODECS for name in (names[:-1] if text else names)):
        raise ValueError(f"has a codec of text among {', '.join(map(str, names))}, where bytes are expected")
    for name, one in zip(names, settings, strict=True):
        if name in FILTERS:
            _filter(str(name), one)


def decode(settings: Settings, coded: Chunk, elements: int, limit: int) -> Chunk:
    """One step of the decoding of a chunk.

    Parameters
    ----------
    settings : of a codec that passed `check`
    coded : bytes, or the array that another codec returned
    elements : of the chunk
    limit : bytes that the result may have

    Returns
    -------
    Bytes, or an array.

    Raises
    ------
    ValueError, and the libraries' own exceptions : the chunk is damaged, or too large.
    """
    name = str(settings["id"])
    if name in FILTERS:
        return _filter(name, settings).decode(coded)
    raw = coded if isinstance(coded, bytes) else np.ascontiguousarray(coded).tobytes()
    if name in TEXT_CODECS:
        return _texts(name, raw, elements)
    if name in _STREAMS:
        return _inflated(name, raw, limit)
    size = _SIZES[name](raw)
    if size > limit:
        raise ValueError(f"{name}: {size} bytes, where at most {limit} are expected")
    out = np.empty(size, np.uint8)
    if size:
        _BLOCKS[name](raw, out)  # no library writes past the end of what it is given
    return out


def blosc_size(raw: bytes) -> int:
    """Size of the content of a Blosc frame; ValueError unless the frame is whole."""
    if len(raw) < _BLOSC_HEADER.size:
        raise ValueError("no Blosc frame")
    version, _, _, _, size, _, stored_size = _BLOSC_HEADER.unpack_from(raw)
    if version != _BLOSC1_VERSION:
        raise ValueError(f"Blosc frame of format {version}; only format {_BLOSC1_VERSION} (Blosc 1) can be read")
    if stored_size != len(raw):
        raise ValueError(f"{len(raw)} bytes instead of {stored_size}")
    return int(size)


def element_type(code: object) -> np.dtype[np.generic]:
    """The type that a ``.zarray`` means: one kind, one size, nothing compound. ValueError for anything else."""
    if not isinstance(code, str) or not _TYPE.fullmatch(code):
        raise ValueError(f"has elements of type {reprlib.repr(code)}")
    try:
        return np.dtype(code)
    except TypeError as error:
        raise ValueError(f"cannot be understood ({error})") from None


def _filter(name: str, settings: Settings) -> _Filter:
    """The filter; ValueError for settings that numbers cannot have."""
    if name == "shuffle":
        size = settings.get("elementsize", 4)
        if not isinstance(size, int) or not 0 < size < 256:
            raise ValueError(f"has a shuffle filter of elementsize {reprlib.repr(size)}")
        shuffle: _Filter = numcodecs.Shuffle.from_config({"elementsize": int(size)})
        return shuffle
    given = [settings.get(key) for key in ("dtype", "astype") if settings.get(key) is not None]
    try:
        types = [element_type(one) for one in given]
        if settings.get("dtype") is None or any(one.kind not in "iuf" for one in types):
            raise ValueError
    except ValueError:
        raise ValueError(f"has a delta filter of type {reprlib.repr(given)}") from None
    delta: _Filter = numcodecs.Delta(*types)
    return delta


def _inflated(name: str, raw: bytes, limit: int) -> bytes:
    """The content of a compressed stream, which must be all there is."""
    stream = _STREAMS[name]()
    content = stream.decompress(raw, limit + 1)
    if len(content) > limit:
        raise ValueError(f"{name}: more than the {limit} bytes that are expected")
    if not stream.eof or stream.unused_data:
        raise ValueError(f"{name}: the compressed data end {'too late' if stream.eof else 'too early'}")
    return content


def _lz4_size(raw: bytes) -> int:
    return int.from_bytes(raw[:4], "little")


def _zstd_size(raw: bytes) -> int:
    """What the header of a Zstandard frame states as the size of its content (RFC 8878, section 3.1.1.1)."""
    if not raw.startswith(_ZSTD_MARK) or len(raw) < 6:
        raise ValueError("no Zstandard frame")
    descriptor = raw[4]
    single = descriptor >> 5 & 1
    width = (single, 2, 4, 8)[descriptor >> 6]
    if width == 0:
        raise ValueError("a Zstandard frame that does not state its size")
    start = 5 + (1 - single) + (0, 1, 2, 4)[descriptor & 3]
    return int.from_bytes(raw[start : start + width], "little") + (256 if width == 2 else 0)


_SIZES: dict[str, Callable[[bytes], int]] = {"blosc": blosc_size, "lz4": _lz4_size, "zstd": _zstd_size}
_BLOCKS: dict[str, Callable[[bytes, NDArray[np.uint8]], object]] = {
    "blosc": blosc.decompress,
    "lz4": numcodecs.LZ4().decode,
    "zstd": numcodecs.Zstd().decode,
}


def _texts(name: str, raw: bytes, elements: int) -> NDArray[np.generic]:
    """Texts behind their number, each behind its length. numcodecs believes the number before it sees the texts."""
    count = int.from_bytes(raw[:4], "little")
    if len(raw) < 4 + 4 * count or count != elements:
        raise ValueError(f"{name}: {count} texts in {len(raw)} bytes, where {elements} are expected")
    codec = numcodecs.VLenUTF8() if name == "vlen-utf8" else numcodecs.VLenBytes()
    return np.asarray(codec.decode(raw), dtype=object)
