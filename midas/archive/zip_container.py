"""ZIP files as a container of many small members: random access for threads, and updates that move no data.

See docs/theory/archive.md#replacing-a-dataset.

Three things that the standard library's `zipfile` does not offer and that archives of detector frames need: members are
read with `os.pread`, so that any number of threads read at once from one open file; records of the directory are kept
verbatim, so that a few members can be replaced without rewriting (or reordering) the rest; and a file whose last update
was interrupted is read as it was before that update.
"""

from __future__ import annotations

import logging
import os
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from midas.runtime.errors import ArchiveError, shown
from midas.runtime.files import ordinary

log = logging.getLogger(__name__)

STORED, DEFLATED = 0, 8
_ENCRYPTED = 0x1
_UTF8 = 0x800
_LIMIT16, _LIMIT32 = 0xFFFF, 0xFFFFFFFF

_LOCAL = struct.Struct("<4s5H3L2H")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LONGEST_NAME = 0xFFFF
_LOCATOR64 = struct.Struct("<4sLQL")
_LOCAL_MARK, _ENTRY_MARK, _END_MARK, _END64_MARK, _LOCATOR64_MARK = (
    b"PK\x03\x04",
    b"PK\x01\x02",
    b"PK\x05\x06",
    b"PK\x06\x06",
    b"PK\x06\x07",
)
_DATE = 1 << 5 | 1  # 1 January 1980: the same input gives the same bytes, whenever it is written
_MODE = 0o100644 << 16  # a regular file that its owner may write and everybody may read
_UNIX = 3 << 8

#: how far before the end of the file the directory may end: one interrupted update is far smaller
_SEARCHED = 64 << 20
_WINDOW = 1 << 20
#: readers accept members of less than 2 GiB
LARGEST_MEMBER = (1 << 31) - 1
#: deflate makes at most so many bytes of one (RFC 1951: 258 bytes of two bits)
_DEFLATE_RATIO = 1032


@dataclass(frozen=True, slots=True)
class Member:
    """One member as the directory describes it; `entry` is its record there, byte for byte."""

    name: str
    method: int
    flags: int
    crc: int
    stored_size: int
    size: int
    offset: int
    entry: bytes


