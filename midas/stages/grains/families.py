"""The mean orientation that a crystal is near to (docs/theory/mosaic.md#families-of-fragments)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from midas.experiment.orientation import misorientation, quaternion_product, reduced

Array = NDArray[np.float64]

#: a mean is found when it moves by less, degrees
_STILL = 1e-4
_MOST_STEPS = 100


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


_CONJUGATE = np.array([1.0, -1.0, -1.0, -1.0])
