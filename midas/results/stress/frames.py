"""The crystal frame of the suite, the one in which constants are published, and the symmetry between them.

See docs/theory/stress.md#frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas.experiment.crystal import reciprocal_basis, space_group
from midas.experiment.setting import Setting, setting_of
from midas.runtime.errors import ParameterError

Array = NDArray[np.float64]

#: directions of a lattice that an axis may lie along
DIRECTIONS = ("a", "b", "c", "a*", "b*", "c*")
#: Cartesian axis and the direction along it, twice: of hexagonal axes, and of all others
HEXAGONAL_AXES, OTHER_AXES = ("x", "a", "z", "c"), ("x", "a*", "z", "c")

#: cosine of the angle between two directions that counts as square
_SQUARE = 1e-3


@dataclass(frozen=True)
class Frame:
    """The frame in which the constants of a crystal are given.

    Parameters
    ----------
    setting : the axes of the space group
    cell : of the unstrained crystal as the suite has it, Å and degrees
    to_crystal : (3, 3) rotation of that frame to the crystal frame of the suite (a* along x, c along z)
    rotations : (n, 3, 3) proper rotations of the Laue class, crystal frame of the suite
    axes : where the frame lies, in words
    """

    setting: Setting
    cell: tuple[float, ...]
    to_crystal: Array
    rotations: Array
    axes: str


def frame_of(number: int, cell: Sequence[float] | None = None, axes: Sequence[str] = ()) -> Frame:
    """The frame of the constants of a crystal.

    Parameters
    ----------
    number : space group, 1 ... 230
    cell : a, b, c (Å), alpha, beta, gamma (degrees); may be left out where the directions do not depend on it
    axes : four words, a Cartesian axis and the direction along it, twice (x a z c); by default those of the standards:
        x along a and z along c of hexagonal axes (also of a rhombohedral cell, whose hexagonal axes are the obverse
        ones), else x along a* and z along c

    Raises
    ------
    ParameterError : no such space group; a cell is needed; no such axes
    """
    try:
        setting = setting_of(number, cell)
    except ValueError as error:
        raise ParameterError(str(error), key="SpaceGroup", value=number) from None
    if cell is None:
        cell = _any_cell(number, setting)
    own = _directions(cell)
    lattice = own
    turn = np.eye(3)
    if setting.rhombohedral_axes:
        turn = setting.to_hexagonal_axes(cell).T
        lattice = _directions((1.0, 1.0, 1.0, 90.0, 90.0, 120.0))
    words = tuple(axes) or (HEXAGONAL_AXES if setting.lattice else OTHER_AXES)
    to_crystal = turn @ _axes(words, lattice)
    text = f"{words[0]} along {words[1]}, {words[2]} along {words[3]}"
    obverse = " of the obverse hexagonal cell" if setting.rhombohedral_axes else ""
    return Frame(setting, tuple(cell), to_crystal, _rotations(number, cell), text + obverse)


def crystal_system(number: int) -> str:
    """Of a space group, in a word; trigonal groups are what they are on any lattice."""
    if not 1 <= number <= 230:
        raise ParameterError("must be 1 to 230", key="SpaceGroup", value=number)
    names = ("triclinic", "monoclinic", "orthorhombic", "tetragonal", "trigonal", "hexagonal", "cubic")
    return next(name for last, name in zip((2, 15, 74, 142, 167, 194, 230), names, strict=True) if number <= last)


def _any_cell(number: int, setting: Setting) -> tuple[float, ...]:
    """A cell of that group, where all have the same directions."""
    if number <= 15:
        raise ParameterError("needs the cell, whose angles say how the axes lie", key="SpaceGroup", value=number)
    return (1.0, 1.0, 1.0, 90.0, 90.0, 120.0 if setting.lattice else 90.0)


def direct_basis(cell: Sequence[float]) -> Array:
    """(3, 3) lattice vectors in columns, Å, crystal frame of the suite."""
    basis: Array = np.asarray(np.linalg.inv(reciprocal_basis(cell)).T, np.float64)
    return basis


def _directions(cell: Sequence[float]) -> dict[str, Array]:
    """Unit vectors along the directions of a lattice, crystal frame of the suite."""
    both = np.concatenate([direct_basis(cell).T, np.asarray(reciprocal_basis(cell)).T])
    return dict(zip(DIRECTIONS, both / np.linalg.norm(both, axis=1, keepdims=True), strict=True))


def _axes(words: Sequence[str], lattice: dict[str, Array]) -> Array:
    """(3, 3) the axes of a frame in columns."""
    text = " ".join(words)
    right = len(words) == 4 and {words[1], words[3]} <= set(DIRECTIONS)
    if not right or words[0] == words[2] or not {words[0], words[2]} <= set("xyz"):
        reason = f"must be a Cartesian axis and a direction along it, twice, as in 'x a z c'; {', '.join(DIRECTIONS)}"
        raise ParameterError(reason, key="axes", value=text)
    first, second = lattice[words[1]], lattice[words[3]]
    if abs(first @ second) > _SQUARE:
        reason = f"{words[1]} and {words[3]} of this cell are not square to each other"
        raise ParameterError(reason, key="axes", value=text)
    second = second - (first @ second) * first
    second /= np.linalg.norm(second)
    i, k = "xyz".index(words[0]), "xyz".index(words[2])
    frame = np.empty((3, 3))
    frame[:, i], frame[:, k] = first, second
    third = np.cross(first, second)
    frame[:, 3 - i - k] = third if (k - i) % 3 == 1 else -third
    return frame


def _rotations(number: int, cell: Sequence[float]) -> Array:
    """Proper rotations of the Laue class, crystal frame; elasticity does not see an inversion."""
    basis = direct_basis(cell)
    found: list[Array] = []
    for operation in space_group(number, cell).rotations:
        turned = basis @ operation @ np.linalg.inv(basis)
        u, _, vt = np.linalg.svd(turned)  # the nearest orthogonal matrix: a cell may miss its symmetry by a little
        proper = u @ vt * np.sign(np.linalg.det(operation))
        if not any(np.allclose(proper, other, atol=1e-6) for other in found):
            found.append(proper)
    return np.array(found)
