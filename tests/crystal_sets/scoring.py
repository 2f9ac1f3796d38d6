"""Found grains against true ones, one to one: what was found, what is a piece or a copy, what is made up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from independent.referee.crystals import axes_of, lattice_symmetry
from independent.referee.lists import FoundGrain
from independent.referee.rotations import Z_AXIS, about
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from midas.formats.simulated import GrainList

Array = NDArray[np.float64]

#: misorientation (degrees) and distance (µm) that count the same when partners are chosen
_UNITS = (0.1, 50.0)
_NEVER = 1e9


@dataclass(frozen=True)
class Limits:
    """How near is near.

    Parameters
    ----------
    angle, distance : up to which a true grain is found, degrees and µm
    copy : a surplus grain within this angle (degrees) of a true one is a copy or a fragment of it; others are ghosts
    """

    angle: float = 0.15
    distance: float = 60.0
    copy: float = 1.0


@dataclass(frozen=True)
class Score:
    """What became of the grains of a set.

    Parameters
    ----------
    true, found : true grains, and those of them that have a partner
    copies : surplus grains near a true one: duplicates, fragments, mixtures
    ghosts : surplus grains near none
    angle, distance : (found,) errors, degrees and µm
    strain : (found,) mean of the three normal strains of the error, 1e-6
    """

    true: int
    found: int
    copies: int
    ghosts: int
    angle: Array
    distance: Array
    strain: Array

    @property
    def position(self) -> tuple[float, float]:
        """Median and 95th percentile of the position errors, µm; NaN where nothing was found."""
        if not len(self.distance):
            return np.nan, np.nan
        return float(np.median(self.distance)), float(np.percentile(self.distance, 95))

    @property
    def strain_rms(self) -> float:
        """Root mean square of the strain errors, 1e-6; NaN where nothing was found."""
        return float(np.sqrt(np.mean(self.strain**2))) if len(self.strain) else np.nan

    @property
    def worst(self) -> tuple[float, float]:
        """Largest angle and distance of a found grain, degrees and µm; 0 where nothing was found."""
        return float(self.angle.max(initial=0.0)), float(self.distance.max(initial=0.0))

    def __str__(self) -> str:
        median, p95 = self.position
        return (
            f"{self.true:5d} true  {self.found:5d} / {self.copies} / {self.ghosts}  "
            f"position {median:.2f}, {p95:.2f} µm  rotation to {self.worst[0]:.3f}°  strain {self.strain_rms:.0f}e-6"
        )


def score(
    true: GrainList,
    found: Sequence[FoundGrain],
    cell: tuple[float, ...],
    *,
    turn: float = 0.0,
    limits: Limits = Limits(),
    centring: Sequence[tuple[float, float, float]] = (),
) -> Score:
    """Compare a grain list with the truth.

    Parameters
    ----------
    cell : (6,) unstrained, Å and degrees; its lattice says which orientations are one
    turn : angle about z by which the list is turned against the truth, degrees: half a frame where spots are drawn on
        frames that are named by the angle at which they begin
    centring : lattice points inside the cell, in parts of the cell vectors
    """
    about_z, operations = about(Z_AXIS, turn), bravais_symmetry(cell, centring)
    assert true.cells is not None
    truth = np.array([about_z @ u @ axes_of(c) for u, c in zip(true.matrices, true.cells, strict=True)])
    reached = np.array([grain.orientation @ axes_of(grain.cell) for grain in found]).reshape(-1, 3, 3)
    places = np.array([grain.position for grain in found]).reshape(-1, 3)
    near = max(limits.angle, limits.copy)
    rows, columns, operation = _close(truth, reached, axes_of(cell), operations, near)
    angle, strain = _differences(truth[rows], reached[columns] @ operations[operation])
    distance = np.linalg.norm(places[columns] - true.positions[rows] @ about_z.T, axis=1)
    cost = np.full((len(truth), len(reached)), _NEVER)
    partner = (angle < limits.angle) & (distance < limits.distance)
    cost[rows[partner], columns[partner]] = (angle / _UNITS[0] + distance / _UNITS[1])[partner]
    chosen = [pair for pair in zip(*linear_sum_assignment(cost), strict=True) if cost[pair] < _NEVER]
    index = {pair: i for i, pair in enumerate(zip(rows.tolist(), columns.tolist(), strict=True))}
    at = np.array([index[(int(t), int(f))] for t, f in chosen], np.intp)
    surplus = set(range(len(reached))) - {int(f) for _, f in chosen}
    copies = surplus & set(columns[angle < limits.copy].tolist())
    return Score(
        len(truth), len(at), len(copies), len(surplus) - len(copies), angle[at], distance[at], 1e6 * strain[at]
    )


def bravais_symmetry(cell: tuple[float, ...], centring: Sequence[tuple[float, float, float]] = ()) -> Array:
    """(n, 3, 3) proper operations of the lattice with these points inside its cell."""
    operations = lattice_symmetry(cell)
    points = np.array([(0.0, 0.0, 0.0), *centring])

    def kept(operation: Array) -> bool:
        apart = (points @ operation.T)[:, None] - points
        return bool((np.abs(apart - np.round(apart)).max(axis=2).min(axis=1) < 1e-6).all())

    return operations[[kept(operation) for operation in operations]]


def _close(
    truth: Array, found: Array, axes: Array, operations: Array, limit: float
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Pairs of lattices within an angle (degrees) of each other or so: rows, columns, and the operation that fits.

    The trace of the product of two rotations is the sum over their elements: one matrix product for each operation.
    """
    if not len(found):
        none = np.zeros(0, np.intp)
        return none, none, none
    a = _rotations(truth @ np.linalg.inv(axes)).reshape(-1, 9)
    best, which = np.full((len(truth), len(found)), -np.inf), np.zeros((len(truth), len(found)), np.intp)
    for number, operation in enumerate(operations):
        b = _rotations(found @ operation @ np.linalg.inv(axes)).reshape(-1, 9)
        trace = a @ b.T
        better = trace > best
        best[better], which[better] = trace[better], number
    # The rotation of a strained lattice depends a little on its setting.
    rows, columns = np.nonzero(best > 1 + 2 * np.cos(np.radians(1.5 * limit + 0.3)))
    return rows, columns, which[rows, columns]


def _differences(true: Array, found: Array) -> tuple[Array, Array]:
    """Angle (degrees) and mean normal strain that carry (n, 3, 3) true lattices to found ones."""
    carried = found @ np.linalg.inv(true)
    turns = _rotations(carried)
    sine = np.stack([turns[:, i, j] - turns[:, j, i] for i, j in ((2, 1), (0, 2), (1, 0))], axis=-1)
    angle = np.degrees(np.arctan2(np.linalg.norm(sine, axis=1), np.trace(turns, axis1=1, axis2=2) - 1))
    stretch = carried @ turns.transpose(0, 2, 1)
    return angle, np.trace(stretch, axis1=1, axis2=2) / 3 - 1


def _rotations(matrices: Array) -> Array:
    """The nearest rotations of (n, 3, 3) matrices with positive determinants."""
    left, _, right = np.linalg.svd(matrices)
    nearest: Array = left @ right
    return nearest
