"""Mosaic crystals: the crystals of one family become one grain with broken spots (docs/theory/mosaic.md)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas._ext.grains.reflections import ReflectionModel
from midas._ext.refine.record import MATCHED_SPOT
from midas._ext.refine.refiner import REFINED
from midas._ext.refine.settings import RecordedSpots
from midas.experiment.crystals import Crystals, chosen
from midas.experiment.orientation import matrices_from_quaternions, nearest_rotations, quaternions_from_matrices
from midas.experiment.seed_fit import GrainFit
from midas.runtime.ragged import sums_by
from midas.stages.grains.mosaic.fragments import BrokenSpots, Cone, Fragments, combined_spots, fragments
from midas.stages.grains.resolve.families import families_by_intensity, mean_orientations

Array = NDArray[np.float64]
Places = NDArray[np.int64]

#: times that the fragments are sought again with the crystal that they gave
_ROUNDS = 4
#: times that families are sought again among what became of families
_MOST_REPEATS = 5


@dataclass(frozen=True)
class MosaicModel:
    """What the fit of crystals with broken spots needs.

    Parameters
    ----------
    fit : of crystals to spots that are theirs
    reflections : predicts those that can be observed
    rings : (r,) int32, ascending, their ring numbers
    spots : of the layer
    operators : (m, 4) symmetry of the lattice
    cone : how far a fragment may be from its reflection
    """

    fit: GrainFit
    reflections: ReflectionModel
    rings: NDArray[np.int32]
    spots: BrokenSpots
    operators: Array
    cone: Cone


@dataclass(frozen=True)
class CombinedFit:
    """Crystals as refined on their combined spots.

    Parameters
    ----------
    crystals : n; where the fit has no solution as they were before
    fragments : of the combined spots
    combined : the combined spots, crystal by crystal
    solved : (n,) bool
    matched : (m,) of `MATCHED_SPOT`, what the crystals make of their combined spots
    """

    crystals: Crystals
    fragments: Fragments
    combined: BrokenSpots
    solved: NDArray[np.bool_]
    matched: NDArray[np.void]

    @property
    def intensity(self) -> Array:
        """(n,) of all fragments of each crystal."""
        return sums_by(self.fragments.crystal, self.combined.intensity, len(self.crystals))


def resolve_mosaic(
    model: MosaicModel, crystals: Crystals, owner: Places, threads: int
) -> tuple[Places, Places, CombinedFit]:
    """The crystals of each family as one.

    Parameters
    ----------
    crystals : that own spots
    owner : (s,) crystal of each spot, -1 where it has none

    Returns
    -------
    leader : (n,) ascending, the crystal that stands for each family
    family : (c,) the family of each crystal, 0 ... n - 1
    fit : of the n families; combined spots that the crystals do not explain are left out
    """
    owned = np.flatnonzero(owner >= 0)
    weights = sums_by(owner[owned], model.spots.intensity[owned], len(crystals))
    tolerance, operators = model.cone.tolerance, model.operators
    means = mean_orientations(quaternions_from_matrices(crystals.u), weights, operators, tolerance)
    leader, family = np.unique(families_by_intensity(means, weights, operators, tolerance / 2), return_inverse=True)
    starts = crystals.take(leader)
    starts = Crystals(matrices_from_quaternions(means[leader]), starts.position, starts.cell)
    for _ in range(_MOST_REPEATS):
        of_family = owner.copy()
        of_family[owned] = family[owner[owned]]
        fit = _fitted(model, starts, of_family, threads)
        merged = families_by_intensity(quaternions_from_matrices(fit.crystals.u), fit.intensity, operators, tolerance)
        remaining, place = np.unique(merged, return_inverse=True)
        if len(remaining) == len(leader):
            break
        leader, family, starts = leader[remaining], place[family], fit.crystals.take(remaining)
    return leader, family, fit


def _fitted(model: MosaicModel, crystals: Crystals, owner: Places, threads: int) -> CombinedFit:
    """Seek fragments and refine on what they make, round after round."""
    for _ in range(_ROUNDS):
        every = crystals.predicted(model.reflections, threads)
        predicted = chosen(every, every.accepted)
        group = np.searchsorted(model.rings, predicted.ring).astype(np.int32)
        found = fragments(model.spots, model.fit.instrument, crystals, predicted, group, owner, model.cone)
        combined = combined_spots(model.spots, found)
        fit = _refined(model, _turned(model.spots, crystals, found), found, combined, threads)
        crystals = fit.crystals
    return fit


def _turned(spots: BrokenSpots, crystals: Crystals, found: Fragments) -> Crystals:
    """The crystals turned so that their reflections point to their fragments: the refinement matches what is near."""
    u = crystals.u.copy()
    weight = np.maximum(spots.intensity[found.spot], np.finfo(float).tiny)
    total = np.add.reduceat(weight, found.offsets[:-1]) if len(found.crystal) else weight
    share = weight / total[found.combined]
    pairs = share[:, None, None] * found.vectors[:, :, None] * found.predicted[found.combined][:, None, :]
    owner = found.crystal[found.combined]
    sums = np.zeros_like(u)
    np.add.at(sums, owner, pairs)
    for i in np.flatnonzero(np.bincount(found.crystal, minlength=len(u)) > 1).tolist():
        u[i] = nearest_rotations(sums[i]) @ u[i]
    return Crystals(u, crystals.position, crystals.cell)


def _refined(
    model: MosaicModel, crystals: Crystals, found: Fragments, combined: BrokenSpots, threads: int
) -> CombinedFit:
    """The crystals refined on their combined spots, where there is a solution, and the spots that they explain."""
    if not len(combined.y):
        return CombinedFit(crystals, found, combined, np.zeros(len(crystals), bool), np.empty(0, MATCHED_SPOT))
    recorded = RecordedSpots(
        combined.y, combined.z, combined.omega, combined.group.astype(np.int32), combined.certainty
    )
    refiner = model.fit.refiner(recorded)
    offsets = np.searchsorted(found.crystal, np.arange(len(crystals) + 1)).astype(np.int64)
    rows = np.arange(len(combined.y))
    start = np.ascontiguousarray(crystals.u.reshape(-1, 9))
    solutions, _, _, status = refiner.refine(start, crystals.position, offsets, rows, threads)
    solved = status == REFINED
    refined = crystals.where(solved, solutions)
    u = np.ascontiguousarray(refined.u.reshape(-1, 9))
    _, spots, counts, _ = refiner.refine(u, refined.position, offsets, rows, threads, refined.cell, fit=False)
    matched = spots[rows - offsets[found.crystal] < counts[found.crystal]]
    kept = matched["row"]
    return CombinedFit(refined, found.take(kept), combined.take(kept), solved, matched)
