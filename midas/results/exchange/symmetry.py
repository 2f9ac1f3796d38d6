"""How other programs name the symmetry of a crystal: Laue group, Bravais lattice, numbers of EBSD vendors."""

from __future__ import annotations

from collections.abc import Sequence

import gemmi

from midas.experiment.setting import setting_of

#: last space group of each Laue group, its symbol, its number in a .ctf, its number in an .ang
_LAUE = (
    (2, "-1", 1, 1),
    (15, "2/m", 2, 20),
    (74, "mmm", 3, 22),
    (88, "4/m", 4, 4),
    (142, "4/mmm", 5, 42),
    (148, "-3", 6, 3),
    (167, "-3m", 7, 32),
    (176, "6/m", 8, 6),
    (194, "6/mmm", 9, 62),
    (206, "m-3", 10, 23),
    (230, "m-3m", 11, 43),
)
_FAMILIES = ((2, "a"), (15, "m"), (74, "o"), (142, "t"), (194, "h"), (230, "c"))


def laue_symbol(space_group: int, cell: Sequence[float] | None = None) -> str:
    """Symbol of the Laue group."""
    return _laue(space_group)[1]


def oxford_number(space_group: int) -> int:
    """Number of the Laue group in a ``.ctf``, 1 ... 11."""
    return _laue(space_group)[2]


def edax_number(space_group: int) -> int:
    """Number of the symmetry in an ``.ang``."""
    return _laue(space_group)[3]


def _laue(space_group: int) -> tuple[int, str, int, int]:
    return next(row for row in _LAUE if space_group <= row[0])


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
