"""Which crystal a spot belongs to (docs/theory/resolving.md#assignment)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas._ext.grains.matches import SharpMatches


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
        """(m,) bool: of each match whether its crystal owns the spot."""
        owned: NDArray[np.bool_] = self.owner[self.matches.spot] == self.crystal
        return owned

    def count(self, which: NDArray[np.bool_]) -> NDArray[np.int64]:
        """(c,) how many of the matches of each crystal are among these."""
        return np.bincount(self.crystal[which], minlength=len(self.matches.expected))

    def owned_spots(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Offsets (c + 1,), and the spots of each crystal in ascending order."""
        own = self.owned()
        crystal, spot = self.crystal[own], self.matches.spot[own]
        order = np.lexsort((spot, crystal))
        counts = np.bincount(crystal, minlength=len(self.matches.expected))
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), spot[order]


def assign(matches: SharpMatches, spots: int) -> Assignment:
    """Each spot to the crystal whose prediction is nearest, the lower one of equals."""
    crystal = np.repeat(np.arange(len(matches.expected)), np.diff(matches.offsets))
    order = np.lexsort((crystal, matches.distance, matches.spot))
    spot = matches.spot[order]
    first = np.flatnonzero(np.diff(spot, prepend=-1))
    last = np.append(first[1:], len(spot))
    twice = first[last - first > 1]
    pair, second_pair = np.full(spots, -1, np.int64), np.full(spots, -1, np.int64)
    pair[spot[first]] = order[first]
    second_pair[spot[twice]] = order[twice + 1]
    owner, second = (_crystals_of(pairs, crystal) for pairs in (pair, second_pair))
    return Assignment(matches, crystal, owner, second, pair, second_pair)


def _crystals_of(pairs: NDArray[np.int64], crystal: NDArray[np.int64]) -> NDArray[np.int64]:
    found = np.full(len(pairs), -1, np.int64)
    known = pairs >= 0
    found[known] = crystal[pairs[known]]
    return found
