"""Laue groups as rotations and reflections of the crystal frame (docs/theory/colours.md#groups)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas.experiment.orientation import matrices_from_quaternions, symmetry_operators
from midas.experiment.setting import setting_of

__all__ = ["LAUE_GROUPS", "LaueGroup", "laue_group", "laue_symbol"]

Floats = NDArray[np.float64]

#: the eleven
LAUE_GROUPS = ("-1", "2/m", "mmm", "4/m", "4/mmm", "-3", "-3m", "6/m", "6/mmm", "m-3", "m-3m")
#: last space group of each one
_LAST = (2, 15, 74, 88, 142, 148, 167, 176, 194, 206, 230)
#: the Laue group of a lattice by its number of proper rotations
_OF_LATTICE = {1: "-1", 2: "2/m", 4: "mmm", 8: "4/mmm", 6: "-3m", 12: "6/mmm", 24: "m-3m"}
_HEXAGONAL = ("-3", "-3m", "6/m", "6/mmm")

#: a hexagonal cell in columns: a* along x, c along z
_AXES = np.array([[np.sqrt(0.75), 0, 0], [-0.5, 1, 0], [0, 0, 1]])


@dataclass(frozen=True)
class LaueGroup:
    """A Laue group along the axes of a crystal.

    Parameters
    ----------
    name : one of `LAUE_GROUPS`
    operations : (m, 3, 3) float64, rotations and reflections, in the frame of the key
    turn : (3, 3) float64, rotation from the crystal frame (a* along x, c along z) to the frame of the key, where the
        main axis stands along z; not the identity for rhombohedral axes only
    """

    name: str
    operations: Floats
    turn: Floats

    @property
    def hexagonal(self) -> bool:
        """Whether directions are named along the axes of a hexagonal cell."""
        return self.name in _HEXAGONAL

    def contains(self, operation: Floats) -> bool:
        """Whether a (3, 3) operation belongs to the group."""
        return bool((np.abs(self.operations - operation).max(axis=(1, 2)) < 1e-6).any())


def laue_group(
    space_group: int, cell: Sequence[float] | None = None, symmetry: str = "laue", setting: str = ""
) -> LaueGroup:
    """The group of a crystal that makes directions equivalent.

    Parameters
    ----------
    space_group : 1 ... 230
    cell : a, b, c (Å), alpha, beta, gamma (degrees), which tells the setting; without one the standard setting
    symmetry : "laue", the point group of the space group with the inversion, or "lattice", the symmetry of the lattice,
        which alone is seen in the positions of the spots
    setting : name of the setting, which overrules the cell

    Raises
    ------
    ValueError : no such space group, setting or symmetry
    """
    if symmetry not in ("laue", "lattice"):
        raise ValueError(f'symmetry must be "laue" or "lattice", not {symmetry!r}')
    found = setting_of(space_group, cell, setting)
    turn = np.eye(3)
    if found.rhombohedral_axes:
        if cell is None:
            raise ValueError("rhombohedral axes need the cell, whose angle says how they lie")
        turn = found.to_hexagonal_axes(cell)
    if symmetry == "lattice":
        proper = matrices_from_quaternions(symmetry_operators(space_group, cell, setting))
        return LaueGroup(_OF_LATTICE[len(proper)], _with_inversion(turn @ proper @ turn.T), turn)
    name = laue_symbol(space_group)
    group = setting_of(space_group).group if found.rhombohedral_axes else found.group
    operations = group.operations()
    rotations = np.array([op.rot for op in operations.sym_ops], float) / operations.sym_ops[0].DEN
    if name in _HEXAGONAL:
        rotations = _AXES @ rotations @ np.linalg.inv(_AXES)
    return LaueGroup(name, _with_inversion(rotations), turn)


def laue_symbol(space_group: int) -> str:
    """Which of `LAUE_GROUPS` a space group, 1 ... 230, belongs to."""
    return next(name for name, last in zip(LAUE_GROUPS, _LAST, strict=True) if space_group <= last)


def _with_inversion(operations: Floats) -> Floats:
    """The operations and their products with the inversion, each once."""
    both = np.concatenate([operations, -operations])
    _, first = np.unique(both.round(6) + 0.0, axis=0, return_index=True)
    return np.asarray(both[np.sort(first)], np.float64)
