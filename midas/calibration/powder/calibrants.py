"""Powders whose cell is known, and their rings (docs/theory/calibration.md#calibrants)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import gemmi
import numpy as np

from midas._ext.numerics.elementwise import tan
from midas.calibration.powder.rings import Rings
from midas.experiment.crystal import RING_TOLERANCE, SpaceGroup, all_reflections, asymmetry, space_group, why_impossible
from midas.runtime.errors import FormatError, UsageError, one_line

_CUBIC = range(195, 231)
#: 2 theta of the last ring at most, degrees: the plane of a detector across the beam ends at 90
LARGEST_TWO_THETA = 85.0
#: rings (px) nearer to each other than this spoil one another when they belong to different powders
COLLISION = 12.0


@dataclass(frozen=True)
class Calibrant:
    """A powder of known cell.

    Parameters
    ----------
    name : for messages
    space_group : number
    cell : Å and degrees
    setting : word of `midas.experiment.setting.setting_of`, "" where the cell tells
    """

    name: str
    space_group: int
    cell: tuple[float, float, float, float, float, float]
    setting: str = ""

    def symmetry(self) -> SpaceGroup:
        """The operations of its space group."""
        return space_group(self.space_group, self.cell, self.setting)


def _cubic(name: str, group: int, edge: float) -> Calibrant:
    return Calibrant(name, group, (edge, edge, edge, 90.0, 90.0, 90.0))


#: By name in lower case, with the cells that docs/theory/calibration.md#calibrants gives the sources of.
KNOWN = {
    known.name.lower(): known
    for known in (
        _cubic("CeO2", 225, 5.411651),
        _cubic("LaB6", 221, 4.156826),
        _cubic("Si", 227, 5.431144),
        Calibrant("Al2O3", 167, (4.759091, 4.759091, 12.991779, 90.0, 90.0, 120.0)),
    )
}


def calibrants_of(text: str) -> list[Calibrant]:
    """The powders of a mixture, with commas between them: each as `calibrant` takes it."""
    return [calibrant(part) for part in text.split(",")]


def calibrant(text: str) -> Calibrant:
    """A powder by what a user calls it.

    Parameters
    ----------
    text : a name (``CeO2``), the name of a CIF file, a space group and the six numbers of its cell, or a cubic space
        group and its edge (``225 5.4116``)

    Raises
    ------
    UsageError : for anything else
    FormatError : when the file is no CIF with a cell and a space group

    Examples
    --------
    >>> calibrant("lab6").cell[0]
    4.156826
    >>> calibrant("225 5.4116").cell
    (5.4116, 5.4116, 5.4116, 90.0, 90.0, 90.0)
    """
    text = text.strip()
    if text.lower() in KNOWN:
        return KNOWN[text.lower()]
    if text.lower().endswith(".cif"):
        return _of_file(Path(text))
    words = text.split()
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        numbers = []
    if len(numbers) not in (2, 7):
        names = ", ".join(known.name for known in KNOWN.values())
        reason = f"must be one of {names}, the name of a .cif file, or a space group with a b c alpha beta gamma"
        raise UsageError(reason, key="calibrant", value=text)
    return _of_numbers(text, numbers)


def _of_numbers(text: str, numbers: Sequence[float]) -> Calibrant:
    group = round(numbers[0])
    if group != numbers[0] or not 1 <= group <= 230:
        raise UsageError("the first number must be a space group, 1 to 230", key="calibrant", value=text)
    if len(numbers) == 2:
        if group not in _CUBIC:
            raise UsageError("needs a b c alpha beta gamma, since it is not cubic", key="calibrant", value=text)
        return _possible(_cubic(text, group, numbers[1]))
    a, b, c, alpha, beta, gamma = numbers[1:]
    return _possible(Calibrant(text, group, (a, b, c, alpha, beta, gamma)))


def _possible(powder: Calibrant) -> Calibrant:
    """The powder, if its cell can exist and has the symmetry of its group."""
    if reason := why_impossible(powder.cell):
        raise UsageError(f"the cell {reason}", key="calibrant", value=powder.name)
    try:
        unlike = asymmetry(powder.cell, powder.symmetry()) > 1e-3
    except ValueError as error:
        raise UsageError(str(error), key="calibrant", value=powder.name) from None
    if unlike:
        reason = f"the cell lacks the symmetry of space group {powder.space_group}"
        raise UsageError(reason, key="calibrant", value=powder.name)
    return powder


def _of_file(path: Path) -> Calibrant:
    """The powder of a CIF."""
    if not path.is_file():
        raise FormatError("no such file", file=path)
    try:
        structure = gemmi.read_small_structure(str(path))
    except (RuntimeError, ValueError, OSError) as error:
        raise FormatError(f"is not a readable CIF: {one_line(error)}", file=path) from None
    if structure.cell.a <= 1 or not all(math.isfinite(x) for x in structure.cell.parameters):
        raise FormatError("has no cell (_cell_length_a ...)", file=path)
    group = structure.spacegroup
    if group is None:
        raise FormatError("has no space group that is known (_space_group_name_H-M_alt)", file=path)
    a, b, c, alpha, beta, gamma = structure.cell.parameters
    setting = "" if group.is_reference_setting() else group.xhm().replace(" ", "")
    return _possible(Calibrant(path.name, group.number, (a, b, c, alpha, beta, gamma), setting))


def rings_of(powders: Sequence[Calibrant], wavelength: float, largest_two_theta: float = LARGEST_TWO_THETA) -> Rings:
    """The rings of one powder, or of a mixture.

    Parameters
    ----------
    wavelength : Å
    largest_two_theta : of the last ring, degrees

    Returns
    -------
    Rings; numbers are those of ``hkls.csv`` with one powder, with several they count through all

    Examples
    --------
    >>> rings = rings_of([calibrant("CeO2")], 0.172973, 8.0)
    >>> print(rings.d_spacing.round(4), rings.multiplicity)
    [3.1244 2.7058 1.9133 1.6317 1.5622 1.3529 1.2415] [ 8  6 12 24  8  6 24]
    """
    limit = min(largest_two_theta, LARGEST_TWO_THETA)
    lists = [_rings_of_one(powder, wavelength, limit) for powder in powders]
    if len(lists) == 1:
        return lists[0]
    spacing = np.concatenate([rings.d_spacing for rings in lists])
    order = np.argsort(-spacing, kind="stable")
    spacing = spacing[order]
    multiplicity = np.concatenate([rings.multiplicity for rings in lists])[order]
    first = np.ones(len(spacing), bool)
    first[1:] = -np.diff(spacing) >= RING_TOLERANCE
    return _joined(np.cumsum(first), spacing, multiplicity)


def _rings_of_one(powder: Calibrant, wavelength: float, largest_two_theta: float) -> Rings:
    r_max = 1e6 * math.tan(math.radians(largest_two_theta))
    table = all_reflections(powder.cell, powder.symmetry(), wavelength, 1e6, r_max)
    spacing = table["d_spacing"]
    return _joined(table.integers("ring"), spacing, np.ones(len(spacing), np.int64))


def _joined(number: np.ndarray, spacing: np.ndarray, multiplicity: np.ndarray) -> Rings:
    """Rings of rows by number, which rises: their multiplicity, and the mean spacing that goes with it."""
    numbers, place = np.unique(number, return_inverse=True)
    total = np.bincount(place, multiplicity, len(numbers))
    mean = np.bincount(place, multiplicity * spacing, len(numbers)) / total
    return Rings(numbers.astype(np.int64), mean, total.astype(np.int64))


def apart(rings: Rings, wavelength: float, lsd: float, px: float, nearest: float = COLLISION) -> Rings:
    """The rings (of a mixture) that have no other within a distance.

    Parameters
    ----------
    wavelength : Å
    lsd, px : sample to detector, and pixel size, µm
    nearest : px
    """
    gaps = np.diff(lsd / px * tan(np.radians(rings.two_theta(wavelength)))) >= nearest
    free = np.concatenate([[True], gaps]) & np.concatenate([gaps, [True]])
    return Rings(rings.number[free], rings.d_spacing[free], rings.multiplicity[free])
