"""Ways to spoil a file that know how ZIP, TIFF and HDF5 are built; see `mutations`."""

from __future__ import annotations

import random
import re
import struct
import zlib
from collections.abc import Mapping, Sequence

from midas._ext.numerics.lookup3 import lookup3

from .mutations import EDGES, Step, flipped, integer, moved, within

# ZIP: docs/theory/archive.md#archive-layout

_LOCAL, _ENTRY, _END = struct.Struct("<4s5H3L2H"), struct.Struct("<4s6H3L5H2L"), struct.Struct("<4s4H2LH")
_ENTRY_MARK, _END_MARK = b"PK\1\2", b"PK\5\6"
#: places and widths of the numbers in an entry of the directory, in a local header and at the end
_FIELDS = {
    _ENTRY_MARK: ((8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2), (32, 2), (42, 4)),
    b"PK\3\4": ((6, 2), (8, 2), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2)),
    _END_MARK: ((8, 2), (10, 2), (12, 4), (16, 4), (20, 2)),
    b"PK\6\6": ((4, 8), (24, 8), (32, 8), (40, 8), (48, 8)),
    b"PK\6\7": ((8, 8), (16, 4)),
}
_NAMES = ("", "/", ".", "..", "../x", "/x", "a\nb", "\x1b[2J", "x" * 70_000, "exchange/data/.zarray", "\ud800", "C:\\x")


def zip_field(data: bytes, source: random.Random) -> bytes:
    """A number of a record of a ZIP file."""
    mark = source.choice(list(_FIELDS))
    places = [found.start() for found in re.finditer(re.escape(mark), data)]
    if not places:
        return integer(data, source)
    offset, width = source.choice(_FIELDS[mark])
    at = source.choice(places) + offset
    value = source.choice((*EDGES, len(data), len(data) - 1, 8, 12, 0x800, 0x801))
    return data[:at] + (value % (1 << 8 * width)).to_bytes(width, "little") + data[at + width :]


def zip_large(data: bytes, source: random.Random) -> bytes:
    """An entry says that its numbers are in a ZIP64 field, which holds edge values."""
    places = [found.start() for found in re.finditer(re.escape(_ENTRY_MARK), data)]
    end = data.rfind(_END_MARK)
    if not places or end < 0:
        return integer(data, source)
    at = source.choice(places)
    entry = bytearray(data[at : at + _ENTRY.size])
    if len(entry) < _ENTRY.size:
        return data
    for offset in (20, 24, 42):
        if source.random() < 0.7:
            entry[offset : offset + 4] = b"\xff" * 4
    values = [source.choice(EDGES) for _ in range(source.choice((0, 1, 2, 3, 3, 3)))]
    extra = struct.pack(f"<2H{len(values)}Q", 1, source.choice((8 * len(values), 0, 3, 0xFFFF)), *values)
    names, old = struct.unpack_from("<2H", entry, 28)
    struct.pack_into("<H", entry, 30, (old + len(extra)) % 65536)
    name_end = at + _ENTRY.size + names
    head = bytearray(data[end:])
    if len(head) >= _END.size:
        struct.pack_into("<L", head, 12, (struct.unpack_from("<L", head, 12)[0] + len(extra)) % (1 << 32))
    return data[:at] + bytes(entry) + data[at + _ENTRY.size : name_end] + extra + data[name_end:end] + bytes(head)


def zip_member(steps: Mapping[str, Step]) -> Step:
    """What a member holds is spoiled, with a right checksum; or its name, or it is missing or there twice.

    Parameters
    ----------
    steps : by the end of the member's name, what spoils it; "" fits every name
    """

    def member(data: bytes, source: random.Random) -> bytes:
        members = zip_members(data)
        if not members:
            return integer(data, source)
        at = source.randrange(len(members))
        name, content = members[at]
        match source.randrange(12):
            case 0:
                del members[at]
            case 1:
                members.append((source.choice(members)[0], content))
            case 2:
                members[at] = (source.choice(_NAMES), content)
            case 3:
                members[at] = (name, source.choice(members)[1])
            case _:
                step = next(step for ending, step in steps.items() if name.endswith(ending))
                members[at] = (name, step(content, source))
        return zipped(members, deflated=source.random() < 0.1)

    return member


