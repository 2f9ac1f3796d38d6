"""Compressed raw files (``.bz2``, ``.gz``, ``.zst``): read as a stream, or from a copy that is deleted afterwards.

The user's files and their folder stay as they are. See docs/theory/archive.md#compressed-raw-files.
"""

from __future__ import annotations

import bz2
import gzip
import io
import shutil
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, cast

from midas.runtime.errors import FormatError, OutputError, one_line
from midas.runtime.files import make_folder
from midas.runtime.limits import largest
from midas.runtime.part_files import Part


def _zstandard(path: Path) -> IO[bytes]:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return cast("IO[bytes]", zstd.open(path))


_OPENERS: dict[str, Callable[[Path], Any]] = {".bz2": bz2.BZ2File, ".gz": gzip.GzipFile, ".zst": _zstandard}

SUFFIXES = tuple(_OPENERS)

#: files of more bytes are never held in memory
_SMALL = 1 << 27

#: copies that hold a handle of the process, of which there may be a thousand
_MOST_HELD = 256
_held: weakref.WeakSet[Part] = weakref.WeakSet()

#: what is copied, read or thrown away at once
_PIECE = 1 << 20


def is_compressed(path: Path) -> bool:
    """Whether the name says so."""
    return path.suffix.lower() in SUFFIXES


def plain(path: Path) -> Path:
    """The name without the suffix of the compression, which says what is inside."""
    return path.with_suffix("") if is_compressed(path) else path


def opened(path: Path) -> io.BufferedReader:
    """The bytes of a file from its beginning, decompressed on the way; damage is an error about this file.

    Jumping backwards means to decompress from the beginning again.
    """
    if not is_compressed(path):
        try:
            return open(path, "rb")
        except OSError as error:
            raise FormatError(f"cannot be read ({error.strerror})", file=path) from None
    return io.BufferedReader(_Decompressed(path), _PIECE)


def beginning(path: Path, count: int) -> bytes:
    """The first bytes; all of them if there are not more."""
    with opened(path) as stream:
        return stream.read(count)


def content(path: Path) -> io.BytesIO:
    """All of a small file, a single image say, in memory.

    Raises
    ------
    FormatError : it is compressed and holds more than a file of its size may ask for.
    """
    with opened(path) as stream:
        if not is_compressed(path):
            return io.BytesIO(stream.read())
        most = largest(path.stat().st_size)
        found = stream.read(most + 1)
    if len(found) > most:
        raise FormatError(f"holds more than {most} bytes, which no image needs", file=path)
    return io.BytesIO(found)


def small(path: Path) -> io.BytesIO | None:
    """The content of a compressed file in memory; None if it is large, or not compressed."""
    if not is_compressed(path):
        return None
    with opened(path) as stream:
        content = stream.read(_SMALL + 1)
    return io.BytesIO(content) if len(content) <= _SMALL else None


def seekable(path: Path, scratch: Path | None, owner: object, known: io.BytesIO | None = None) -> Path:
    """A file with the content that a library can jump about in: the file itself, or a decompressed copy.

    Parameters
    ----------
    scratch : folder of copies; made if it is missing. None = no copy may be made
    owner : the copy is deleted together with this object, at the latest when the program ends
    known : the content, where it has been decompressed already
    """
    if not is_compressed(path):
        return path
    if scratch is None:
        raise FormatError("must be decompressed first", file=path)
    name, folder = plain(path), make_folder(scratch)
    with opened(path) if known is None else io.BytesIO(known.getbuffer()) as stream:
        try:
            copy = Part(folder / name.name)
        except OSError as error:
            raise OutputError(f"no copy of {name} can be made ({error.strerror})", file=folder) from None
        weakref.finalize(owner, copy.discard)
        try:  # what goes wrong with the stream is no OSError
            shutil.copyfileobj(stream, copy.stream, _PIECE)
            copy.complete()
        except OSError as error:
            raise OutputError(f"cannot be written ({error.strerror})", file=copy.path) from None
    if len(_held) < _MOST_HELD:
        _held.add(copy)
    else:
        copy.unlock()
    return copy.path


class _Decompressed(io.RawIOBase):
    """The bytes of a compressed file, with the errors of the libraries as errors about this file."""

    def __init__(self, path: Path):
        self._path = path
        try:
            self._stream: IO[bytes] = _OPENERS[path.suffix.lower()](path)
        except OSError as error:
            raise FormatError(f"cannot be read ({error.strerror})", file=path) from None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # any writable buffer
        try:
            piece = self._stream.read(len(buffer))
        except Exception as error:  # the libraries have many exceptions, the file is at fault in each
            raise FormatError(f"cannot be decompressed ({one_line(error)})", file=self._path) from None
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()
