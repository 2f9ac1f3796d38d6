"""What a grain of a file must be: an orientation that is a rotation, and a cell that there can be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from midas._ext.numerics.elementwise import cos

#: how far the product of an orientation with its transpose may be from 1: six printed digits make 1e-5 of it
_ROTATION = 1e-3
#: No crystal has a cell edge (Å) beyond these.
_SHORTEST, _LONGEST = 1e-3, 1e6
#: of a cell whose edges are 1, squared; less is flat
_SMALLEST_VOLUME = 1e-12


class Fault(NamedTuple):
    """The first grain of a list that cannot be.

    Parameters
    ----------
    row : which one, from 0
    key, value : the columns that are wrong, and their numbers
    reason : what is wrong with them
    """

    row: int
    key: str
    value: str
    reason: str


def why_impossible(cell: Sequence[float]) -> str:
    """What is wrong with a cell (Å and degrees); "" when there can be such a one (docs/theory/hkls.md#setting)."""
    if not all(math.isfinite(x) and x > 0 for x in cell):
        return "must be six positive numbers"
    if not all(_SHORTEST <= length <= _LONGEST for length in cell[:3]):
        return f"lengths must lie between {_SHORTEST:g} and {_LONGEST:g} Å"
    if not all(angle < 180 for angle in cell[3:]):
        return "angles must lie between 0 and 180 degrees"
    return "" if are_cells(np.array([cell], np.float64))[0] else "no cell has these angles"


def why_no_group(number: float | None) -> str:
    """What is wrong with the number of a space group; "" when there is such a one."""
    sound = number is not None and 1 <= number <= 230 and number == int(number)
    return "" if sound else "must be the number of a space group, 1 ... 230"


def are_cells(cells: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(n,) which of (n, 6) numbers, Å and degrees, are cells that there can be."""
    lengths, angles = cells[:, :3], cells[:, 3:]
    sound = np.asarray(((lengths >= _SHORTEST) & (lengths <= _LONGEST) & (angles > 0) & (angles < 180)).all(axis=1))
    a, b, c = cos(np.radians(np.where(sound[:, None], angles, 90.0))).T
    found: NDArray[np.bool_] = sound & (1 - a * a - b * b - c * c + 2 * a * b * c > _SMALLEST_VOLUME)
    return found


def are_rotations(orientations: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(n,) which of (n, 3, 3) matrices, as rounded as files have them, turn a crystal and do nothing else."""
    small = np.asarray((np.abs(orientations) < 2).all(axis=(1, 2)))  # the products of others may overflow
    u = np.where(small[:, None, None], orientations, 0.0)
    skew = np.abs(u @ u.swapaxes(1, 2) - np.eye(3)).max(axis=(1, 2), initial=0)
    sound: NDArray[np.bool_] = (skew < _ROTATION) & (np.linalg.det(u) > 0)
    return sound


def fault_of(orientations: NDArray[np.float64], cells: NDArray[np.float64] | None) -> Fault | None:
    """What is wrong with the first grain that cannot be; None if all can.

    Parameters
    ----------
    orientations : (n, 9) or (n, 3, 3)
    cells : (n, 6), Å and degrees; rows of NaN, and None, are of grains whose cell nobody knows
    """
    matrices = orientations.reshape(-1, 3, 3)
    if not (sound := are_rotations(matrices)).all():
        row = int(np.argmin(sound))
        return Fault(row, "O11 ... O33", _shown(matrices[row].ravel()), "is an orientation matrix that is no rotation")
    if cells is not None and not (sound := are_cells(cells) | np.isnan(cells).all(axis=1)).all():
        row = int(np.argmin(sound))
        return Fault(row, "a ... gamma", _shown(cells[row]), f"is no cell: {why_impossible(cells[row].tolist())}")
    return None


def _shown(numbers: NDArray[np.float64]) -> str:
    return " ".join(f"{x:.6g}" for x in numbers)
