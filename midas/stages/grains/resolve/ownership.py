"""Which crystal a spot belongs to (docs/theory/resolving.md#assignment)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas._ext.grains.matches import SharpMatches
from midas.runtime.ragged import offsets_of

#: a crystal with so many spots that it does not share, and such a part of those that it owns, is fitted to them alone
LEAST_ALONE, LEAST_PART_ALONE = 12, 0.5


@dataclass(frozen=True)
class Assignment:
    """Spots and the crystals that claim them.

    Parameters
    ----------
    matches : of the crystals
    crystal : (m,) int64, of each match
    owner, second : (s,) int64, crystals of each spot, the nearest and the next one; -1 where there is none
    pair, second_pair : (s,) int64, their matches; -1
    """

    matches: SharpMatches
    crystal: NDArray[np.int64]
    owner: NDArray[np.int64]
    second: NDArray[np.int64]
    pair: NDArray[np.int64]
    second_pair: NDArray[np.int64]

    def owned(self) -> NDArray[np.bool_]:
        """(m,) bool: of each match whether its crystal owns the spot by it."""
        owned: NDArray[np.bool_] = self.pair[self.matches.spot] == np.arange(len(self.crystal))
        return owned

    def count(self, which: NDArray[np.bool_]) -> NDArray[np.int64]:
        """(c,) how many of the matches of each crystal are among these."""
        return np.bincount(self.crystal[which], minlength=len(self.matches.expected))

    def fitted_spots(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Offsets (c + 1,), and the spots that each crystal is fitted to, in ascending order.

        A shared spot is as a rule two spots that the peak search has not resolved, and wrong for both crystals: its
        owner is fitted to it only if too few spots would be left.
        """
        fitted = self.owned()
        alone = fitted & (self.second[self.matches.spot] < 0)
        enough = self.count(alone) >= np.maximum(LEAST_ALONE, LEAST_PART_ALONE * self.count(fitted))
        fitted &= alone | ~enough[self.crystal]
        crystal, spot = self.crystal[fitted], self.matches.spot[fitted]
        order = np.lexsort((spot, crystal))
        return offsets_of(self.count(fitted)), spot[order]


def assign(matches: SharpMatches, place: NDArray[np.int64]) -> Assignment:
    """Each spot to the crystal whose prediction is nearest, the lower one of equals.

    Parameters
    ----------
    place : (s,), the first row of each spot's measurement; rows of the same one belong to the same crystal
    """
    crystal = np.repeat(np.arange(len(matches.expected)), np.diff(matches.offsets))
    of = place[matches.spot]
    order = np.lexsort((crystal, matches.distance, of))
    first, second = _nearest(order, of, crystal)
    pair, second_pair = np.full(len(place), -1, np.int64), np.full(len(place), -1, np.int64)
    pair[of[first]], second_pair[of[second]] = first, second
    pair, second_pair = pair[place], second_pair[place]
    owner, other = (_crystals_of(pairs, crystal) for pairs in (pair, second_pair))
    return Assignment(matches, crystal, owner, other, pair, second_pair)


def _nearest(
    order: NDArray[np.int64], of: NDArray[np.int64], crystal: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The nearest match of each place that has any, and the nearest one by another crystal where there is one."""
    starts = np.diff(of[order], prepend=-1) != 0
    first = order[starts]
    others = order[crystal[order] != crystal[first[np.cumsum(starts) - 1]]]
    return first, others[np.diff(of[others], prepend=-1) != 0]


def _crystals_of(pairs: NDArray[np.int64], crystal: NDArray[np.int64]) -> NDArray[np.int64]:
    found = np.full(len(pairs), -1, np.int64)
    known = pairs >= 0
    found[known] = crystal[pairs[known]]
    return found
