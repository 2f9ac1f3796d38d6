"""Predicted places and observed ones, paired (docs/theory/evidence.md#pairs)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from midas._ext.numerics.elementwise import cos, sin

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

#: observed places that are looked at for a predicted one
_NEAREST = 6
#: keeps rings and groups apart in a tree of places, in limits
_APART = 10.0


@dataclass(frozen=True)
class Places:
    """Where spots are.

    Parameters
    ----------
    y, z : (n,), px
    omega : (n,), degrees
    ring : (n,), number
    group : (n,), what else must be equal: the grain; None: nothing
    """

    y: Array
    z: Array
    omega: Array
    ring: Rows
    group: Rows | None = None

    @classmethod
    def of(cls, spots: NDArray[np.void], group: Rows | None = None) -> Places:
        """Of predicted spots."""
        return cls(spots["y"], spots["z"], spots["omega"], spots["ring"].astype(np.int64), group)

    def coordinates(self, limit_px: float, limit_omega: float) -> Array:
        """(n, 6) in limits; omega goes round a circle, whose chord is the arc within a limit of few degrees."""
        angle, radius = np.radians(self.omega), 1 / np.radians(limit_omega)
        group = np.zeros(len(self.y)) if self.group is None else _APART * self.group
        around = (radius * cos(angle), radius * sin(angle))
        return np.column_stack([self.y / limit_px, self.z / limit_px, *around, _APART * self.ring, group])


def _candidates(predicted: Places, observed: Places, limit_px: float, limit_omega: float) -> tuple[Rows, Rows, Array]:
    """Pairs that are nearer than 1 limit to each other, and how near, the nearest first."""
    nothing = np.empty(0, np.int64)
    sound = np.flatnonzero(np.isfinite(predicted.y) & np.isfinite(predicted.z))
    if not len(observed.y) or not len(sound):
        return nothing, nothing, np.empty(0)
    tree = cKDTree(observed.coordinates(limit_px, limit_omega))
    wanted = predicted.coordinates(limit_px, limit_omega)[sound]
    distance, near = tree.query(wanted, k=min(_NEAREST, len(observed.y)), distance_upper_bound=1.0)
    distance, near = distance.reshape(len(sound), -1), near.reshape(len(sound), -1)
    row, column = np.nonzero(np.isfinite(distance))
    of, spot, apart = sound[row], near[row, column].astype(np.int64), distance[row, column]
    order = np.lexsort((spot, of, apart))
    return of[order], spot[order], apart[order]


def nearest(predicted: Places, observed: Places, limit_px: float, limit_omega: float) -> tuple[Rows, Rows]:
    """The nearest observed place of each predicted one that has any within the limits; several may have the same."""
    of, spot, _ = _candidates(predicted, observed, limit_px, limit_omega)
    rows, first = np.unique(of, return_index=True)
    return rows, spot[first]


def pairs(predicted: Places, observed: Places, limit_px: float, limit_omega: float) -> tuple[Rows, Rows]:
    """Predicted and observed places, the nearest pairs first, each place once.

    Returns
    -------
    rows of the predicted ones, ascending, and of the observed ones
    """
    of, spot, _ = _candidates(predicted, observed, limit_px, limit_omega)
    taken: list[tuple[Rows, Rows]] = []
    while len(of):
        # A pair that is the nearest one of both its places is in the greedy assignment; the others wait.
        best = np.zeros(len(of), bool)
        best[np.unique(of, return_index=True)[1]] = True
        second = np.zeros(len(of), bool)
        second[np.unique(spot, return_index=True)[1]] = True
        mutual = best & second
        taken.append((of[mutual], spot[mutual]))
        left = ~np.isin(of, of[mutual]) & ~np.isin(spot, spot[mutual])
        of, spot = of[left], spot[left]
    if not taken:
        return of, spot
    found, seen = (np.concatenate(column) for column in zip(*taken, strict=True))
    order = np.argsort(found)
    return found[order], seen[order]
