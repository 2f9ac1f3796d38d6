"""Crystals of about one orientation.

See docs/theory/resolving.md#families and docs/theory/resolving.md#mosaic-crystals.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from midas.experiment.orientation import misorientation, quaternion_product

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


#: steps of the mean shift, and the length (degrees) at which it has arrived
_STEPS, _ARRIVED = 100, 1e-4
#: modes closer than this part of the bandwidth are one
_SAME_MODE = 0.5


def families_by_shift(quaternions: Array, intensity: Array, operators: Array, bandwidth: float) -> NDArray[np.int64]:
    """(n,) the brightest crystal of the family of each; families gather around the densest orientations.

    From every crystal the mean, weighted with the intensities, of the orientations within the bandwidth (degrees) is
    taken again and again, until it stays. Crystals that arrive at one place are a family.
    """
    modes = np.array([_climbed(q, quaternions, intensity, operators, bandwidth) for q in quaternions]).reshape(-1, 4)
    return families_by_intensity(modes, intensity, operators, _SAME_MODE * bandwidth)


def _climbed(q: Array, quaternions: Array, intensity: Array, operators: Array, bandwidth: float) -> Array:
    """Where the mean shift leads from an orientation."""
    limit = np.cos(np.radians(bandwidth) / 2)
    for _ in range(_STEPS):
        turns = quaternion_product(quaternion_product(q * [1, -1, -1, -1], quaternions)[:, None], operators)
        best = np.abs(turns[..., 0]).argmax(axis=1)
        turns = turns[np.arange(len(turns)), best]
        turns *= np.where(turns[:, :1] < 0, -1, 1)
        near = turns[:, 0] > limit
        # Half the rotation vector: the sine of small angles.
        mean = (intensity[near, None] * turns[near, 1:]).sum(axis=0) / intensity[near].sum()
        q = quaternion_product(q, np.array([np.sqrt(max(1 - mean @ mean, 0)), *mean]))
        if np.degrees(2 * np.linalg.norm(mean)) < _ARRIVED:
            break
    return q
