"""Crystals fitted to the spots that they own (docs/theory/resolving.md#assignment)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas._ext.refine.refiner import REFINED
from midas.experiment.crystals import Crystals
from midas.runtime.ragged import entries_of, offsets_of
from midas.stages.grains.resolve.scene import Scene

#: fewer spots do not determine the twelve numbers of a crystal
LEAST_SPOTS = 5


@dataclass(frozen=True)
class Fitted:
    """Crystals, the spots that they were fitted to, and whether the fit of each succeeded.

    Parameters
    ----------
    offsets, spots : crystal i was fitted to the rows ``spots[offsets[i] : offsets[i + 1]]``
    good : (n,) bool
    """

    crystals: Crystals
    offsets: NDArray[np.int64]
    spots: NDArray[np.int64]
    good: NDArray[np.bool_]

    @classmethod
    def unfitted(cls, crystals: Crystals) -> Fitted:
        """Crystals as they are, fitted to nothing."""
        n = len(crystals)
        return cls(crystals, np.zeros(n + 1, np.int64), np.empty(0, np.int64), np.ones(n, bool))

    def take(self, rows: NDArray[np.int64]) -> Fitted:
        """Some of them."""
        counts = np.diff(self.offsets)[rows]
        spots = self.spots[entries_of(self.offsets[:-1][rows], counts)]
        return Fitted(self.crystals.take(rows), offsets_of(counts), spots, self.good[rows])


def refit(scene: Scene, before: Fitted, offsets: NDArray[np.int64], spots: NDArray[np.int64]) -> Fitted:
    """Fit position, orientation and cell of crystals to the spots that they own now.

    One whose spots have not changed stays as it is, and so does one whose fit fails.
    """
    counts = np.diff(offsets)
    rows = np.array(
        [i for i in range(len(counts)) if not _same(before, i, spots[offsets[i] : offsets[i + 1]])], np.int64
    )
    rows = rows[counts[rows] >= LEAST_SPOTS]
    crystals = before.crystals
    u, position, cell = crystals.u.copy(), crystals.position.copy(), crystals.cell.copy()
    good = counts >= LEAST_SPOTS
    unchanged = np.setdiff1d(np.arange(len(counts)), rows)
    good[unchanged] &= before.good[unchanged]
    if len(rows):
        chosen = crystals.take(rows)
        own = spots[entries_of(offsets[:-1][rows], counts[rows])]
        starts = offsets_of(counts[rows])
        solutions, _, _, status = scene.refiner.refine(
            chosen.u.reshape(-1, 9), chosen.position, starts, own, scene.threads, chosen.cell
        )
        done = status == REFINED
        found = chosen.where(done, solutions)
        u[rows], position[rows], cell[rows] = found.u, found.position, found.cell
        good[rows] = done
    return Fitted(Crystals(u, position, cell), offsets, spots, good)


def _same(before: Fitted, i: int, spots: NDArray[np.int64]) -> bool:
    return len(spots) > 0 and np.array_equal(before.spots[before.offsets[i] : before.offsets[i + 1]], spots)
