"""Outputs that are complete or absent, and inputs that are missing with a clear message."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from midas.runtime.errors import FormatError, OutputError, UsageError
from midas.runtime.part_files import Part, is_path, keep_as, take_names


def located(path: str | os.PathLike[str], folder: Path) -> Path:
    """A path that a user wrote into a file or typed: as it stands, else relative to `folder`."""
    path = Path(path).expanduser()
    return path if path.is_absolute() or os.path.exists(path) else folder / path


def read_bytes(path: str | os.PathLike[str], *, advice: str = "") -> bytes:
    """The whole file, or a `FormatError` that names it and says what to do."""
    try:
        ordinary(path)
        return Path(path).read_bytes()
    except OSError as error:
        reason = f"cannot be read ({error.strerror})"
        raise FormatError(f"{reason}; {advice}" if advice else reason, file=path) from None
    except ValueError:
        raise FormatError("can be no file", file=path) from None


def ordinary(path: str | os.PathLike[str]) -> None:
    """An error for a pipe or a device among data, where reading would never end; those of a shell may be read.

    Raises
    ------
    FormatError : for one
    """
    if is_path(path) and os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path)):
        if os.path.abspath(path).startswith(("/dev/fd/", "/dev/std", "/proc/self/fd/")):
            return
        raise FormatError("is a pipe or a device, not a file", file=path)


def readable(text: str) -> str:
    """Text as valid Unicode without NUL, for files that must be: a path or a damaged table may hold any bytes."""
    try:
        content = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # halves of a letter
        content = text.encode("utf-8", "replace")
    return content.decode("utf-8", "replace").replace("\0", "\ufffd")


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
    if os.path.exists(output) and not (os.path.isfile(output) or os.path.isdir(output)):
        raise OutputError("is a device or a pipe, not a file; give the output another name", file=output)


@contextmanager
def atomic_output(
    path: str | os.PathLike[str], *, durable: bool = False, keep_old: bool = False
) -> Iterator[IO[bytes]]:
    """A binary file that gets its name only once it is complete.

    The content goes to a part file in the same folder (`midas.runtime.part_files`) and is renamed when the block ends
    without an error; on an error the partial file is removed and whatever stood under the name stays. A link under the
    name is replaced; the file that it leads to stays as it is.

    Parameters
    ----------
    durable : wait until the file would survive a power cut
    keep_old : the file that stands under the name is kept as ``<name>.old``
    """
    with _outputs([Path(path)], durable=durable, keep_old=keep_old) as (stream,):
        yield stream


@contextmanager
def atomic_outputs(*paths: str | os.PathLike[str], durable: bool = False) -> Iterator[tuple[IO[bytes], ...]]:
    """Files that belong together, as `atomic_output`: all of them get their names, in this order, or none does.

    An error leaves the earlier files of all names as they were, and at no instant is a name without the earlier file or
    the new one.
    """
    with _outputs([Path(path) for path in paths], durable=durable) as streams:
        yield streams


@contextmanager
def _outputs(
    targets: Sequence[Path], *, durable: bool = False, keep_old: bool = False, others: Sequence[Part] = ()
) -> Iterator[tuple[IO[bytes], ...]]:
    parts: list[Part] = []
    for path in targets:
        keep_devices(path)
    try:
        for path in targets:
            parts.append(Part(path))
        yield tuple(part.stream for part in parts)
        for part in parts:
            part.complete(durable=durable)
            if keep_old:
                keep_as(part.target, part.target.with_name(f"{part.target.name}.old"))
        take_names([*parts, *others])
        if durable:
            _synchronise({path.parent for path in targets})
    except OSError as error:
        at_fault = [part.target for part in parts if not part.closes()]
        at_fault += targets[len(parts) :] or targets
        raise OutputError(f"cannot be written ({error.strerror or error})", file=at_fault[0]) from None
    finally:
        for part in parts:
            part.discard()


def _synchronise(folders: Iterable[Path]) -> None:
    """Names last, too, when the power fails."""
    for folder in folders:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_together(contents: Mapping[Path, bytes], others: Sequence[Part] = ()) -> None:
    """Write files that belong together and are in memory, as `atomic_outputs`; parts `others` are complete already."""
    with _outputs([*contents], others=others) as streams:
        for stream, content in zip(streams, contents.values(), strict=True):
            stream.write(content)


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
        if not is_path(path):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
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
