"""From refined seeds to crystals by the ownership of spots (docs/theory/resolving.md)."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas._ext.grains.matches import SharpMatches
from midas._ext.numerics.elementwise import hypot
from midas.experiment.crystals import Crystals
from midas.experiment.orientation import quaternions_from_matrices
from midas.experiment.sharp_match import skips_explained_seeds
from midas.parameters import Parameters
from midas.runtime.ragged import sums_by
from midas.stages.grains.inputs import GrainInputs, quaternions
from midas.stages.grains.legacy_selection import TIE
from midas.stages.grains.resolve.families import families_by_intensity
from midas.stages.grains.resolve.ownership import Assignment, assign
from midas.stages.grains.resolve.refit import Fitted, refit
from midas.stages.grains.resolve.scene import Scene
from midas.stages.grains.resolve.selection import Candidates, Limits, Selection, ranks
from midas.stages.grains.resolve.significance import ring_counts, significances
from midas.stages.grains.resolve.verdicts import Verdicts, verdicts_of

log = logging.getLogger(__name__)

#: how often the crystals are fitted to the spots that they own, and matched again
ROUNDS = 3


@dataclass(frozen=True)
class Resolved:
    """The crystals of a layer.

    Parameters
    ----------
    rows : (c,) int64, the row of SpotsToIndex.csv that became each crystal, ascending
    fitted : the crystals, with the spots of their last fit
    assignment : which spot belongs to which of them
    significance : (c,) float64
    leader : (c,) int64, the crystal that leads the family of each
    verdicts : of all rows
    seeds : (n, 4) float64, of all rows: reflections, sharp matches, those that no other grain owns, significance
    undecidable : (c,) bool, crystals whose spots another orientation explains just as well
    """

    rows: NDArray[np.int64]
    fitted: Fitted
    assignment: Assignment
    significance: NDArray[np.float64]
    leader: NDArray[np.int64]
    verdicts: Verdicts
    seeds: NDArray[np.float64]
    undecidable: NDArray[np.bool_]


@dataclass(frozen=True)
class Seeds:
    """The solved rows, and their sharp matches as the refinement left them."""

    inputs: GrainInputs
    solved: NDArray[np.bool_]
    rows: NDArray[np.int64]
    candidates: Candidates
    matches: SharpMatches


@dataclass(frozen=True)
class _State:
    """Crystals on their way."""

    rows: NDArray[np.int64]
    fitted: Fitted
    assignment: Assignment

    def matched_again(self, scene: Scene) -> _State:
        """The same with spots for the crystals as they are now, and fitted to these."""
        assignment = assign(scene.match(self.fitted.crystals), scene.place)
        return _State(self.rows, refit(scene, self.fitted, *assignment.fitted_spots()), assignment)

    def without(self, scene: Scene, dropped: NDArray[np.bool_]) -> _State:
        """The others of these crystals, with spots for them."""
        kept = np.flatnonzero(~dropped)
        return _State(self.rows[kept], self.fitted.take(kept), self.assignment).matched_again(scene)


def resolve(seeds: Seeds, parameters: Parameters, scene: Scene) -> Resolved:
    """The crystals among the solved rows."""
    # Pieces that are to be one grain may be as small as they are.
    family = 0.0 if parameters["GrainMerging"] == "mosaic" else parameters["FamilyAngle"]
    limits = Limits(parameters["MinUniqueSpots"], parameters["UniqueCompleteness"], family)
    selection = Selection(scene, seeds.candidates, seeds.matches, limits)
    chosen = selection.run()
    undecidable = set(seeds.rows[sorted(selection.undecidable)].tolist())
    state = _state_of(scene, seeds, chosen)
    for _ in range(ROUNDS):
        state = state.matched_again(scene)
    crystals = state.fitted.crystals
    kept = Selection(scene, seeds.candidates.fitted(chosen, crystals), scene.match(crystals), limits).run()
    state = state.without(scene, ~np.isin(np.arange(len(chosen)), kept))
    return _settled(seeds, parameters, scene, state, undecidable)


def tracked(seeds: Seeds, parameters: Parameters, scene: Scene, rows: NDArray[np.int64]) -> Resolved:
    """What the given rows own as they stand: nothing is selected and nothing fitted."""
    return _described(seeds, parameters, scene, _state_of(scene, seeds, np.searchsorted(seeds.rows, rows)), set())


def described(
    seeds: Seeds,
    parameters: Parameters,
    scene: Scene,
    rows: NDArray[np.int64],
    fitted: Fitted,
    assignment: Assignment,
    undecidable: set[int],
) -> Resolved:
    """All that is known of crystals that have their spots from elsewhere."""
    return _described(seeds, parameters, scene, _State(rows, fitted, assignment), undecidable)


def _state_of(scene: Scene, seeds: Seeds, chosen: NDArray[np.int64]) -> _State:
    """Some candidates as crystals, as the refinement left them."""
    fitted = Fitted.unfitted(seeds.candidates.crystals.take(chosen))
    return _State(seeds.rows[chosen], fitted, assign(scene.match(fitted.crystals), scene.place))


def seeds_of(inputs: GrainInputs, scene: Scene, solved: NDArray[np.bool_]) -> Seeds:
    """The rows with a usable solution."""
    rows = np.flatnonzero(solved)
    refined = inputs.refined
    crystals = Crystals(
        refined.column("orientation")[rows].reshape(-1, 3, 3),
        refined.column("position")[rows],
        refined.column("cell")[rows],
    )
    angle, completeness = refined.column("diff_angle")[rows], refined.column("completeness")[rows]
    rank = ranks(angle, completeness, inputs.seeds[rows], TIE)
    candidates = Candidates(crystals, quaternions(refined, rows), rank, completeness, rows >= inputs.first_pass)
    return Seeds(inputs, solved, rows, candidates, scene.match(crystals))


def _settled(seeds: Seeds, parameters: Parameters, scene: Scene, state: _State, undecidable: set[int]) -> Resolved:
    """The crystals that are significant and have been found from enough seeds, and all that is known of them."""
    while True:
        found = _described(seeds, parameters, scene, state, undecidable)
        members = found.verdicts.seeds(len(state.rows))
        poor = (found.significance < parameters["MinSignificance"]) | (members < parameters["MinNrSpots"])
        if not poor.any():
            return found
        state = state.without(scene, poor)


def _described(seeds: Seeds, parameters: Parameters, scene: Scene, state: _State, undecidable: set[int]) -> Resolved:
    """All that is known of crystals."""
    inputs, assignment, crystals = seeds.inputs, state.assignment, state.fitted.crystals
    spot, expected = assignment.matches.spot, assignment.matches.expected
    owned, free = assignment.owned(), assignment.owner < 0
    significance = significances(
        scene, expected, assignment.count(owned), _owned_on_rings(scene, assignment) + ring_counts(scene, free)
    )
    rotations = (quaternions(inputs.refined, slice(None)), _turned(crystals), scene.operators)
    angles = (window_angle(scene), parameters["FamilyAngle"])
    skipped = skips_explained_seeds(parameters)
    verdicts = verdicts_of(inputs, seeds.solved, state.rows, assignment.owner, rotations, angles, skipped)
    table = table_of_seeds(scene, seeds, free)
    unique = assignment.count(owned & (assignment.second[spot] < 0))
    table[state.rows] = np.column_stack(
        [expected.sum(axis=1), np.diff(assignment.matches.offsets), unique, significance]
    )
    brightness = sums_by(assignment.crystal[owned], scene.spots["intensity"][spot[owned]], len(crystals))
    leader = families_by_intensity(rotations[1], brightness, scene.operators, parameters["FamilyAngle"])
    marked = np.isin(state.rows, list(undecidable))
    return Resolved(state.rows, state.fitted, assignment, significance, leader, verdicts, table, marked)


def _owned_on_rings(scene: Scene, assignment: Assignment) -> NDArray[np.int64]:
    """(c, r) how many spots of each ring each crystal owns."""
    owned, crystals = assignment.owned(), len(assignment.matches.expected)
    ring = np.searchsorted(scene.rings, scene.spots.integers("ring")[assignment.matches.spot[owned]])
    place = assignment.crystal[owned] * len(scene.rings) + ring
    return np.bincount(place, minlength=crystals * len(scene.rings)).reshape(crystals, len(scene.rings))


def window_angle(scene: Scene) -> float:
    """Half axis of the window as an angle seen along the outermost ring, degrees."""
    radius = hypot(scene.spots["y_plane"], scene.spots["z_plane"])[scene.used].max()
    return float(np.degrees(scene.scales.window * scene.scales.spot / radius))


def table_of_seeds(scene: Scene, seeds: Seeds, free: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(n, 4): reflections, sharp matches, those with spots that no grain owns, significance of these."""
    matches = seeds.matches
    of_free = np.repeat(np.arange(len(seeds.rows)), np.diff(matches.offsets))[free[matches.spot]]
    unowned = np.bincount(of_free, minlength=len(seeds.rows))
    spots = np.broadcast_to(ring_counts(scene, free), matches.expected.shape)
    significance = significances(scene, matches.expected, unowned, spots)
    out = np.zeros((len(seeds.inputs.seeds), 4))
    out[:, 3] = np.nan
    out[seeds.rows] = np.column_stack([matches.expected.sum(axis=1), np.diff(matches.offsets), unowned, significance])
    return out


def _turned(crystals: Crystals) -> NDArray[np.float64]:
    return quaternions_from_matrices(crystals.u)
