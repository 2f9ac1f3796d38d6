"""Frames of an archive replaced by others (docs/theory/archive.md#changing-a-value).

The legacy readers count members from the first frame, so that the new frames must stand where the old ones were, one
after the other: the archive is written anew beside the old one, and takes its name when it is complete.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from midas.archive.reader import Archive
from midas.archive.writer import DATA, ArchiveWriter, Frame
from midas.archive.zip_container import Member, ZipReader, ZipWriter
from midas.parameters import SCAN
from midas.runtime.errors import ArchiveError
from midas.runtime.files import atomic_output
from midas.runtime.locks import wait_for
from midas.runtime.parallel import ordered_map


def replace_frames(path: Path, name: str, count: int, frames: Iterable[Frame], *, threads: int) -> None:
    """Put other frames in the place of a stack; everything else stays as it is and where it is.

    Parameters
    ----------
    path : of the archive
    name : ``exchange/data``, ``exchange/dark`` or ``exchange/bright``
    count : how many frames come
    frames : of the size of the archive's frames, converted to the type of its pixels
    threads : that compress; the bytes written do not depend on it

    Raises
    ------
    ArchiveError : no archive, or it has angles for another number of frames. OutputError : it cannot be written.
    """
    with Archive(path) as archive:
        dtype = archive.frames.dtype
        shape = (count, *archive.frames.shape[1:])
        angles = archive.dataset(f"{SCAN}omegaCenter")
        if name == DATA and angles is not None and angles.shape != (count,):
            reason = f"holds {angles.shape[0] if angles.shape else 0} angles; {count} frames would not fit"
            raise ArchiveError(reason, file=path, key=angles.path)
    coder = ArchiveWriter(path, shape, dtype)  # never entered: it only codes
    with open(path, "rb") as old, ZipReader(path) as container, atomic_output(path) as stream:
        wait_for(old.fileno())
        target = ZipWriter(stream)
        chunks = ordered_map(coder.compress, frames, threads)
        written = False
        entries: list[Member] = []
        for member in container.members.values():
            if not member.name.startswith(f"{name}/"):
                entries.append(target.add(member.name, container.read(member)))
            elif not written:
                entries += _stack(target, name, coder, chunks)
                written = True
        if not written:
            entries += _stack(target, name, coder, chunks)
        stream.write(target.write_directory(entries))


def _stack(target: ZipWriter, name: str, coder: ArchiveWriter, chunks: Iterable[tuple[bytes, int]]) -> list[Member]:
    """Write the document and the frames of a stack."""
    entries = [target.add(f"{name}/.zarray", coder.stack_metadata(coder.shape, coder.dtype).document())]
    for number, (chunk, crc) in enumerate(chunks):
        entries.append(target.add(f"{name}/{number}.0.0", chunk, crc))
    if len(entries) != coder.shape[0] + 1:
        raise ArchiveError(
            f"{len(entries) - 1} frames came, {coder.shape[0]} were announced", file=coder.path, key=name
        )
    return entries