def zip_members(data: bytes) -> list[tuple[str, bytes]]:
    """Names and contents of the stored and deflated members, as the directory tells; empty if there is none."""
    end = data.rfind(_END_MARK)
    if end < 0 or len(data) - end < _END.size:
        return []
    at = _END.unpack_from(data, end)[6]
    members = []
    while data[at : at + 4] == _ENTRY_MARK and len(data) - at >= _ENTRY.size:
        fields = _ENTRY.unpack_from(data, at)
        method, stored, names, extra, note, place = fields[4], fields[8], *fields[10:13], fields[-1]
        name = data[at + _ENTRY.size : at + _ENTRY.size + names].decode("utf-8", "surrogateescape")
        at += _ENTRY.size + names + extra + note
        if len(data) - place < _LOCAL.size:
            continue
        begin = place + _LOCAL.size + sum(struct.unpack_from("<2H", data, place + 26))
        content = data[begin : begin + stored]
        if method == 8:
            try:
                content = zlib.decompress(content, -15)
            except zlib.error:
                continue
        members.append((name, content))
    return members


def zipped(members: Sequence[tuple[str, bytes]], deflated: bool = False) -> bytes:
    """A ZIP file with these members."""
    parts: list[bytes] = []
    entries: list[bytes] = []
    position = 0
    for name, content in members:
        raw = name.encode("utf-8", "surrogatepass")[:0xFFFF]
        packed = content
        if deflated:
            coder = zlib.compressobj(1, wbits=-15)
            packed = coder.compress(content) + coder.flush()
        numbers = (0x800, 8 * deflated, 0, 33, zlib.crc32(content), len(packed), len(content), len(raw))
        part = _LOCAL.pack(b"PK\3\4", 20, *numbers, 0) + raw + packed
        entries.append(_ENTRY.pack(_ENTRY_MARK, 20, 20, *numbers, 0, 0, 0, 0, 0, position) + raw)
        parts.append(part)
        position += len(part)
    directory = b"".join(entries)
    count = len(entries) & 0xFFFF
    return b"".join([*parts, directory, _END.pack(_END_MARK, 0, 0, count, count, len(directory), position, 0)])


# TIFF

#: methods of compression, and tags
_TIFF_NUMBERS = (5, 8, 32773, 32946, 50000, 254, 256, 257, 258, 259, 273, 277, 278, 279, 322, 323, 324, 325, 339)


def tiff_entry(data: bytes, source: random.Random) -> bytes:
    """A tag, type, count or value of a list of tags becomes another one."""
    if len(data) < 16:
        return integer(data, source)
    order = "little" if data[:2] == b"II" else "big"
    large = data[2:4] in (b"+\0", b"\0+")
    wide, head, size = (8, 8, 20) if large else (4, 2, 12)
    at = int.from_bytes(data[8:16] if large else data[4:8], order)
    for _ in range(source.choice((0, 0, 0, 1, 2))):  # to a later page
        count = int.from_bytes(data[at : at + head], order)
        at = int.from_bytes(data[at + head + count * size :][:wide], order) or at
    count = int.from_bytes(data[at : at + head], order)
    if source.random() < 0.1 or not 0 < count < 1000:
        place, width = (at, head) if source.random() < 0.5 else (at + head + count * size, wide)
    else:
        entry = at + head + source.randrange(count) * size
        place, width = source.choice(
            ((entry, 2), (entry + 2, 2), (entry + 4, wide), (entry + 4 + wide, wide), (entry + 4 + wide, 2))
        )
    value = source.choice((*EDGES, *_TIFF_NUMBERS))
    return data[:place] + (value % (1 << 8 * width)).to_bytes(width, order) + data[place + width :]


# HDF5

_MARKS = b"\x89HDF TREE HEAP SNOD OHDR OCHK GCOL FRHP FHDB FHIB FADB FAHD EAHD EAIB EASB BTHD BTLF BTIN SMTB"
_HDF5_BLOCKS = re.compile(_MARKS.replace(b" ", b"|"))


def hdf5_block(data: bytes, source: random.Random) -> bytes:
    """A number near the beginning of a block of metadata; checksums of object headers are made right again."""
    places = [found.start() for found in _HDF5_BLOCKS.finditer(data)]
    if not places:
        return integer(data, source)
    start = source.choice(places)
    length = source.choice((16, 64, 256, 512))
    spoiled = within(start, min(len(data), start + length), source.choice((integer, integer, flipped, moved)))
    out = spoiled(data, source)
    return resealed(out) if b"OHDR" in data and len(out) == len(data) else out


def resealed(data: bytes) -> bytes:
    """The object headers of version 2 with the checksums of what they hold now."""
    out = bytearray(data)
    for found in re.finditer(rb"OHDR\x02", data):
        at = found.start()
        flags = data[at + 5] if at + 5 < len(data) else 0
        head = 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        size = int.from_bytes(data[at + head : at + head + width], "little")
        end = at + head + width + size
        if size < 4096 and end + 4 <= len(data):
            out[end : end + 4] = lookup3(bytes(out[at:end])).to_bytes(4, "little")
    return bytes(out)
