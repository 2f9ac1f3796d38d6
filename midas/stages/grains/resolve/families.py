"""Crystals of about one orientation (docs/theory/resolving.md#families)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from midas.experiment.orientation import misorientation, quaternion_product, reduced

Array = NDArray[np.float64]

#: a mean is found when it moves by less, degrees
_STILL = 1e-4
_MOST_STEPS = 100
_CONJUGATE = np.array([1.0, -1.0, -1.0, -1.0])


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


def mean_orientations(orientations: Array, weights: Array, operators: Array, tolerance: float) -> Array:
    """The weighted mean orientation to which each crystal climbs (mean shift).

    To the mean of those within the tolerance of it, then of those within the tolerance of that mean, until it stays.

    Parameters
    ----------
    orientations : (n, 4) unit quaternions
    weights : (n,)
    operators : (m, 4) symmetry of the lattice
    tolerance : degrees

    Returns
    -------
    (n, 4) unit quaternions
    """
    return np.array([_climb(q, orientations, weights, operators, tolerance) for q in orientations]).reshape(-1, 4)


def _climb(start: Array, orientations: Array, weights: Array, operators: Array, tolerance: float) -> Array:
    """Where the mean of the crystals near `start` comes to rest."""
    mean = start
    for _ in range(_MOST_STEPS):
        near = misorientation(mean, orientations, operators) < tolerance
        relative = reduced(quaternion_product(mean * _CONJUGATE, orientations[near]), operators)
        step = weights[near] @ relative
        step /= np.linalg.norm(step)
        mean = quaternion_product(mean, step)
        if np.degrees(2 * np.linalg.norm(step[1:])) < _STILL:
            break
    return mean
