"""Outputs that are complete or absent, and inputs that are missing with a clear message."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from midas.runtime.errors import FormatError, OutputError, UsageError


def located(path: str | os.PathLike[str], folder: Path) -> Path:
    """A path that a user wrote into a file or typed: as it stands, else relative to `folder`."""
    path = Path(path).expanduser()
    return path if path.is_absolute() or path.exists() else folder / path


def read_bytes(path: str | os.PathLike[str], *, advice: str = "") -> bytes:
    """The whole file, or a `FormatError` that names it and says what to do."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        reason = f"cannot be read ({error.strerror})"
        raise FormatError(f"{reason}; {advice}" if advice else reason, file=path) from None


def readable(text: str) -> str:
    """Text as valid Unicode, for files that must be: a path may hold any bytes."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def keep_inputs(output: str | os.PathLike[str], *inputs: str | os.PathLike[str] | None) -> None:
    """An error where the output is one of the inputs, by whatever name: a file of the user's is only read.

    Raises
    ------
    UsageError : for that one
    """
    for path in inputs:
        if path is not None and os.path.exists(output) and os.path.exists(path) and os.path.samefile(output, path):
            raise UsageError("is an input, which would be overwritten; give the output another name", file=output)


def keep_devices(output: str | os.PathLike[str]) -> None:
    """An error where the output is neither a file nor a folder: root would put a file in place of ``/dev/null``.

    Raises
    ------
    OutputError : for a device, a pipe or a socket, also behind a link such as ``/dev/stdout``
    """
    path = Path(output)
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise OutputError("is a device or a pipe, not a file; give the output another name", file=path)


@contextmanager
def atomic_output(path: str | os.PathLike[str], *, durable: bool = False) -> Iterator[IO[bytes]]:
    """A binary file that gets its name only once it is complete.

    The content goes to ``<name>.part`` in the same folder and is renamed when the block ends without an error; on an
    error the partial file is removed and whatever stood under the name stays.
    """
    with atomic_outputs(path, durable=durable) as (stream,):
        yield stream


@contextmanager
def atomic_outputs(*paths: str | os.PathLike[str], durable: bool = False) -> Iterator[tuple[IO[bytes], ...]]:
    """Files that belong together, as `atomic_output`: all of them get their names, in this order, or none does.

    An error leaves the earlier files of all names as they were.
    """
    targets = [Path(path) for path in paths]
    partials = [path.with_name(path.name + ".part") for path in targets]
    earlier: dict[Path, Path] = {}
    streams: list[IO[bytes]] = []
    named = 0
    for path in targets:
        keep_devices(path)
    try:
        for partial in partials:
            streams.append(open(partial, "wb"))  # noqa: SIM115 - closed in every case below
        yield tuple(streams)
        for stream in streams:
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
            stream.close()  # a full disk may show only here
        for partial, path in zip(partials, targets, strict=True):
            if path != targets[-1] and path.is_file():  # after the last name nothing can fail
                earlier[path] = path.with_name(path.name + ".earlier")
                os.replace(path, earlier[path])
            os.replace(partial, path)
            named += 1
    except BaseException as error:
        at_fault = [path for path, stream in zip(targets, streams, strict=False) if not _closes(stream)]
        at_fault += targets[len(streams) :] or targets[named:]
        for path in (*partials, *targets[:named]):
            with suppress(OSError):
                path.unlink()
        for path, kept in earlier.items():
            with suppress(OSError):
                os.replace(kept, path)
        if isinstance(error, OSError):
            raise OutputError(f"cannot be written ({error.strerror or error})", file=at_fault[0]) from None
        raise
    for kept in earlier.values():
        with suppress(OSError):
            kept.unlink()


def write_together(contents: Mapping[Path, bytes]) -> None:
    """Write files that belong together and are in memory, as `atomic_outputs`."""
    with atomic_outputs(*contents) as streams:
        for stream, content in zip(streams, contents.values(), strict=True):
            stream.write(content)


def _closes(stream: IO[bytes]) -> bool:
    """Close the stream; whether what was left to write could be written."""
    try:
        stream.close()
    except OSError:
        return False
    return True


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
