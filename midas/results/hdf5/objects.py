"""Objects of an HDF5 file as bytes: many small ones cost the library 50 µs and 320 bytes each, these 1 µs and 65.

All of them are object headers of version 2, which HDF5 reads since 1.8: "HDF5 File Format Specification Version 3.0",
IV.A.1.b for the headers and IV.A.2 for the messages in them. See docs/formats.md#consolidated-file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import IO, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from midas._ext.numerics.lookup3 import seal

#: bytes, or a number that every object has its own of: its name and type
Part: TypeAlias = bytes | tuple[str, Any]
#: headers of one make, one after the other, with a field for each number
Headers: TypeAlias = NDArray[np.void]

#: stands for no address
UNDEFINED = 2**64 - 1
_NOWHERE = struct.pack("<Q", UNDEFINED)
#: what a message or a compact dataset can hold, and what the other messages of its header leave
MOST_COMPACT = 65535 - 64

# Types of messages
_DATASPACE, _LINK_INFO, _DATATYPE, _FILL, _LINK, _LAYOUT, _GROUP_INFO = 0x01, 0x02, 0x03, 0x05, 0x06, 0x08, 0x0A
_CONTINUATION, _REFERENCES = 0x10, 0x16
#: a message of which only the place of a committed type is in the header
_SHARED = 0x02

#: little-endian numbers as datatype messages: class and version, bit fields, size, and where the parts of it stand
FLOAT64 = b"\x11\x20\x3f\x00" + struct.pack("<IHHBBBBI", 8, 0, 64, 52, 11, 0, 52, 1023)
INT64 = b"\x10\x08\x00\x00" + struct.pack("<IHH", 8, 0, 64)

_SCALAR = b"\x02\x00\x00\x00"
#: no fill value is ever written; the space is there from the beginning, or comes with the data
_FILL_EARLY, _FILL_LATE = b"\x03\x05", b"\x03\x06"


@dataclass(frozen=True)
class _Message:
    kind: int
    parts: tuple[Part, ...]
    flags: int = 0

    def parts_with_head(self) -> list[Part]:
        size = sum(_size(part) for part in self.parts)
        return [struct.pack("<BHB", self.kind, size, self.flags), *self.parts]


def _size(part: Part) -> int:
    return len(part) if isinstance(part, bytes) else np.dtype(part[1]).itemsize


def _header(*messages: _Message, shared: bool = False) -> Headers:
    """One header whose numbers are to be filled in; `shared`: several links lead to it, ``links`` of them."""
    if shared:
        messages = (*messages, _Message(_REFERENCES, (b"\x00", ("links", "<u4"))))
    parts = [part for message in messages for part in message.parts_with_head()]
    parts = [_prefix(sum(map(_size, parts))), *parts, ("checksum", "<u4")]
    names = [f"bytes_{i}" if isinstance(part, bytes) else part[0] for i, part in enumerate(parts)]
    types = [f"V{len(part)}" if isinstance(part, bytes) else part[1] for part in parts]
    header = np.zeros(1, np.dtype(list(zip(names, types, strict=True))))
    for name, part in zip(names, parts, strict=True):
        if isinstance(part, bytes):
            header[name] = np.frombuffer(part, f"V{len(part)}")
    return header


def _prefix(size: int) -> bytes:
    """What a header begins with: `size` is that of its messages."""
    width = 0 if size < 1 << 8 else 1 if size < 1 << 16 else 2
    return b"OHDR\x02" + bytes([width]) + size.to_bytes(1 << width, "little")


# Datasets


def scalar(datatype: bytes, *, shared: bool = False) -> Headers:
    """A dataset that is one number of eight bytes; ``value`` is to be filled in."""
    return _header(*_compact(_Message(_DATATYPE, (datatype,)), "<i8" if datatype == INT64 else "<f8"), shared=shared)


def record(type_address: int, dtype: np.dtype[np.void], *, shared: bool = False) -> Headers:
    """A dataset that is one record of a committed type; ``value`` is to be filled in.

    A record of more than `MOST_COMPACT` bytes stands elsewhere: then ``address`` is to be filled in.
    """
    committed = _Message(_DATATYPE, (b"\x03\x02" + struct.pack("<Q", type_address),), _SHARED)
    if dtype.itemsize <= MOST_COMPACT:
        return _header(*_compact(committed, dtype), shared=shared)
    layout = _Message(_LAYOUT, (b"\x03\x01", ("address", "<u8"), struct.pack("<Q", dtype.itemsize)))
    fill = _Message(_FILL, (_FILL_LATE,))
    return _header(_Message(_DATASPACE, (_SCALAR,)), committed, fill, layout, shared=shared)


def _compact(datatype: _Message, value: Any) -> tuple[_Message, ...]:
    """Messages of a scalar that stands in its own header."""
    layout = _Message(_LAYOUT, (b"\x03\x00" + struct.pack("<H", np.dtype(value).itemsize), ("value", value)))
    return _Message(_DATASPACE, (_SCALAR,)), datatype, _Message(_FILL, (_FILL_EARLY,)), layout


def vector(datatype: bytes, *, shared: bool = False) -> Headers:
    """A dataset of one dimension; ``length``, ``address`` and ``size`` (bytes) are to be filled in."""
    space = _Message(_DATASPACE, (b"\x02\x01\x00\x01", ("length", "<u8")))
    layout = _Message(_LAYOUT, (b"\x03\x01", ("address", "<u8"), ("size", "<u8")))
    return _header(space, _Message(_DATATYPE, (datatype,)), _Message(_FILL, (_FILL_LATE,)), layout, shared=shared)


# Groups

_GROUP = (_Message(_LINK_INFO, (b"\x00\x00" + 2 * _NOWHERE,)), _Message(_GROUP_INFO, (b"\x00\x00",)))


def group(names: Iterable[str], *, shared: bool = False) -> Headers:
    """A group with hard links of these names; for each ``to_<name>``, an address, is to be filled in."""
    links = [_Message(_LINK, (_link_head(name.encode()), (f"to_{name}", "<u8"))) for name in names]
    return _header(*_GROUP, *links, shared=shared)


def _link_head(name: bytes) -> bytes:
    return bytes([1, 0, len(name)]) + name


def group_to_link(names: Sequence[str], addresses: NDArray[np.uint64]) -> bytes:
    """A group with hard links, to which nothing leads yet; without its check sum."""
    heads = [struct.pack("<BHB", _LINK, 11 + len(name), 0) + _link_head(name.encode()) for name in names]
    targets = addresses.astype("<u8").tobytes()
    links = [head + targets[8 * i : 8 * i + 8] for i, head in enumerate(heads)]
    none_yet = _Message(_REFERENCES, (bytes(5),))
    own = b"".join(part for m in (*_GROUP, none_yet) for part in m.parts_with_head() if isinstance(part, bytes))
    messages = own + b"".join(links)
    return _prefix(len(messages)) + messages


# The file


#: bytes of an array that are copied at a time
_BLOCK = 1 << 22


class Appender:
    """Writes behind what a file holds so far.

    Parameters
    ----------
    stream : of a file, whose content begins where the file does
    """

    def __init__(self, stream: IO[bytes]):
        self._stream = stream

    @property
    def end(self) -> int:
        """Where the next bytes will stand."""
        return self._stream.tell()

    def write(self, content: bytes | NDArray[Any]) -> int:
        """Append some bytes; their address."""
        address = self.end
        self._stream.write(content if isinstance(content, bytes) else np.ascontiguousarray(content).data)
        return address

    def array(self, array: NDArray[Any], dtype: np.dtype[Any]) -> int:
        """Append the numbers of an array, row by row, as another type; their address."""
        address, rows = self.end, max(1, _BLOCK * len(array) // array.nbytes) if array.size else 1
        for start in range(0, len(array), rows):
            self.write(np.asarray(array[start : start + rows], dtype))
        return address

    def objects(self, headers: Headers, **numbers: Any) -> NDArray[np.uint64]:
        """Append headers of one make; their addresses.

        Parameters
        ----------
        headers : one, as this module makes them
        numbers : what is to be filled in, an array of n or a number for each name
        """
        count = max(np.size(values) for values in numbers.values())
        rows = np.repeat(headers, count)
        for name, values in numbers.items():
            rows[name] = values
        size, buffer = headers.dtype.itemsize, rows.view(np.uint8)
        starts = size * np.arange(count, dtype=np.int64)
        seal(buffer, starts, starts + (size - 4))
        return self.write(buffer) + starts.astype(np.uint64)

    def whole(self, headers: Sequence[bytes]) -> NDArray[np.uint64]:
        """Append headers that lack their check sums; their addresses."""
        lengths = np.array([len(header) for header in headers], np.int64)
        ends = np.cumsum(lengths + 4) - 4
        buffer = np.frombuffer(bytearray(b"".join(header + bytes(4) for header in headers)), np.uint8)
        seal(buffer, ends - lengths, ends)
        return self.write(buffer) + (ends - lengths).astype(np.uint64)


# Objects that the library has written, with headers of version 1


def place_of_layout(image: bytes | bytearray, address: int) -> int:
    """Where the address of a contiguous dataset's numbers stands in a file; `address` is that of its header."""
    count = _check_version(image, address)
    blocks = [(address + 16, struct.unpack_from("<I", image, address + 8)[0])]
    for start, length in blocks:
        at = start
        while count and at < start + length:
            kind, size = struct.unpack_from("<HH", image, at)
            if kind == _LAYOUT and image[at + 8 : at + 10] == b"\x03\x01":
                return at + 10
            if kind == _CONTINUATION:
                blocks.append(struct.unpack_from("<QQ", image, at + 8))
            at, count = at + 8 + size, count - 1
    raise ValueError(f"no contiguous dataset at {address}")


def add_links(image: bytearray, address: int, count: int) -> None:
    """More links lead to an object than the library knows of: it would go when the last of these is removed."""
    _check_version(image, address)
    (links,) = struct.unpack_from("<I", image, address + 4)
    struct.pack_into("<I", image, address + 4, links + count)


def _check_version(image: bytes | bytearray, address: int) -> int:
    """The number of messages of a header, which must be one of version 1."""
    version, count = struct.unpack_from("<BxH", image, address)
    if version != 1:
        raise ValueError(f"an object header of version {version} at {address}")
    return int(count)


#: where the superblock has the end of the file, and what it begins with: signature, version
_END_OF_FILE, _SUPERBLOCK = 40, b"\x89HDF\r\n\x1a\n\x00"


def end_of_file(image: bytes | bytearray) -> int:
    """The end of the file that its superblock states."""
    if not image.startswith(_SUPERBLOCK):
        raise ValueError("a superblock of another version")
    return int(struct.unpack_from("<Q", image, _END_OF_FILE)[0])


def set_end_of_file(stream: IO[bytes], end: int) -> None:
    """State another one in the file; no check sum guards it."""
    stream.seek(_END_OF_FILE)
    stream.write(struct.pack("<Q", end))
