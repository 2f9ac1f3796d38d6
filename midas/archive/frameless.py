"""An archive without its frames: all that the stages behind the peak search need."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from midas.archive.reader import Archive
from midas.archive.writer import BRIGHT, DARK, DATA, FLOOD, ArchiveWriter
from midas.archive.zip_container import Member, ZipReader, ZipWriter
from midas.runtime.files import atomic_output

#: members of stacks that only the peak search reads; the mask stays, since it tells where spots can be
_LEFT_OUT = tuple(f"{name}/" for name in (DATA, DARK, BRIGHT, FLOOD))


def without_frames(source: Path, target: Path) -> None:
    """Copy an archive with its parameters, mask and angles, and with frames that are zero throughout.

    One zero frame is stored, which says that there are frames; the others have the fill value of the array.

    Raises
    ------
    ArchiveError : no archive. OutputError : it cannot be written.
    """
    with Archive(source) as archive:
        shape, dtype = archive.frames.shape, archive.frames.dtype
    coder = ArchiveWriter(target, shape, dtype)  # never entered: it only codes
    chunk, crc = coder.compress(np.zeros(shape[1:], dtype))
    with ZipReader(source) as container, atomic_output(target) as stream:
        writer = ZipWriter(stream)
        entries: list[Member] = []
        for member in container.members.values():
            if member.name == f"{DATA}/.zarray":
                entries.append(writer.add(member.name, coder.stack_metadata(shape, coder.dtype).document()))
                if shape[0]:
                    entries.append(writer.add(f"{DATA}/0.0.0", chunk, crc))
            elif not member.name.startswith(_LEFT_OUT):
                entries.append(writer.add(member.name, container.read(member)))
        stream.write(writer.write_directory(entries))
