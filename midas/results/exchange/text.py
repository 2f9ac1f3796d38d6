"""What text files of other programs have in common: rows of numbers, and comment lines that tell the crystal."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from midas.experiment.crystal import why_impossible
from midas.formats.table import LARGEST, whole
from midas.runtime.errors import FormatError

_SPACE_GROUP, _CELL = "# space group ", "# unstrained cell (angstrom, degrees) "


def rows_of(path: str | os.PathLike[str], content: bytes, count: int) -> tuple[NDArray[np.float64], list[int]]:
    """(n, count) the numbers of the lines that are no comments, and the numbers of these lines.

    Raises
    ------
    FormatError : naming the line that does not hold this many finite numbers
    """
    rows, lines = [], []
    for number, line in enumerate(content.decode("latin-1").splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        rows.append(numbers_of(path, number, words, count))
        lines.append(number)
    return np.array(rows, np.float64).reshape(-1, count), lines


def numbers_of(path: str | os.PathLike[str], line: int, words: Sequence[str], count: int) -> list[float]:
    """The numbers of one line."""
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        numbers = []
    if len(numbers) != count or not all(abs(x) < LARGEST for x in numbers):
        raise FormatError(f"must hold {count} finite numbers below {LARGEST:.0e}", file=path, line=line)
    return numbers


def told_crystal(space_group: int | None, cell: Sequence[float] | None) -> list[str]:
    """Comment lines from which `comments_of` knows the crystal again."""
    lines = [] if space_group is None else [f"{_SPACE_GROUP}{space_group}"]
    return lines if cell is None else [*lines, _CELL + " ".join(repr(float(value)) for value in cell)]


def comments_of(content: bytes) -> tuple[int | None, tuple[float, ...] | None]:
    """Space group and unstrained cell that the comment lines tell; None of what they do not tell."""
    space_group, cell = None, None
    for line in content.decode("latin-1").splitlines():
        if line.startswith(_SPACE_GROUP):
            number = whole(line.removeprefix(_SPACE_GROUP).strip())
            space_group = number if number is not None and 1 <= number <= 230 else None
        elif line.startswith(_CELL):
            try:
                found = tuple(float(word) for word in line.removeprefix(_CELL).split())
            except ValueError:
                continue
            cell = found if len(found) == 6 and not why_impossible(found) else None
    return space_group, cell
