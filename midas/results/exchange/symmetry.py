"""How other programs name the symmetry of a crystal: Laue group, Bravais lattice, numbers of EBSD vendors."""

from __future__ import annotations

from collections.abc import Sequence

import gemmi

from midas.experiment.setting import setting_of
from midas.results.colours.laue import LAUE_GROUPS, laue_symbol

#: numbers of a Laue group in a .ctf and in an .ang
_OXFORD = {name: number for number, name in enumerate(LAUE_GROUPS, 1)}
_EDAX = dict(zip(LAUE_GROUPS, (1, 20, 22, 4, 42, 3, 32, 6, 62, 23, 43), strict=True))
_FAMILIES = ((2, "a"), (15, "m"), (74, "o"), (142, "t"), (194, "h"), (230, "c"))


def oxford_number(space_group: int) -> int:
    """Number of the Laue group in a ``.ctf``, 1 ... 11."""
    return _OXFORD[laue_symbol(space_group)]


def edax_number(space_group: int) -> int:
    """Number of the symmetry in an ``.ang``."""
    return _EDAX[laue_symbol(space_group)]


def centring(space_group: int, cell: Sequence[float] | None = None) -> str:
    """Letter of the lattice: P, A, B, C, I, F, or R (P of a rhombohedral lattice along its own axes)."""
    setting = setting_of(space_group, cell)
    return "P" if setting.rhombohedral_axes else setting.symbol[0]


def bravais_lattice(space_group: int, cell: Sequence[float] | None = None) -> str:
    """Pearson's symbol of the lattice, as in ``cF``; A, B and C are S of a monoclinic or orthorhombic one."""
    family = next(letter for last, letter in _FAMILIES if space_group <= last)
    letter = centring(space_group, cell)
    return family + ("S" if letter in "ABC" and family in "mo" else letter)


def short_symbol(space_group: int) -> str:
    """Hermann and Mauguin's symbol in short, without blanks, as in ``Fm-3m``."""
    return str(gemmi.find_spacegroup_by_number(space_group).short_name())
