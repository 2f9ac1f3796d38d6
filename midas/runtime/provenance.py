"""Where a result comes from: the program, when and how it was called, and what its inputs hold (docs/formats.md)."""

from __future__ import annotations

import hashlib
import os
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from midas._version import __version__
from midas.runtime.errors import FormatError
from midas.runtime.files import ordinary, readable

#: how the content went into a hash: all of it, samples of it, or the names and check sums of the members of an archive
WHOLE, SAMPLES, MEMBERS = "whole", "samples", "members"

#: bytes that are read as a whole; of more, samples are: so many, so long
_MOST_BYTES = 64 << 20
_SAMPLES, _SAMPLE_BYTES = 64, 64 << 10

_called = ""


@dataclass(frozen=True)
class Fingerprint:
    """What one input holds.

    Parameters
    ----------
    path : of the file, or of the first of several that belong together
    size : bytes of all of them
    sha256 : of their content
    of : `WHOLE`, `SAMPLES` or `MEMBERS`
    files : how many
    """

    path: str
    size: int
    sha256: str
    of: str = WHOLE
    files: int = 1


def fingerprint(*paths: str | os.PathLike[str], first: int | None = None) -> Fingerprint:
    """The fingerprint of a file, or of several that belong together as one.

    The hash of one file of up to 64 MiB is the SHA-256 of its bytes, as ``sha256sum`` prints it. Of several files, the
    names and sizes come before the bytes. Of more bytes than that, 64 samples of 64 KiB are hashed, evenly spaced, the
    first and the last bytes among them, behind the total size: it tells scans apart at the cost of a glance, and does
    not prove that two are equal.

    Parameters
    ----------
    first : bytes of one file that count, as if it ended there

    Raises
    ------
    FormatError : for a file that cannot be read
    """
    files = [Path(path) for path in paths]
    for file in files:
        ordinary(file)
    try:
        sizes = [file.stat().st_size if first is None else first for file in files]
        total = sum(sizes)
        digest = hashlib.sha256()
        if len(files) > 1:
            digest.update(os.fsencode("".join(f"{f.name} {n}\n" for f, n in zip(files, sizes, strict=True))))
        if total <= _MOST_BYTES:
            for file, size in zip(files, sizes, strict=True):
                with open(file, "rb") as stream:
                    while block := stream.read(min(size, 1 << 20)):
                        digest.update(block)
                        size -= len(block)
            of = WHOLE
        else:
            digest.update(f"{total}\n".encode())
            for file, start, length in _samples(files, sizes, total):
                with open(file, "rb") as stream:
                    stream.seek(start)
                    digest.update(stream.read(length))
            of = SAMPLES
    except OSError as error:
        raise FormatError(f"cannot be read ({error.strerror})", file=error.filename or files[0]) from None
    return Fingerprint(readable(str(files[0].absolute())), total, digest.hexdigest(), of, len(files))


def _samples(files: Sequence[Path], sizes: Sequence[int], total: int) -> Iterator[tuple[Path, int, int]]:
    """File, place and length of the samples of files that stand one behind the other."""
    ends, end = [], 0
    for size in sizes:
        end += size
        ends.append(end)
    number = 0
    for sample in range(_SAMPLES):
        start = (total - _SAMPLE_BYTES) * sample // (_SAMPLES - 1)
        left = _SAMPLE_BYTES
        while ends[number] <= start:
            number += 1
        at = number  # a sample may go on in the next file, the next sample may not
        while left and at < len(files):
            place = start - (ends[at] - sizes[at])
            length = min(left, sizes[at] - place)
            yield files[at], place, length
            start, left, at = start + length, left - length, at + 1


def of_members(path: str | os.PathLike[str], checksums: Mapping[str, int]) -> Fingerprint:
    """The fingerprint of an archive: the SHA-256 of the names and CRCs of its members, in the order of their names.

    That is the whole content and costs no reading, and an archive that is copied, or whose members stand in another
    order, keeps it.
    """
    text = "".join(f"{name} {crc:08x}\n" for name, crc in sorted(checksums.items()))
    digest = hashlib.sha256(os.fsencode(text)).hexdigest()
    return Fingerprint(readable(str(Path(path).absolute())), os.stat(path).st_size, digest, MEMBERS)


def hash_of_lines(lines: Sequence[str]) -> str:
    """The SHA-256 of lines of text."""
    return hashlib.sha256(os.fsencode("".join(f"{line}\n" for line in lines))).hexdigest()


def to_be_made_again() -> bool:
    """Whether SOURCE_DATE_EPOCH fixes the date, because somebody wants to make a result again, to the byte."""
    return os.environ.get("SOURCE_DATE_EPOCH", "").isdecimal()


def now() -> str:
    """The date in UTC, ISO 8601; that of SOURCE_DATE_EPOCH where it is set, so that a result can be made again."""
    seconds = int(os.environ["SOURCE_DATE_EPOCH"] if to_be_made_again() else time.time())
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def command_line() -> str:
    """How the running program was called; from another program than ours, how that one was."""
    return readable(_called or shlex.join([Path(sys.argv[0] or "python").name, *sys.argv[1:]]))


@contextmanager
def called(text: str) -> Iterator[None]:
    """What is done in the block was asked for with these words, or with those around them."""
    global _called  # one run at a time speaks for the process
    before = _called
    _called = before or text
    try:
        yield
    finally:
        _called = before


def header_lines(program: str, inputs: Sequence[str | os.PathLike[str]]) -> list[str]:
    """Lines for the head of a text file: program and version, command line, date, inputs with their hashes.

    Parameters
    ----------
    program : its name
    inputs : files that the result is made of

    Returns
    -------
    lines that begin with ``#`` and have no line end
    """
    lines = [f"# {program}, midas {__version__}", f"# command: {command_line()}", f"# date: {now()}"]
    for found in map(fingerprint, inputs):
        lines.append(f"# input: {found.path} sha256 {found.sha256}{_remark(found)}")
    return [" ".join(line.splitlines()) for line in lines]


def _remark(found: Fingerprint) -> str:
    return "" if found.of == WHOLE else f" ({found.of}, {found.size} bytes)"
