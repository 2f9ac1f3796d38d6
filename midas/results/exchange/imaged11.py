"""ImageD11: grains as ``.map`` and ``.ubi`` (docs/exports.md#imaged11).

The rows of UBI are a, b and c (Å) in the sample frame, which is ours: x along the beam, z up along the rotation axis,
omega right-handed about it. UBI tells lattice and orientation at once, whatever frame is attached to the crystal. The
translation is in the unit of the distance in the parameter file: µm.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from midas.formats.table import whole
from midas.results.exchange.crystal_frames import lattice_vectors, orientations_and_cells
from midas.results.exchange.lists import grain_list
from midas.results.exchange.text import comments_of, numbers_of, told_crystal
from midas.results.grain_list import GrainList
from midas.runtime.errors import FormatError

log = logging.getLogger(__name__)

Floats = NDArray[np.float64]

_TRANSLATION, _NAME, _UBI = "#translation:", "#name", "#UBI:"
_BLANK = re.compile(r"\n\s*\n")
#: of three unit vectors; less is no cell
_SMALLEST_VOLUME = 1e-6


def is_map(content: bytes) -> bool:
    """Whether this is a ``.map``, or a ``.ubi``: three lines of three numbers, a blank one, and so on."""
    text = content[:20000].decode("latin-1").replace("\r\n", "\n")
    if any(line.startswith((_UBI, _TRANSLATION)) for line in text.splitlines()):
        return True
    bare = "\n".join(line for line in text.splitlines() if not line.startswith("#")).strip()
    block = _BLANK.split(bare)[0].splitlines()
    try:
        return len(block) == 3 and all(len([float(word) for word in line.split()]) == 3 for line in block)
    except ValueError:
        return False


def format_map(grains: GrainList, header: Sequence[str] = ()) -> bytes:
    """The content of a ``.map``; the grains need cells."""
    lines = [*header, *told_crystal(grains.space_group, grains.cell)]
    ubis = lattice_vectors(grains.orientations, grains.cells).swapaxes(1, 2)
    for grain_id, position, ubi in zip(grains.ids.tolist(), grains.positions, ubis, strict=True):
        lines += [f"{_TRANSLATION} {_text(position)}", f"{_NAME} {grain_id}", _UBI, *map(_text, ubi), ""]
    return "".join(f"{line}\n" for line in lines).encode()


def _text(numbers: Floats) -> str:
    return " ".join(f"{x:.12g}" for x in numbers)


def parse_map(path: str | os.PathLike[str], content: bytes) -> GrainList:
    """The grains of a ``.map`` or ``.ubi``; a grain without translation is at the origin, with a warning.

    Identities are the numbers that the names begin with, if every grain has one of its own, else 0, 1, 2 ... as
    ImageD11 counts.
    """
    vectors, positions, names = _blocks(path, content)
    n = len(vectors)
    placed = np.array([[0.0] * 3 if position is None else position for position in positions]).reshape(n, 3)
    if missing := sum(position is None for position in positions):
        log.warning("%s: %d of %d grains have no translation; they are taken to be at the origin", path, missing, n)
    own = [name for name in names if name is not None]
    ids = own if len(set(own)) == n else list(range(n))
    space_group, cell = comments_of(content)
    rows = np.array(vectors, np.float64).reshape(n, 3, 3)
    orientations, cells = orientations_and_cells(rows.swapaxes(1, 2)) if n else (rows, np.empty((0, 6)))
    return grain_list(
        path, np.array(ids, np.int64), orientations, placed, cells=cells, space_group=space_group, cell=cell
    )


def _blocks(
    path: str | os.PathLike[str], content: bytes
) -> tuple[list[list[list[float]]], list[list[float] | None], list[int | None]]:
    """UBI, translation and number of every grain."""
    ubis: list[list[list[float]]] = []
    positions: list[list[float] | None] = []
    names: list[int | None] = []
    rows: list[list[float]] = []
    position: list[float] | None = None
    name: int | None = None
    number = 0
    for number, line in enumerate(content.decode("latin-1").splitlines(), 1):
        words = line.split()
        if line.startswith(_TRANSLATION):
            position = numbers_of(path, number, words[1:], 3)
        elif line.startswith(_NAME) and (found := re.match(r"\d+", " ".join(words[1:]))):
            name = whole(found[0])
        elif words and not line.startswith("#"):
            rows.append(numbers_of(path, number, words, 3))
        if len(rows) == 3:
            _check_cell(path, number, rows)
            ubis.append(rows)
            positions.append(position)
            names.append(name)
            rows, position, name = [], None, None
    if rows or position is not None:
        raise FormatError("ends within a grain, whose UBI must have three rows", file=path, line=number)
    return ubis, positions, names


def _check_cell(path: str | os.PathLike[str], line: int, rows: list[list[float]]) -> None:
    ubi = np.array(rows)
    lengths = np.linalg.norm(ubi, axis=1)
    if lengths.min() <= 0 or np.linalg.det(ubi / lengths[:, None]) < _SMALLEST_VOLUME:
        raise FormatError("ends a UBI whose rows are no right-handed cell", file=path, line=line)
