"""Chains of peaks with a saturated member: one spot, never its tails alone (docs/theory/merge.md#saturated-spots)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas._ext.numerics.elementwise import hypot

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class ChainedPeaks:
    """The ordered peaks of all frames.

    Parameters
    ----------
    first : (f + 1,) int64, where each frame begins
    saturated : (n,) bool
    y, z : (n,) float64, px
    intensity : (n,) float64
    reach : (n,) float64, radius of a circle with as many pixels as the region has for each of its peaks, px
    """

    first: Rows
    saturated: NDArray[np.bool_]
    y: NDArray[np.float64]
    z: NDArray[np.float64]
    intensity: NDArray[np.float64]
    reach: NDArray[np.float64]


def without_tails(previous: Rows, last: Rows, peaks: ChainedPeaks) -> tuple[Rows, Rows]:
    """The chains, those that are tails of a saturated peak joined to its chain, or dropped.

    Parameters
    ----------
    previous, last : what the links returned

    Returns
    -------
    previous, last : the same of the chains that are left
    """
    chains = _Chains(previous.copy(), last, peaks)
    for peak in np.flatnonzero(peaks.saturated).tolist():
        for tail in chains.facing(peak):
            chains.take(peak, tail)
    return chains.previous, last[chains.kept]


class _Chains:
    """Linked peaks, in both directions."""

    def __init__(self, previous: Rows, last: Rows, peaks: ChainedPeaks):
        self.previous, self.peaks = previous, peaks
        self.kept = np.ones(len(last), bool)
        self._following = np.full(len(previous), -1, np.int64)
        linked = np.flatnonzero(previous >= 0)
        self._following[previous[linked]] = linked
        self._frame = np.repeat(np.arange(len(peaks.first) - 1), np.diff(peaks.first))
        self._place = {int(peak): place for place, peak in enumerate(last)}

    def facing(self, peak: int) -> list[int]:
        """Ends of other chains in the frames beside a peak, within its reach and nowhere brighter; nearest first."""
        found = []
        for step, links in ((-1, self._following), (1, self.previous)):
            frame = int(self._frame[peak]) + step
            if 0 <= frame < len(self.peaks.first) - 1:
                rows = np.arange(self.peaks.first[frame], self.peaks.first[frame + 1])
                away = hypot(self.peaks.y[rows] - self.peaks.y[peak], self.peaks.z[rows] - self.peaks.z[peak])
                near = (links[rows] < 0) & (away < self.peaks.reach[peak])
                found += rows[near][np.argsort(away[near], kind="stable")].tolist()
        return [row for row in found if self._falls(row)]

    def take(self, peak: int, tail: int) -> None:
        """Join a chain that ends beside a peak to the peak's chain, or drop it where that goes on with another one."""
        older, newer = sorted((peak, tail))
        members = self._members(tail)
        if peak in members or not self.kept[self._place[members[-1]]]:
            return
        if self._following[older] < 0 and self.previous[newer] < 0:
            self.kept[self._place[older]] = False
            self.previous[newer] = older
            self._following[older] = newer
        elif self.peaks.intensity[tail] < self.peaks.intensity[peak] and not self.peaks.saturated[members].any():
            self.kept[self._place[members[-1]]] = False

    def _falls(self, row: int) -> bool:
        """Whether a chain is nowhere brighter than at one of its ends."""
        return bool(self.peaks.intensity[self._members(row)].max() <= self.peaks.intensity[row])

    def _members(self, row: int) -> list[int]:
        """The chain of a peak, oldest first."""
        while self.previous[row] >= 0:
            row = int(self.previous[row])
        members = [row]
        while self._following[row] >= 0:
            row = int(self._following[row])
            members.append(row)
        return members
