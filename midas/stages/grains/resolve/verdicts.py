"""What became of the seeds, and which grains belong together (docs/theory/resolving.md#verdicts)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas.experiment.orientation import misorientation
from midas.formats.resolved import VERDICTS
from midas.stages.grains.inputs import GrainInputs

CRYSTAL, DUPLICATE, FRAGMENT, GHOST, UNSUPPORTED, EXPLAINED, UNSOLVED = range(len(VERDICTS))

#: seeds closer than this (degrees), or than so many windows, to the crystal that has their spots repeat it
DUPLICATE_ANGLE, DUPLICATE_WINDOWS = 0.4, 3.0
#: a seed that shares this part of its spots with another crystal, and is no repetition, is a ghost
GHOST_PART = 1 / 3


@dataclass(frozen=True)
class Verdicts:
    """Of every row of SpotsToIndex.csv.

    Parameters
    ----------
    verdict : (n,) int64, one of the numbers above
    crystal : (n,) int64, the crystal that the row is, repeats or belongs to; -1
    repeating : verdicts of seeds that count for a crystal as often found
    """

    verdict: NDArray[np.int64]
    crystal: NDArray[np.int64]
    repeating: tuple[int, ...] = (DUPLICATE, FRAGMENT)

    def seeds(self, crystals: int) -> NDArray[np.int64]:
        """(crystals,) from how many seeds each crystal has been found, or would have been if all were searched."""
        return self.of_crystals(crystals, *self.repeating) + 1

    def count(self, *verdicts: int) -> int:
        """How many rows have one of these verdicts."""
        return int(np.isin(self.verdict, verdicts).sum())

    def of_crystals(self, crystals: int, *verdicts: int) -> NDArray[np.int64]:
        """(crystals,) how many rows with one of these verdicts each crystal has."""
        chosen = self.crystal[np.isin(self.verdict, verdicts) & (self.crystal >= 0)]
        return np.bincount(chosen, minlength=crystals)


def verdicts_of(
    inputs: GrainInputs,
    solved: NDArray[np.bool_],
    rows: NDArray[np.int64],
    owner: NDArray[np.int64],
    turned: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    angles: tuple[float, float],
    skipped: bool,
) -> Verdicts:
    """The verdicts.

    Parameters
    ----------
    rows : (c,) int64, of the crystals
    owner : (s,) int64, crystal of each spot
    turned : quaternions of all rows and of the crystals, and the symmetry operators
    angles : of the window, and `FamilyAngle`, degrees
    skipped : whether seeds that a crystal explains were not searched
    """
    window, family = angles
    n = len(inputs.seeds)
    verdict, crystal = np.full(n, UNSUPPORTED), np.full(n, -1)
    shared, nearest = _most_shared(inputs, owner, len(rows))
    with_spots = np.flatnonzero(solved & (shared > 0))
    quaternions, of_crystals, operators = turned
    apart = np.full(n, np.inf)
    apart[with_spots] = misorientation(quaternions[with_spots], of_crystals[nearest[with_spots]], operators)
    ghost = solved & (shared >= GHOST_PART * np.diff(inputs.refined.offsets)) & (shared > 0)
    verdict[ghost] = GHOST
    verdict[apart < family] = FRAGMENT
    verdict[apart < max(DUPLICATE_ANGLE, DUPLICATE_WINDOWS * window)] = DUPLICATE
    known = np.isin(verdict, (DUPLICATE, FRAGMENT, GHOST))
    crystal[known] = nearest[known]
    _of_unsolved(inputs, owner, verdict, crystal)
    verdict[rows], crystal[rows] = CRYSTAL, np.arange(len(rows))
    return Verdicts(verdict, crystal, (DUPLICATE, FRAGMENT, EXPLAINED) if skipped else (DUPLICATE, FRAGMENT))


def _most_shared(
    inputs: GrainInputs, owner: NDArray[np.int64], crystals: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of each row the crystal that owns most of its spots, the lower one of equals, and how many these are."""
    refined = inputs.refined
    n = len(inputs.seeds)
    row = np.repeat(np.arange(n), np.diff(refined.offsets))
    of_spot = owner[refined.spot_ids.astype(np.int64) - 1]
    pairs, counts = np.unique((row * max(crystals, 1) + of_spot)[of_spot >= 0], return_counts=True)
    order = np.lexsort((-pairs, counts))  # so that the last one of a row is its best
    shared, nearest = np.zeros(n, np.int64), np.zeros(n, np.int64)
    best_row, best_crystal = np.divmod(pairs[order], max(crystals, 1))
    shared[best_row], nearest[best_row] = counts[order], best_crystal
    return shared, nearest


def _of_unsolved(
    inputs: GrainInputs, owner: NDArray[np.int64], verdict: NDArray[np.int64], crystal: NDArray[np.int64]
) -> None:
    """Rows without a result: their seed spot may have an owner."""
    without = np.flatnonzero(inputs.refined.key[:, 0] == 0)
    verdict[without] = UNSOLVED
    seeds = inputs.seeds[without]
    inside = (seeds >= 1) & (seeds <= len(owner))
    of_seed = np.where(inside, owner[np.where(inside, seeds, 1) - 1], -1)
    verdict[without[of_seed >= 0]] = EXPLAINED
    crystal[without] = of_seed
