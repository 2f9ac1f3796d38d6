"""Which candidates are crystals: those that explain spots which nobody else explains.

See docs/theory/resolving.md#selection.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from midas._ext.grains.matches import SharpMatcher, SharpMatches
from midas.experiment.crystals import Crystals
from midas.experiment.orientation import misorientation, quaternions_from_matrices
from midas.stages.grains.legacy_selection import CLUSTER_ANGLE
from midas.stages.grains.resolve.scene import Scene

#: exception for coincident reflections (docs/theory/resolving.md#coincident-reflections): least sharp completeness,
#: least misorientation (degrees) to the owners, least part and number of the own reflections that have a free spot
COINCIDENT_COMPLETENESS, COINCIDENT_ANGLE = 0.75, 2.0
COINCIDENT_PART, COINCIDENT_SPOTS = 0.6, 2
#: the rest of broad spots (docs/theory/indexing.md#what-broad-spots-leave): a candidate of a later pass so near (µm) to
#: a crystal of its orientation family must own this part of its reflections alone
BROAD_DISTANCE, BROAD_PART = 100.0, 0.5


@dataclass(frozen=True)
class Candidates:
    """Solutions that may be crystals.

    Parameters
    ----------
    crystals : the solutions
    quaternions : (n, 4), their orientations
    rank : (n,) int64, all different; the lower one comes first where two explain spots equally well
    completeness : (n,) float64, in the windows of the search
    late : (n,) bool, those that a later pass of indexing has found
    """

    crystals: Crystals
    quaternions: NDArray[np.float64]
    rank: NDArray[np.int64]
    completeness: NDArray[np.float64]
    late: NDArray[np.bool_]

    def fitted(self, rows: NDArray[np.int64], crystals: Crystals) -> Candidates:
        """Some of them as a fit has left them."""
        quaternions = quaternions_from_matrices(crystals.u)
        return Candidates(crystals, quaternions, self.rank[rows], self.completeness[rows], self.late[rows])


@dataclass(frozen=True)
class Limits:
    """What a crystal must own alone: a number of spots, and a part of its reflections.

    Parameters
    ----------
    family : nearer ones (degrees) may be pieces of one crystal
    """

    spots: int
    part: float
    family: float


@dataclass
class Selection:
    """Chooses crystals one after the other, the best first.

    Parameters
    ----------
    scene, candidates, matches, limits : what is chosen from, and by what
    owner : (s,) int64, the candidate that owns each spot so far, at its place in the scene; -1
    undecidable : candidates whose spots another orientation explains just as well
    """

    scene: Scene
    candidates: Candidates
    matches: SharpMatches
    limits: Limits
    owner: NDArray[np.int64] = field(init=False)
    undecidable: set[int] = field(default_factory=set)
    _with_spots: dict[bytes, list[int]] = field(default_factory=dict)
    _matchers: dict[bytes, SharpMatcher] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.owner = np.full(len(self.scene.spots), -1, np.int64)
        self.place = self.scene.place[self.matches.spot]
        self.expected = self.matches.expected.sum(axis=1)
        self.weight = 1 - (self.matches.distance / self.scene.scales.window) ** 2 / 2
        for c in range(len(self.expected)):
            self._with_spots.setdefault(self._name_of_spots(c), []).append(c)

    def run(self) -> NDArray[np.int64]:
        """The candidates that are crystals, in ascending order."""
        rank = self.candidates.rank.tolist()
        heap = [(*self._standing(c)[:2], rank[c], c) for c in range(len(rank)) if self.expected[c]]
        heapq.heapify(heap)
        chosen: list[int] = []
        while heap:
            *_, c = heapq.heappop(heap)
            quality, number, free = self._standing(c)
            enough = -number >= max(self.limits.spots, self.limits.part * self.expected[c])
            enough = enough and not self._is_of_broad_spots(c, -number, chosen)
            if not enough and not self._is_coincident(c, free):
                continue
            if heap and (quality, number, rank[c], c) > heap[0]:
                heapq.heappush(heap, (quality, number, rank[c], c))
                continue
            self.owner[self._spots(c)[free]] = c = self._best_of_crystal(c)
            chosen.append(c)
        return np.array(sorted(chosen), np.int64)

    def _own(self, c: int) -> slice:
        return slice(int(self.matches.offsets[c]), int(self.matches.offsets[c + 1]))

    def _spots(self, c: int) -> NDArray[np.int64]:
        return self.place[self._own(c)]

    def _name_of_spots(self, c: int) -> bytes:
        return np.sort(self._spots(c)).tobytes()

    def _best_of_crystal(self, c: int) -> int:
        """The candidate that stands for the crystal: of those with the spots of `c` the most complete one.

        They are solutions of one crystal and will be fitted to the same spots. That one of them explains these by a
        fraction of a spot better tells how far it was refined, not which is best.
        """
        candidates, same = self.candidates, np.array(self._with_spots[self._name_of_spots(c)])
        apart = misorientation(candidates.quaternions[c], candidates.quaternions[same], self.scene.operators)
        same = same[apart < CLUSTER_ANGLE]
        order = np.lexsort((candidates.rank[same], -candidates.completeness[same], candidates.late[same]))
        return int(same[order[0]])

    def _standing(self, c: int) -> tuple[float, int, NDArray[np.bool_]]:
        """Quality and number of the matched spots without owner, both negative, and which they are."""
        free = self.owner[self._spots(c)] < 0
        return -float(self.weight[self._own(c)][free].sum()), -int(np.count_nonzero(free)), free

    def _is_of_broad_spots(self, c: int, number: int, chosen: list[int]) -> bool:
        """Whether a candidate with so many spots of its own is likely what crystals leave of their broad spots."""
        if not self.candidates.late[c] or number >= BROAD_PART * self.expected[c] or not chosen:
            return False
        others, position = np.array(chosen), self.candidates.crystals.position
        near = others[np.linalg.norm(position[others] - position[c], axis=1) < BROAD_DISTANCE]
        quaternions = self.candidates.quaternions
        apart = misorientation(quaternions[c], quaternions[near], self.scene.operators) if len(near) else np.empty(0)
        return bool((apart < self.limits.family).any())

    def _is_coincident(self, c: int, free: NDArray[np.bool_]) -> bool:
        """Whether a candidate with few spots of its own is a crystal whose other reflections coincide with others'."""
        spots = self._spots(c)
        if len(spots) < COINCIDENT_COMPLETENESS * self.expected[c]:
            return False
        owners = np.unique(self.owner[spots[~free]])
        quaternions = self.candidates.quaternions
        if not len(owners):
            return False
        if misorientation(quaternions[c], quaternions[owners], self.scene.operators).min() <= COINCIDENT_ANGLE:
            return False
        own, with_spot = self._own_reflections(c, owners, free)
        if own == 0:
            self.undecidable.update(owners.tolist())
        return with_spot >= max(COINCIDENT_PART * own, COINCIDENT_SPOTS)

    def _own_reflections(self, c: int, owners: NDArray[np.int64], free: NDArray[np.bool_]) -> tuple[int, int]:
        """Reflections of a candidate that coincide with nothing of the owners, and those of them with a free spot."""
        matcher = self._matchers.get(owners.tobytes())
        if matcher is None:
            other = self.scene.predicted(self.candidates.crystals.take(owners))
            matcher = self.scene.matcher_of(other.y_plane, other.z_plane, other.omega_recorded, other.ring)
            self._matchers[owners.tobytes()] = matcher
        p = self.scene.predicted(self.candidates.crystals.take(np.array([c])))
        own = p.accepted & ~matcher.covers(p.y_plane, p.z_plane, p.omega_recorded, p.ring)
        matches = self._own(c)
        names = _names(p.hkl[own], p.branch[own])
        matched = _names(self.matches.hkl[matches], self.matches.branch[matches])
        # A spot that is in the windows of both is not against the candidate either.
        names = np.setdiff1d(names, matched[~free])
        return len(names), int(np.isin(names, matched[free]).sum())


def _names(hkl: NDArray[np.int32], branch: NDArray[np.int8]) -> NDArray[np.int64]:
    """A number for each reflection."""
    return 2 * hkl.astype(np.int64) + (branch > 0)


def ranks(
    diff_angle: NDArray[np.float64], completeness: NDArray[np.float64], seeds: NDArray[np.int64], tie: float
) -> NDArray[np.int64]:
    """Order of solutions that explain spots equally well: internal angle, completeness, seed, row.

    Angles that differ by less than the part `tie` of the smallest of them are equal.
    """
    order = np.argsort(diff_angle, kind="stable")
    group = np.zeros(len(order), np.int64)
    first, number = -np.inf, -1
    for row, angle in zip(order.tolist(), diff_angle[order].tolist(), strict=True):
        if not angle <= first * (1 + tie):
            first, number = angle, number + 1
        group[row] = number
    rank = np.empty(len(order), np.int64)
    rank[np.lexsort((np.arange(len(order)), seeds, -completeness, group))] = np.arange(len(order))
    return rank
