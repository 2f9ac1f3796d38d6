"""Grain lists of this suite and of its predecessor: ``Grains.csv``, lists of true grains, stitched tables, HDF5."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from midas.formats.grains import CELL, GRAINS, KENESEI, ORIENTATION, POSITION, read_grains, told_crystal
from midas.formats.hdf5_links import opened
from midas.formats.matched import GRAIN_SET, SET_ORIENTATION, SET_POSITION
from midas.formats.table import Table
from midas.results.exchange.lists import grain_list
from midas.results.exchange.nexus import is_nexus, parse_nexus
from midas.results.grain_list import GrainList
from midas.results.reading.hdf5_file import FileOrigin
from midas.runtime.apart import apart
from midas.runtime.files import ordinary

_STITCHED = GRAIN_SET.header.split("\t")[:3]
#: columns that a list of true grains may lack
_LAST_NEEDED = "gamma"


def is_grains(content: bytes) -> bool:
    """Whether this is a ``Grains.csv``, or a list of grains to simulate."""
    return content.startswith(b"%NumGrains")


def is_stitched(content: bytes) -> bool:
    """Whether this is a table of ``ff-stitch``."""
    return content[: content.find(b"\n") + 1].decode("latin-1").split()[:3] == _STITCHED


def is_hdf5(path: Path) -> bool:
    """Whether this is an HDF5 file: by its first bytes, since it may be large."""
    ordinary(path)
    try:
        with path.open("rb") as file:
            return file.read(8) == b"\x89HDF\r\n\x1a\n"
    except OSError:
        return False  # which whoever reads it says


def from_grains(path: str | os.PathLike[str], content: bytes) -> GrainList:
    """A ``Grains.csv``, or a list of true grains, which may end after the cell."""
    lines = content.decode("latin-1").splitlines()[GRAINS.header_lines :]
    words = next((len(line.split()) for line in lines if line.strip()), len(GRAINS.names))
    known = GRAINS.names[: max(min(words, len(GRAINS.names)), GRAINS.names.index(_LAST_NEEDED) + 1)]
    table = read_grains(path, through=known[-1], strict=False)
    return _from_table(path, table.select(known), *told_crystal(content, path))


def _from_table(
    path: str | os.PathLike[str], table: Table, space_group: int | None, cell: tuple[float, ...] | None
) -> GrainList:
    names = set(table.names)
    return grain_list(
        path,
        table["GrainID"],
        table.numbers(ORIENTATION),
        table.numbers(POSITION),
        cells=table.numbers(CELL),
        radii=table["GrainRadius"] if "GrainRadius" in names else None,
        completeness=table["Confidence"] if "Confidence" in names else None,
        strains=table.numbers(KENESEI) if names.issuperset(KENESEI) else None,
        space_group=space_group,
        cell=cell,
    )


def from_stitched(path: str | os.PathLike[str], content: bytes) -> GrainList:
    """A table of ``ff-stitch``, whose `UniqueID` is the identity."""
    table = GRAIN_SET.parse(content, path)
    return grain_list(
        path,
        table["UniqueID"],
        table.numbers(SET_ORIENTATION),
        table.numbers(SET_POSITION),
        radii=table["GrainSize"],
    )


def _of_nexus(path: Path) -> GrainList | None:
    """The grains of a ``.nxs`` of ours; None for another file."""
    with opened(path) as file:
        return parse_nexus(path, file) if is_nexus(file) else None


def from_hdf5(path: Path) -> GrainList:
    """A consolidated file, also a legacy one: the columns of its summary count by position, whatever they are called.

    See docs/formats.md.
    """
    if (found := apart(partial(_of_nexus, path), path)) is not None:
        return found
    origin = FileOrigin(path)
    return _from_table(path, origin.grains, *origin.told_crystal)
