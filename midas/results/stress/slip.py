"""Slip systems of a crystal and the shear that a stress resolves on them (docs/theory/stress.md#slip-systems)."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas.experiment.orientation import matrices_from_quaternions, symmetry_operators
from midas.results.stress import tensors
from midas.results.stress.frames import direct_basis
from midas.runtime.errors import ParameterError

Array = NDArray[np.float64]
Indices = tuple[int, int, int]

#: of the families with a name: plane and direction of one system, in three indices
FAMILIES: dict[str, tuple[Indices, Indices]] = {
    "fcc": ((1, 1, 1), (0, 1, -1)),
    "bcc110": ((1, 1, 0), (-1, 1, 1)),
    "bcc112": ((1, 1, 2), (-1, -1, 1)),
    "bcc123": ((1, 2, 3), (1, 1, -1)),
    "b2": ((1, 1, 0), (0, 0, 1)),
    "rocksalt": ((1, 1, 0), (1, -1, 0)),
    "fluorite": ((0, 0, 1), (1, 1, 0)),
    "basal": ((0, 0, 1), (1, 0, 0)),
    "prismatic": ((0, 1, 0), (1, 0, 0)),
    "pyramidal-a": ((0, 1, 1), (1, 0, 0)),
    "pyramidal-ca": ((1, 0, 1), (-1, 0, 1)),
    "pyramidal2-ca": ((1, 1, 2), (-1, -1, 1)),
}
#: what else may be said: several families under one name
GROUPS: dict[str, tuple[str, ...]] = {
    "bcc": ("bcc110", "bcc112", "bcc123"),
    "hcp": ("basal", "prismatic", "pyramidal-a", "pyramidal-ca", "pyramidal2-ca"),
}
#: families that exist on these lattices only
_HEXAGONAL = GROUPS["hcp"]
_CUBIC = ("fcc", *GROUPS["bcc"], "b2", "rocksalt", "fluorite")


@dataclass(frozen=True)
class SlipSystems:
    """Slip systems of a crystal, family by family.

    Parameters
    ----------
    labels : (n) text, plane and direction: ``(1 1 1)[0 1 -1]``
    families : names of the families
    starts : family k is the systems ``starts[k] : starts[k + 1]``
    normals, directions : (n, 3) unit vectors, crystal frame
    """

    labels: tuple[str, ...]
    families: tuple[str, ...]
    starts: tuple[int, ...]
    normals: Array
    directions: Array

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def schmid(self) -> Array:
        """(n, 6) Mandel vectors whose product with that of a stress is the resolved shear stress."""
        return tensors.mandel(self.directions[:, :, None] * self.normals[:, None, :])

    def family_of(self, system: int) -> str:
        """The family of a system, counted from 0."""
        return self.families[int(np.searchsorted(self.starts, system, side="right")) - 1]


def slip_systems(words: Sequence[str], space_group: int, cell: Sequence[float]) -> SlipSystems:
    """All systems that the symmetry makes of families.

    Parameters
    ----------
    words : names of `FAMILIES` or `GROUPS`, or texts of one system each: an optional name, the indices of the plane and
        of the direction; three each, or four each of hexagonal axes
    space_group, cell : of the unstrained crystal, whose c/a counts

    Raises
    ------
    ParameterError : no such family, or not of this lattice; a direction that is not in its plane
    """
    named: dict[str, tuple[Indices, Indices]] = {}
    for word in words:
        for name, system in _meant(word, cell):
            unique = name if name not in named else f"{name}-{len(named) + 1}"
            named[unique] = system
    basis = direct_basis(cell)
    operators = matrices_from_quaternions(symmetry_operators(space_group, cell))
    labels: list[str] = []
    normals: list[Array] = []
    directions: list[Array] = []
    starts = [0]
    for name, (plane, direction) in named.items():
        for hkl, uvw in _family(name, plane, direction, basis, operators):
            labels.append(f"({' '.join(map(str, hkl))})[{' '.join(map(str, uvw))}]")
            normals.append(_unit(np.linalg.inv(basis).T @ hkl))
            directions.append(_unit(basis @ uvw))
        starts.append(len(labels))
    flat = [np.array(vectors).reshape(-1, 3) for vectors in (normals, directions)]
    return SlipSystems(tuple(labels), tuple(named), tuple(starts), flat[0], flat[1])


def _meant(word: str, cell: Sequence[float]) -> list[tuple[str, tuple[Indices, Indices]]]:
    """Families by name, or the one of a text with indices."""
    names = GROUPS.get(word.lower(), (word.lower(),))
    if all(name in FAMILIES for name in names):
        _check_lattice(word, names, cell)
        return [(name, FAMILIES[name]) for name in names]
    return [_written(word)]


def _check_lattice(word: str, names: Sequence[str], cell: Sequence[float]) -> None:
    right_angles = all(abs(angle - 90) < 0.5 for angle in cell[3:])
    cubic = right_angles and np.ptp(cell[:3]) < 0.01 * cell[0]
    hexagonal = abs(cell[5] - 120) < 0.5 and abs(cell[0] - cell[1]) < 0.01 * cell[0]
    if (any(name in _CUBIC for name in names) and not cubic) or (
        any(name in _HEXAGONAL for name in names) and not hexagonal
    ):
        shown = " ".join(f"{x:g}" for x in cell)
        raise ParameterError(f"is no family of a crystal with the cell {shown}", key="slip", value=word)


def _written(text: str) -> tuple[str, tuple[Indices, Indices]]:
    """A system that a user wrote: an optional name, and six or eight whole numbers."""
    words = re.sub(r"[()\[\]{}<>,]", " ", text).split()
    name = words.pop(0) if words and not re.fullmatch(r"[+-]?\d+", words[0]) else ""
    try:
        numbers = [int(word) for word in words]
    except ValueError:
        numbers = []
    if len(numbers) not in (6, 8):
        known = ", ".join((*GROUPS, *FAMILIES))
        reason = f"must be one of {known}, or the indices of a plane and of a direction in it, such as '1 1 1 0 1 -1'"
        raise ParameterError(reason, key="slip", value=text)
    half = len(numbers) // 2
    plane, direction = numbers[:half], numbers[half:]
    if half == 4:
        h, k, i, index = plane
        u, v, t, w = direction
        if h + k + i or u + v + t:
            raise ParameterError("the first three of four indices must add up to 0", key="slip", value=text)
        plane, direction = [h, k, index], [u - t, v - t, w]
    divisor = math.gcd(*direction) or 1
    direction = [number // divisor for number in direction]
    label = name or f"({''.join(map(str, plane))})[{''.join(map(str, direction))}]"
    return label, ((plane[0], plane[1], plane[2]), (direction[0], direction[1], direction[2]))


def _family(
    name: str, plane: Indices, direction: Indices, basis: Array, operators: Array
) -> list[tuple[Indices, Indices]]:
    """Planes and directions that symmetry makes of one system, each system once."""
    reciprocal = np.linalg.inv(basis).T
    if not (any(plane) and any(direction)) or np.dot(plane, direction):
        raise ParameterError("the direction does not lie in the plane", key="slip", value=name)
    planes = _equivalents(operators @ (reciprocal @ plane) @ np.linalg.inv(reciprocal).T)
    directions = _equivalents(operators @ (basis @ direction) @ np.linalg.inv(basis).T)
    return [(p, d) for p in planes for d in directions if np.dot(p, d) == 0]


def _equivalents(indices: Array) -> list[Indices]:
    """Different indices, of opposite ones that with a positive first number, in descending order."""
    found = set()
    for row in np.rint(indices).astype(int).tolist():
        first = next(number for number in row if number)
        found.add(tuple(number if first > 0 else -number for number in row))
    return sorted(found, reverse=True)


def _unit(vector: Array) -> Array:
    unit: Array = np.asarray(vector, np.float64) / np.linalg.norm(vector)
    return unit
