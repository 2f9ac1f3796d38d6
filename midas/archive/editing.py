"""Small datasets of an archive replaced in place (docs/theory/archive.md#replacing-a-dataset)."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np
from numpy.typing import ArrayLike, NDArray

from midas.archive.writer import DATATYPE, GROUP_DOCUMENT, STACKS, ancestors, dataset_members, normalised
from midas.archive.zarr_array import StoredArray
from midas.archive.zip_container import Member, ZipReader, ZipWriter
from midas.runtime.errors import ArchiveError, OutputError
from midas.runtime.locks import wait_for


def set_dataset(path: str | os.PathLike[str], name: str, values: ArrayLike, *, durable: bool = True) -> bool:
    """Replace or add one small dataset of an archive in place; see `set_datasets`."""
    return set_datasets(path, {name: values}, durable=durable)


def set_datasets(path: str | os.PathLike[str], values: Mapping[str, ArrayLike], *, durable: bool = True) -> bool:
    """Replace or add small datasets of an archive in place; the frames are not touched, not even read.

    New members and a whole new directory are appended behind the old one, which stays in the file as dead bytes (about
    100 bytes per member). A new dataset takes the place of the old one in the order of the directory; everything else
    keeps its place, as the counting legacy readers need it.

    Safety: nothing that is valid is overwritten. Members and directory are written and synchronised first, then the
    22-byte end record that makes them valid. If writing fails, the file is cut back to what it was. After a crash or a
    power cut half-way, `Archive` finds the old directory behind the unfinished tail and reads the archive as it was
    (with a warning), and the next call of this function removes that tail. Two writers wait for each other (flock).

    Parameters
    ----------
    path : of the archive
    values : name -> array; a scalar gets shape (1,)
    durable : False for an archive that was just written: who would lose the change would lose the archive

    Returns
    -------
    Whether the archive was changed: datasets that already hold these values, in this type and shape, are left alone.

    Raises
    ------
    ArchiveError : not an archive. OutputError : it cannot be written.
    """
    path = Path(path)
    for name in values:
        if name in (*STACKS, DATATYPE):
            raise ValueError(f"{name} cannot be replaced alone")
    try:
        with open(path, "r+b") as stream:
            wait_for(stream.fileno())
            with ZipReader(path) as container:
                new = {k: a for k, v in values.items() if not _holds(container, k, a := normalised(np.asarray(v)))}
                _replace_tail(stream, container, _revised(container, new) if new else None, durable)
    except FileNotFoundError:
        raise ArchiveError("is missing", file=path) from None
    except OSError as error:
        raise OutputError(f"cannot be written ({error.strerror or error})", file=path) from None
    return bool(new)


def _revised(container: ZipReader, values: Mapping[str, NDArray[np.generic]]) -> tuple[bytes, bytes]:
    """New members with the new directory, and the end record, for the end of the file."""
    tail = io.BytesIO()
    writer = ZipWriter(tail, container.end)
    added = {path: [writer.add(*member) for member in dataset_members(path, a)] for path, a in values.items()}
    directory: list[Member] = []
    placed: set[str] = set()
    for member in container.entries:
        owner = next((path for path in added if member.name.startswith(f"{path}/")), None)
        if owner is None:
            directory.append(member)
        elif owner not in placed:
            directory += added[owner]
            placed.add(owner)
    present = set(container.members)
    for path in added:
        if path not in placed:
            for group in ancestors(str(PurePosixPath(path).parent), present):
                directory.append(writer.add(f"{group}/.zgroup" if group else ".zgroup", GROUP_DOCUMENT))
                present.add(directory[-1].name)
            directory += added[path]
    end = writer.write_directory(directory)
    return tail.getvalue(), end


def _replace_tail(
    stream: IO[bytes], container: ZipReader, tail: tuple[bytes, bytes] | None, durable: bool = True
) -> None:
    """Cut what an interrupted update left, then append `tail`; on an error the file is as it was."""
    stream.seek(0, os.SEEK_END)
    if stream.tell() > container.end:
        stream.truncate(container.end)
    if tail is None:
        return
    try:
        stream.seek(container.end)
        for part in tail:
            stream.write(part)
            stream.flush()
            if durable:
                os.fsync(stream.fileno())
    except BaseException:
        with contextlib.suppress(OSError):
            os.ftruncate(stream.fileno(), container.end)
        raise


def _holds(container: ZipReader, path: str, values: NDArray[np.generic]) -> bool:
    """Whether the archive has exactly this array under this name."""
    if f"{path}/.zarray" not in container.members:
        return False
    try:
        return StoredArray(container, path).holds(values)
    except ArchiveError:
        return False  # damaged: replaced
