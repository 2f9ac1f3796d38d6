"""The setting of a space group: which axes its symmetry elements lie along (docs/theory/hkls.md#setting)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import gemmi
import numpy as np
from numpy.typing import NDArray

from midas._ext.numerics.elementwise import cos, sin

__all__ = ["Setting", "axes_vary", "setting_of"]

_MONOCLINIC = range(3, 16)
_HEXAGONAL_FAMILY = range(143, 195)
#: the axes of a rhombohedral group whose symbol ends in this
_RHOMBOHEDRAL_AXES = "R"

#: hexagonal cell vectors of the obverse setting as sums of the rhombohedral ones, a column for each
_OBVERSE = np.array([[1, 0, 1], [-1, 1, 1], [0, -1, 1]])


@dataclass(frozen=True)
class Setting:
    """A space group along certain axes.

    Parameters
    ----------
    number : 1 ... 230
    symbol : Hermann and Mauguin's, in full, as in ``P 1 21/c 1`` and ``R -3 m:H``
    standard : whether it is the one that the number alone means
    unique_axis : 0, 1, 2 for a, b, c of a monoclinic group; else -1
    lattice : "rhombohedral", or "hexagonal" (also the primitive one of a trigonal group), or "" for all others
    rhombohedral_axes : of a rhombohedral lattice: a = b = c and alpha = beta = gamma
    group : the same for gemmi
    """

    number: int
    symbol: str
    standard: bool
    unique_axis: int
    lattice: str
    rhombohedral_axes: bool
    group: gemmi.SpaceGroup = field(compare=False, repr=False)

    def to_hexagonal_axes(self, cell: Sequence[float]) -> NDArray[np.float64]:
        """(3, 3) rotation of the crystal frame of a cell with rhombohedral axes to that of its hexagonal cell.

        See docs/theory/hkls.md#rhombohedral-axes.
        """
        cosine = cos(np.radians(np.mean(cell[3:])))
        # The rhombohedral cell vectors in a frame of their own: the triad along z, a + b + c.
        height, radius = np.sqrt((1 + 2 * cosine) / 3), np.sqrt((1 - cosine) * 2 / 3)
        around = np.radians([-30.0, 90.0, 210.0])
        axes = np.array([radius * cos(around), radius * sin(around), np.full(3, height)])
        frames = [_crystal_frame(axes), _crystal_frame(axes @ _OBVERSE)]
        rotation: NDArray[np.float64] = frames[1].T @ frames[0]
        return rotation


def _crystal_frame(axes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit vectors (columns) along a*, and so that c is along z, of cell vectors in columns."""
    z = axes[:, 2] / np.linalg.norm(axes[:, 2])
    x = np.cross(axes[:, 1], axes[:, 2])
    x /= np.linalg.norm(x)
    return np.column_stack([x, np.cross(z, x), z])


def setting_of(number: int, cell: Sequence[float] | None = None, word: str = "") -> Setting:
    """The setting of a space group that a cell tells, or a word names.

    Parameters
    ----------
    number : 1 ... 230
    cell : a, b, c (Å), alpha, beta, gamma (degrees); without one the standard setting
    word : overrules the cell: a symbol without blanks (``P21/a``, ``Pbnm``), the axes of a rhombohedral group (``H``,
        ``R``), the origin (``1``, ``2``), or axis and cell choice (``b1``, ``c2``, ``-a3``, ``cab``)

    Raises
    ------
    ValueError : no such number, or no such setting of it
    """
    if not 1 <= number <= 230:
        raise ValueError("must be a space-group number, 1 to 230")
    return _found(number, word or _told_by(number, cell))


def axes_vary(number: int) -> bool:
    """Whether the cell of a space group tells along which axes its symmetry lies."""
    return number in _MONOCLINIC or _lattice(number) == "rhombohedral"


def _told_by(number: int, cell: Sequence[float] | None) -> str:
    """The word of the setting that a cell tells; "" for the standard one."""
    if cell is None:
        return ""
    a, b, c, *angles = cell
    if number in _MONOCLINIC:
        oblique = [abs(angle - 90) for angle in angles]
        unique = max((1, 0, 2), key=lambda axis: oblique[axis])  # b, the first, if no other is further from 90
        return "abc"[unique] if unique != 1 else ""
    equal = a == b == c and angles[0] == angles[1] == angles[2] != 90
    return _RHOMBOHEDRAL_AXES if equal and _lattice(number) == "rhombohedral" else ""


@lru_cache(maxsize=64)
def _found(number: int, word: str) -> Setting:
    groups = [group for group in gemmi.spacegroup_table() if group.number == number]
    group = groups[0]
    if word:
        named = [g for g in groups if word in _names(g)]
        # An axis alone: the first of its cell choices.
        named = named or [g for g in groups if word in "abc" and g.qualifier.startswith(word) and number in _MONOCLINIC]
        if not named:
            raise ValueError(f"must be a setting of space group {number}: {_listed(groups)}")
        group = named[0]
    return Setting(
        number,
        group.xhm(),
        group is groups[0],
        "abc".index(group.qualifier.lstrip("-")[0]) if number in _MONOCLINIC else -1,
        _lattice(number),
        _extension(group) == _RHOMBOHEDRAL_AXES,
        group,
    )


def _lattice(number: int) -> str:
    if number not in _HEXAGONAL_FAMILY:
        return ""
    return "rhombohedral" if gemmi.find_spacegroup_by_number(number).hm.startswith("R") else "hexagonal"


def _extension(group: gemmi.SpaceGroup) -> str:
    return str(group.ext).strip("\0 ")


def _names(group: gemmi.SpaceGroup) -> set[str]:
    """The words that mean a setting."""
    symbols = {group.xhm().replace(" ", ""), group.hm.replace(" ", ""), group.short_name()}
    return (symbols | {_extension(group), group.qualifier}) - {""}


def _listed(groups: list[gemmi.SpaceGroup]) -> str:
    return ", ".join(dict.fromkeys(group.xhm().replace(" ", "") for group in groups))
