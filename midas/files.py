"""Outputs that are complete or absent, and inputs that are missing with a clear message."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from midas.errors import FormatError, OutputError


def read_bytes(path: str | os.PathLike[str], *, advice: str = "") -> bytes:
    """The whole file, or a `FormatError` that names it and says what to do."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        reason = f"cannot be read ({error.strerror})"
        raise FormatError(f"{reason}; {advice}" if advice else reason, file=path) from None


@contextmanager
def atomic_output(path: str | os.PathLike[str], *, durable: bool = False) -> Iterator[IO[bytes]]:
    """A binary file that gets its name only once it is complete.

    The content goes to ``<name>.part`` in the same folder and is renamed when the block ends without an error; on an
    error the partial file is removed and whatever stood under the name stays.
    """
    path = Path(path)
    partial = path.with_name(path.name + ".part")
    try:
        with open(partial, "wb") as stream:
            yield stream
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OutputError(f"cannot be written ({error.strerror or error})", file=path) from None
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_atomic(path: str | os.PathLike[str], content: bytes) -> None:
    """Write `content` under `path`, complete or not at all."""
    with atomic_output(path) as stream:
        stream.write(content)


def replace(partial: str | os.PathLike[str], path: str | os.PathLike[str]) -> None:
    """Give a complete output its final name."""
    try:
        os.replace(partial, path)
    except OSError as error:
        raise OutputError(f"cannot be written ({error.strerror})", file=path) from None


def make_folder(path: str | os.PathLike[str]) -> Path:
    """Create the folder and its parents if they are missing."""
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"folder cannot be created ({error.strerror})", file=path) from None
    return path


def remove(*paths: str | os.PathLike[str]) -> None:
    """Remove outputs of an earlier run, so that a failed run cannot look complete."""
    for path in paths:
        try:
            Path(path).unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"an old result cannot be removed ({error.strerror})", file=path) from None