class ZipReader:
    """The members of a ZIP file, by name.

    Attributes
    ----------
    entries : every record of the directory, in its order
    members : by name, in order of the directory; where a name occurs twice, the later one
    size : of the file, bytes
    end : where the file ends that the directory describes; what follows is the rest of an interrupted update
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        ordinary(path)
        try:
            self._descriptor = os.open(self.path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        except OSError as error:
            raise ArchiveError(f"cannot be read ({error.strerror})", file=path) from None
        try:
            self._read_directory()
        except OSError as error:
            self.close()
            raise ArchiveError(f"cannot be read ({error.strerror})", file=path) from None
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> ZipReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_descriptor", -1) >= 0:
            self.close()

    def read(self, member: Member, most: int = LARGEST_MEMBER) -> bytes:
        """The content of a member; thread safe, and the interpreter lock is released while it is read and checked.

        Parameters
        ----------
        most : bytes that it may have
        """
        if member.flags & _ENCRYPTED:
            raise self._error("is encrypted", member)
        if member.method not in (STORED, DEFLATED):
            raise self._error(f"is compressed by ZIP method {member.method}; only stored and deflated work", member)
        if member.size > most:
            raise self._error(f"has {member.size} bytes, where at most {most} can be of use", member)
        content = self._stored(member)
        if member.method == DEFLATED:
            try:  # one byte more, to see whether there is more than the directory says
                content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(content, member.size + 1)
            except zlib.error as error:
                raise self._error(f"is damaged ({error})", member) from None
        if len(content) != member.size or zlib.crc32(content) != member.crc:
            raise self._error("is damaged (its checksum does not fit); copy or convert the file again", member)
        return content

    def _stored(self, member: Member) -> bytes:
        """The bytes of a member as they are in the file."""
        largest = member.stored_size * _DEFLATE_RATIO if member.method == DEFLATED else member.stored_size
        if member.offset + member.stored_size > self.size or member.size > largest:
            reason = (
                f"should have {member.size} bytes, stored in {member.stored_size} at byte {member.offset}, which a "
            )
            raise self._error(f"{reason}file of {self.size} bytes cannot hold; the file is damaged", member)
        try:
            header = os.pread(self._descriptor, _LOCAL.size, member.offset)
            if len(header) < _LOCAL.size or not header.startswith(_LOCAL_MARK):
                raise self._error("is not where the directory says; the file is damaged", member)
            fields = _LOCAL.unpack(header)
            start = member.offset + _LOCAL.size + fields[-2] + fields[-1]
            content = os.pread(self._descriptor, member.stored_size, start)
            while 0 < len(content) < member.stored_size:  # Linux reads at most 2 GiB at once
                more = os.pread(self._descriptor, member.stored_size - len(content), start + len(content))
                if not more:
                    break
                content += more
        except OSError as error:
            raise self._error(f"cannot be read ({error.strerror})", member) from None
        return content

    def _error(self, reason: str, member: Member) -> ArchiveError:
        return ArchiveError(reason, file=self.path, key=member.name)

    def _read_directory(self) -> None:
        size = self.size = os.fstat(self._descriptor).st_size
        if size == 0:
            raise ArchiveError("is empty", file=self.path)
        for position, record in self._end_records(size):
            entries = self._directory(position, record)
            if entries is not None:
                break
        else:
            raise ArchiveError("is not a ZIP file, or its end is missing (an incomplete copy?)", file=self.path)
        self.entries = entries
        self.end = position + _END.size + _END.unpack_from(record)[-1]
        if self.end < size:
            log.warning(
                "%s: an update of this archive was interrupted; the content before it is used (%d bytes ignored)",
                self.path,
                size - self.end,
            )
        self.members: dict[str, Member] = {}
        for member in entries:
            self.members.pop(member.name, None)
            self.members[member.name] = member

    def _end_records(self, size: int) -> Iterable[tuple[int, bytes]]:
        """Everything that looks like the record at the end of a ZIP file, from the end of the file backwards."""
        upper = size
        while upper >= _END.size and size - upper < _SEARCHED:
            lower = max(0, upper - _WINDOW)
            block = os.pread(self._descriptor, upper - lower, lower)
            found = len(block)
            while (found := block.rfind(_END_MARK, 0, found)) >= 0:
                record = os.pread(self._descriptor, _END.size, lower + found)
                if len(record) == _END.size and lower + found + _END.size + _END.unpack(record)[-1] <= size:
                    yield lower + found, record
            if lower == 0:
                return
            upper = lower + len(_END_MARK) - 1  # a mark may lie across the border

    def _directory(self, position: int, record: bytes) -> list[Member] | None:
        """The directory in front of an end record; None if there is none, so that the record is a chance match."""
        _, _, _, _, count, length, offset, _ = _END.unpack(record)
        end = position
        if _LIMIT16 in (count,) or _LIMIT32 in (length, offset):
            locator = os.pread(self._descriptor, _LOCATOR64.size, max(0, position - _LOCATOR64.size))
            if len(locator) == _LOCATOR64.size and locator.startswith(_LOCATOR64_MARK):
                end = _LOCATOR64.unpack(locator)[2]
                if end > position:
                    return None
                record64 = os.pread(self._descriptor, _END64.size, end)
                if len(record64) < _END64.size or not record64.startswith(_END64_MARK):
                    return None
                *_, count, length, offset = _END64.unpack(record64)
        if offset + length != end or end > position:
            return None
        content = os.pread(self._descriptor, length, offset)
        return _parse_directory(content, count) if len(content) == length else None


def _parse_directory(content: bytes, count: int) -> list[Member] | None:
    """The records of a directory; None if it does not hold `count` of them."""
    members = []
    position = 0
    while position < len(content):
        if len(content) - position < _ENTRY.size:
            return None
        fields = _ENTRY.unpack_from(content, position)
        mark, _, _, flags, method, _, _, crc, stored_size, size, name_length, extra_length, note_length = fields[:13]
        start = position + _ENTRY.size
        following = start + name_length + extra_length + note_length
        if mark != _ENTRY_MARK or following > len(content):
            return None
        name = content[start : start + name_length]
        extra = content[start + name_length : start + name_length + extra_length]
        size, stored_size, offset = _large_sizes(extra, size, stored_size, fields[-1])
        text = name.decode("utf-8" if flags & _UTF8 else "cp437", "replace")
        members.append(Member(text, method, flags, crc, stored_size, size, offset, content[position:following]))
        position = following
    return members if len(members) & _LIMIT16 == count & _LIMIT16 else None


def _large_sizes(extra: bytes, *values: int) -> tuple[int, ...]:
    """Size, stored size and offset, those that do not fit in 32 bits from the ZIP64 field."""
    if _LIMIT32 not in values:
        return values
    while len(extra) >= 4:
        identity, length = struct.unpack_from("<2H", extra)
        if identity == 1:
            numbers = iter(struct.unpack_from(f"<{min(length, len(extra) - 4) // 8}Q", extra, 4))
            return tuple(next(numbers, value) if value == _LIMIT32 else value for value in values)
        extra = extra[4 + length :]
    return values


class ZipWriter:
    """Stored members, one after the other, and the directory behind them.

    Parameters
    ----------
    stream : where the bytes go, from its present position
    offset : what that position is in the finished file
    """

    def __init__(self, stream: IO[bytes], offset: int = 0):
        self._stream = stream
        self._position = offset

    def add(self, name: str, content: bytes, crc: int | None = None) -> Member:
        """Append a member; `crc` is its CRC-32 where the caller has it already."""
        if len(content) > LARGEST_MEMBER:
            raise ValueError(f"member {name} has {len(content)} bytes; readers accept less than 2 GiB")
        raw_name = name.encode()
        flags = 0 if name.isascii() else _UTF8
        crc = zlib.crc32(content) if crc is None else crc
        size = len(content)
        offset = self._position
        if len(raw_name) > _LONGEST_NAME:
            reason = f"has {len(raw_name)} bytes; names in an archive have at most {_LONGEST_NAME}"
            raise ArchiveError(reason, key=shown(name))
        self._write(_LOCAL.pack(_LOCAL_MARK, 20, flags, STORED, 0, _DATE, crc, size, size, len(raw_name), 0) + raw_name)
        self._write(content)
        extra = struct.pack("<2HQ", 1, 8, offset) if offset >= _LIMIT32 else b""
        version = 45 if extra else 20
        fields = (_UNIX | version, version, flags, STORED, 0, _DATE, crc, size, size, len(raw_name), len(extra))
        entry = _ENTRY.pack(_ENTRY_MARK, *fields, 0, 0, 0, _MODE, min(offset, _LIMIT32)) + raw_name + extra
        return Member(name, STORED, flags, crc, size, size, offset, entry)

    def write_directory(self, entries: Iterable[Member]) -> bytes:
        """Append the directory; returns the end record, which must follow it and makes the file valid."""
        start = self._position
        count = 0
        for member in entries:
            self._write(member.entry)
            count += 1
        length = self._position - start
        large = b""
        if count >= _LIMIT16 or start >= _LIMIT32 or length >= _LIMIT32:
            sizes = (_END64.size - 12, _UNIX | 45, 45, 0, 0, count, count, length, start)
            large = _END64.pack(_END64_MARK, *sizes) + _LOCATOR64.pack(_LOCATOR64_MARK, 0, self._position, 1)
        short = min(count, _LIMIT16)
        end = _END.pack(_END_MARK, 0, 0, short, short, min(length, _LIMIT32), min(start, _LIMIT32), 0)
        return large + end

    def _write(self, content: bytes) -> None:
        self._stream.write(content)
        self._position += len(content)
