"""Crystals of about one orientation (docs/theory/resolving.md#families)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from midas.experiment.orientation import misorientation

Array = NDArray[np.float64]


def families_by_intensity(quaternions: Array, intensity: Array, operators: Array, angle: float) -> NDArray[np.int64]:
    """(n,) the crystal that leads the family of each: brighter, and closer than `angle` (degrees)."""
    leaders: list[int] = []
    leader = np.empty(len(intensity), np.int64)
    for c in np.lexsort((np.arange(len(intensity)), -intensity)).tolist():
        apart = misorientation(quaternions[c], quaternions[leaders], operators) if leaders else np.empty(0)
        near = np.flatnonzero(apart < angle)
        leader[c] = leaders[near[0]] if near.size else c
        if not near.size:
            leaders.append(c)
    return leader
