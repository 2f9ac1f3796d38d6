"""Which grains of two lists could be the same crystal, without a table of all pairs.

See docs/theory/matching.md#candidates.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from midas._ext.numerics.elementwise import arccos, log, sin
from midas.experiment.orientation import quaternion_product, quaternions_from_matrices, reduced
from midas.results.grain_list import GrainList
from midas.results.matching.lattice import lattice_rotations, rotation_vectors

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

#: below this scalar part both signs of a quaternion may be the nearer one
_NEAR_HALF_TURN = 0.2


@dataclass(frozen=True)
class Snapshot:
    """The grains of one step as the engine compares them.

    Parameters
    ----------
    quaternions : (n, 4) of the rotation from the unstrained crystal to the sample, in any equivalent setting
    positions : (n, 3) µm
    log_radii : (n,) logarithm of the radius, NaN where there is none
    """

    quaternions: Floats
    positions: Floats
    log_radii: Floats

    def __len__(self) -> int:
        return len(self.quaternions)

    def take(self, rows: Indices) -> Snapshot:
        """These grains."""
        return Snapshot(self.quaternions[rows], self.positions[rows], self.log_radii[rows])

    @property
    def spacing(self) -> float:
        """Median distance of a grain to its nearest neighbour, µm; infinity for a single grain."""
        if len(self) < 2:
            return np.inf
        distance, _ = cKDTree(self.positions).query(self.positions, k=2)
        return float(np.median(distance[:, 1]))


def snapshot(grains: GrainList, cell: tuple[float, ...] | None) -> Snapshot:
    """The grains of a list, with the rotations of their lattices against the unstrained one of this cell.

    The matrices of equivalent settings of a strained crystal differ by more than the symmetry; these rotations do not.
    """
    rotations = lattice_rotations(grains, cell)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_radii = np.where(grains.radii > 0, log(grains.radii), np.nan)
    return Snapshot(quaternions_from_matrices(rotations), grains.positions.copy(), log_radii)


@dataclass(frozen=True)
class Candidates:
    """Pairs of grains that could be the same.

    Parameters
    ----------
    first, second : (k,) rows of the two snapshots
    rotations : (k, 3) rotation vector from the first to the second lattice, sample frame, degrees
    displacements : (k, 3) from the first to the second position, µm
    """

    first: Indices
    second: Indices
    rotations: Floats
    displacements: Floats

    def __len__(self) -> int:
        return len(self.first)

    def take(self, kept: Indices | NDArray[np.bool_]) -> Candidates:
        """Some of them."""
        return Candidates(self.first[kept], self.second[kept], self.rotations[kept], self.displacements[kept])


class Finder:
    """Finds candidates for grains among those of one snapshot.

    Parameters
    ----------
    second : the snapshot
    operators : (s, 4) symmetry
    angle, distance : largest misorientation (degrees) and distance (µm, or infinity) of a candidate
    """

    def __init__(self, second: Snapshot, operators: Floats, angle: float, distance: float = np.inf):
        self.second, self.operators, self.angle, self.distance = second, operators, angle, distance
        self.rows, self.quaternions = _near_settings(second.quaternions, operators, angle)
        self.tree = cKDTree(self._coordinates(self.quaternions, second.positions[self.rows]))

    def _coordinates(self, quaternions: Floats, positions: Floats) -> Floats:
        """Points that are less than 1 apart in orientation, and in position, where grains are within the limits."""
        # Half the chord of two quaternions is the sine of a quarter of the angle.
        turned: Floats = quaternions / (2 * sin(np.radians(self.angle) / 4))
        if not np.isfinite(self.distance):
            return turned
        return np.hstack([turned, positions / self.distance])

    def counts(self, first: Snapshot) -> Indices:
        """(n,) about how many candidates each grain has: not fewer than there are."""
        points = self._coordinates(reduced(first.quaternions, self.operators), first.positions)
        found: Indices = self.tree.query_ball_point(points, self._reach, return_length=True).astype(np.intp)
        return found

    @property
    def _reach(self) -> float:
        return float(np.sqrt(2.0)) if np.isfinite(self.distance) else 1.0

    def candidates(self, first: Snapshot) -> Candidates:
        """The candidates of these grains, each pair once, by first and second row."""
        if not len(first) or not len(self.second):
            none = np.empty(0, np.intp)
            return Candidates(none, none, np.empty((0, 3)), np.empty((0, 3)))
        base = reduced(first.quaternions, self.operators)
        tree = cKDTree(self._coordinates(base, first.positions))
        found = tree.sparse_distance_matrix(self.tree, self._reach * (1 + 1e-9), output_type="ndarray")
        one, setting = found["i"].astype(np.intp), found["j"].astype(np.intp)
        two = self.rows[setting]
        turns = rotation_vectors(
            quaternion_product(self.quaternions[setting], base[one] * np.array([1.0, -1.0, -1.0, -1.0]))
        )
        angles = np.linalg.norm(turns, axis=1)
        moved = self.second.positions[two] - first.positions[one]
        near = (angles <= self.angle) & (np.linalg.norm(moved, axis=1) <= self.distance)
        # Of several settings of a pair the one with the smallest angle.
        order = np.flatnonzero(near)
        order = order[np.lexsort((angles[order], two[order], one[order]))]
        new = np.ones(len(order), bool)
        new[1:] = (np.diff(one[order]) != 0) | (np.diff(two[order]) != 0)
        kept = order[new]
        return Candidates(one[kept], two[kept], turns[kept], moved[kept])


def _near_settings(quaternions: Floats, operators: Floats, angle: float) -> tuple[Indices, Floats]:
    """Rows and quaternions of all settings that can be within an angle (degrees) of a reduced orientation.

    The reduced one of two neighbours is turned against the crystal axes by no more than the other, in its smallest
    setting, and the angle; the other in the setting that is near, by no more than that and once more the angle.
    """
    settings = quaternion_product(quaternions[:, None, :], operators)
    settings = np.where(settings[..., :1] < 0, -settings, settings)
    turn = 2 * arccos(np.clip(settings[..., 0], 0.0, 1.0))
    near = turn <= turn.min(axis=1, keepdims=True, initial=np.pi) + 2 * np.radians(angle) + 1e-6
    rows, which = np.nonzero(near)
    found = settings[rows, which]
    both = np.flatnonzero(found[:, 0] < _NEAR_HALF_TURN + sin(np.radians(angle)))
    return np.concatenate([rows, rows[both]]).astype(np.intp), np.concatenate([found, -found[both]])


def moved(snapshot: Snapshot, quaternions: Floats, positions: Floats) -> Snapshot:
    """The same grains turned by quaternions (sample frame), at other positions."""
    return replace(snapshot, quaternions=quaternion_product(quaternions, snapshot.quaternions), positions=positions)
