"""How a sample moved and deformed between two steps, from the grains themselves (docs/theory/matching.md#motion)."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from midas.experiment.noise import PER_MAD
from midas.experiment.orientation import matrices_from_quaternions, quaternion_product
from midas.results.matching.candidates import Candidates, Finder, Snapshot
from midas.results.matching.lattice import quaternions_of_vectors, rotation_vectors

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
log = logging.getLogger(__name__)

#: scatter that is assumed before any grain says otherwise, µm, degrees and of the logarithm of the radius, and the
#: number of grains whose word this is worth
PRIOR_POSITION, PRIOR_ROTATION, PRIOR_SIZE, PRIOR_WEIGHT = 10.0, 0.1, 0.2, 2.0
#: grains that must agree about a motion; with fewer there is none
FEWEST = 3
#: grains from which on displacements, and rotations, may change along the sample
_FOR_STRAIN, _FOR_BENDING = 12, 30
#: misorientations (degrees) that count as equal in the vote
_VOTE_ANGLE = 0.25
#: grains that vote; pairs that are looked at for it
_VOTERS, _FEWEST_VOTERS, _VOTES = 400, 60, 60_000
_ROUNDS = 10


@dataclass(frozen=True)
class Motion:
    """From one step to the next: a lattice turns by the common rotation, then by a small one that depends on its place.

    Parameters
    ----------
    rotation : (4,) common quaternion, sample frame
    turn : (3,) small rotation vector at the origin, degrees
    bending : (3, 3) change of that along x, y, z, degrees per µm
    origin : (3,) µm, the middle of the grains
    displacement : (3,) of the origin, µm
    gradient : (3, 3) of the displacement
    size : common change of the logarithm of the radius
    sigma_rotation, sigma_position : (3,) scatter of single grains about this, degrees and µm
    sigma_size : of the logarithm of the radius
    agreeing : grains that agree on it; 0 when nothing could be said and none is assumed
    """

    rotation: Floats
    turn: Floats
    bending: Floats
    origin: Floats
    displacement: Floats
    gradient: Floats
    size: float
    sigma_rotation: Floats
    sigma_position: Floats
    sigma_size: float
    agreeing: int

    @classmethod
    def none(cls, origin: Floats) -> Motion:
        """No motion, and the scatter that is assumed of single grains."""
        return cls(
            np.array([1.0, 0.0, 0.0, 0.0]), np.zeros(3), np.zeros((3, 3)), origin, np.zeros(3), np.zeros((3, 3)), 0.0,
            np.full(3, PRIOR_ROTATION), np.full(3, PRIOR_POSITION), PRIOR_SIZE, 0,
        )  # fmt: skip

    def after(self, before: Snapshot) -> Snapshot:
        """Where the grains are expected to be after it."""
        from_origin = before.positions - self.origin
        turns = quaternions_of_vectors(self.turn + from_origin @ self.bending.T)
        quaternions = quaternion_product(turns, quaternion_product(self.rotation, before.quaternions))
        positions = before.positions + self.displacement + from_origin @ self.gradient.T
        return Snapshot(quaternions, positions, before.log_radii + self.size)

    @property
    def rotation_vector(self) -> Floats:
        """(3,) rotation of lattices at the origin, degrees."""
        both = quaternion_product(quaternions_of_vectors(self.turn[None]), self.rotation)
        vector: Floats = rotation_vectors(both)[0]
        return vector

    @property
    def strain(self) -> Floats:
        """(3, 3) macroscopic strain: of the displacement gradient that which is no rotation (Green–Lagrange)."""
        total = np.eye(3) + self.gradient
        strain: Floats = 0.5 * (total.T @ total - np.eye(3))
        return strain


def find_motion(first: Snapshot, second: Snapshot, operators: Floats, max_rotation: float) -> Motion:
    """The motion between two steps, without knowing which grains are the same.

    Parameters
    ----------
    first, second : the steps
    operators : (s, 4) symmetry
    max_rotation : largest rotation that is looked for, degrees
    """
    origin = np.median(first.positions, axis=0) if len(first) else np.zeros(3)
    none = Motion.none(origin)
    voted = _vote(first, second, operators, max_rotation, none)
    if voted is None:
        return none
    motion, width = voted
    angle = 4 * _VOTE_ANGLE
    for number in range(_ROUNDS):
        if number >= 3:  # the wide limits let grains in that the first fits predict badly
            angle = min(angle, max(6 * float(motion.sigma_rotation.max()), 0.02))
            width = min(width, max(6 * float(motion.sigma_position.max()), 0.1))
        moved = motion.after(first)
        found = Finder(second, operators, angle, width).candidates(moved)
        found = found.take(_mutual(found, motion))
        if len(found) < FEWEST:
            return none
        changed = _refitted(motion, first, second, moved, found)
        settled = number > 4 and _close(changed, motion)
        motion = changed
        if settled:
            break
    return motion


def _vote(
    first: Snapshot, second: Snapshot, operators: Floats, max_rotation: float, none: Motion
) -> tuple[Motion, float] | None:
    """The rotation and displacement that most pairs of grains agree on, and the distance within which they do."""
    spacing = min(first.spacing, second.spacing)
    if not len(second) or not np.isfinite(spacing):
        return None
    width = max(0.5 * spacing, 1.0)
    finder = Finder(second, operators, max_rotation)
    pairs = finder.candidates(_voters(first, finder))
    found_turn, _ = _densest(pairs.rotations, _VOTE_ANGLE)
    best: tuple[int, Motion] | None = None
    for _ in range(2):
        near = pairs.take(np.linalg.norm(pairs.rotations - found_turn, axis=1) < 4 * _VOTE_ANGLE)
        rotation = quaternions_of_vectors(found_turn[None])[0]
        turned = matrices_from_quaternions(rotation) - np.eye(3)
        best = None
        for gradient in (np.zeros((3, 3)), turned):
            place = second.positions[near.second] - none.origin - near.displacements
            moved, count = _densest(near.displacements - place @ gradient.T, width)
            if best is None or count > best[0]:
                best = count, replace(none, rotation=rotation, displacement=moved, gradient=gradient)
        assert best is not None
        place = second.positions[near.second] - none.origin - near.displacements
        left = near.displacements - place @ best[1].gradient.T - best[1].displacement
        agreeing = np.linalg.norm(left, axis=1) < width
        found_turn, _ = _densest(near.rotations[agreeing], _VOTE_ANGLE)
    if best is None or best[0] < FEWEST:
        return None
    return best[1], 2 * width


def _voters(first: Snapshot, finder: Finder) -> Snapshot:
    """Grains that stand for all, so many that their pairs are not too many; the same ones in any order of the rows."""
    order = np.lexsort(first.positions.T)
    some = first.take(np.random.default_rng(0).permutation(order)[:_VOTERS])
    affordable = int(np.searchsorted(np.cumsum(finder.counts(some)), _VOTES))
    return some.take(np.arange(min(len(some), max(_FEWEST_VOTERS, affordable))))


def _densest(points: Floats, size: float) -> tuple[Floats, int]:
    """The middle of the most points within a distance, and how many they are."""
    if not len(points):
        return np.zeros(3), 0
    best, start = 0, points[0]
    for shift in np.ndindex(2, 2, 2):
        cells = np.floor(points / size + 0.5 * np.array(shift)).astype(np.int64)
        cells -= cells.min(axis=0)
        spans = cells.max(axis=0) + 1
        keys = (cells[:, 0] * spans[1] + cells[:, 1]) * spans[2] + cells[:, 2]
        values, which, counts = np.unique(keys, return_inverse=True, return_counts=True)
        fullest = int(np.argmax(counts))
        if counts[fullest] > best:
            best, start = int(counts[fullest]), points[which == fullest].mean(axis=0)
    for _ in range(10):
        start = np.median(points[np.linalg.norm(points - start, axis=1) <= size], axis=0)
        if not np.isfinite(start).all():
            return points[0], 1
    return start, int(np.count_nonzero(np.linalg.norm(points - start, axis=1) <= size))


def _mutual(found: Candidates, motion: Motion) -> NDArray[np.bool_]:
    """Which candidates are the best of both of their grains."""
    far = np.sum((found.rotations / motion.sigma_rotation) ** 2, axis=1)
    far += np.sum((found.displacements / motion.sigma_position) ** 2, axis=1)
    best = np.ones(len(found), bool)
    for rows in (found.first, found.second):
        least = np.full(rows.max(initial=-1) + 1, np.inf)
        np.minimum.at(least, rows, far)
        best &= far <= least[rows]
    return best


def _refitted(motion: Motion, first: Snapshot, second: Snapshot, moved: Snapshot, found: Candidates) -> Motion:
    """The motion that these pairs show, and how far they scatter about it."""
    count = len(found)
    place = first.positions[found.first] - motion.origin
    turn, bending, sigma_rotation = _robust(place, found.rotations, count >= _FOR_BENDING, PRIOR_ROTATION)
    shift, strain, sigma_position = _robust(place, found.displacements, count >= _FOR_STRAIN, PRIOR_POSITION)
    grown = second.log_radii[found.second] - moved.log_radii[found.first]
    grown = grown[np.isfinite(grown)]
    size, sigma_size = 0.0, PRIOR_SIZE
    if len(grown):
        size = float(np.median(grown))
        mad = PER_MAD * float(np.median(np.abs(grown - size)))
        sigma_size = float(_with_prior(np.array([mad]), len(grown), PRIOR_SIZE)[0])
    return replace(
        motion,
        turn=motion.turn + turn,
        bending=motion.bending + bending,
        displacement=motion.displacement + shift,
        gradient=motion.gradient + strain,
        size=motion.size + size,
        sigma_rotation=sigma_rotation,
        sigma_position=sigma_position,
        sigma_size=sigma_size,
        agreeing=count,
    )


def _robust(place: Floats, values: Floats, changing: bool, prior: float) -> tuple[Floats, Floats, Floats]:
    """Constant and gradient of values at places, with Tukey's weights, and their scatter.

    Returns
    -------
    (3,), (3, 3), and (3,) standard deviations of each component, with what was assumed of them as `PRIOR_WEIGHT` more
    """
    count = len(place)
    extent = max(float(np.abs(place).max(initial=0.0)), 1e-9)
    design = np.column_stack([np.ones(count), place / extent]) if changing else np.ones((count, 1))
    weights = np.ones(count)
    for number in range(12):
        root = np.sqrt(weights)[:, None]
        solution, _, rank, _ = np.linalg.lstsq(design * root, values * root, rcond=1e-6)
        left = values - design @ solution
        spread = PER_MAD * np.median(np.abs(left), axis=0) * np.sqrt(count / max(count - rank, 1))
        far = np.sqrt(np.mean((left / np.maximum(spread, 1e-6 * prior)) ** 2, axis=1))
        fresh = np.clip(1 - (far / 5) ** 2, 0, None) ** 2
        if not fresh.any() or (number and np.abs(fresh - weights).max() < 1e-4):
            break
        weights = fresh
    gradient = solution[1:].T / extent if changing else np.zeros((3, 3))
    return solution[0], gradient, _with_prior(spread, count, prior)


def _with_prior(spread: Floats, count: int, prior: float) -> Floats:
    return np.sqrt((count * spread**2 + PRIOR_WEIGHT * prior**2) / (count + PRIOR_WEIGHT))


def _close(one: Motion, two: Motion) -> bool:
    """Whether a further round would change nothing that matters."""
    same = np.abs(one.displacement - two.displacement) < 0.02 * one.sigma_position
    same &= np.abs(one.turn - two.turn) < 0.02 * one.sigma_rotation
    return bool(same.all()) and one.agreeing == two.agreeing
