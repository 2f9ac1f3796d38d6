"""Families of crystals: those of nearly one orientation (docs/theory/resolving.md#families)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from midas.experiment.orientation import misorientation, quaternion_product, reduced

Array = NDArray[np.float64]

#: a mean is found when it moves by less, degrees
_STILL = 1e-4
_MOST_STEPS = 100


def brightest_first(weights: Array) -> NDArray[np.int64]:
    """Places in descending order of weight, the first of equals first."""
    return np.argsort(-weights, kind="stable")


def around_leaders(orientations: Array, weights: Array, operators: Array, tolerance: float) -> NDArray[np.int64]:
    """The leader of each crystal, by descending weight: one that has a leader within the tolerance joins the nearest.

    Parameters
    ----------
    orientations : (n, 4) unit quaternions
    weights : (n,) owned intensity, or whatever says which crystal leads
    operators : (m, 4) symmetry of the lattice
    tolerance : degrees

    Returns
    -------
    (n,) places of the leaders; a leader's is its own
    """
    leaders: list[int] = []
    leader_of = np.empty(len(weights), np.int64)
    for i in brightest_first(weights).tolist():
        leader_of[i] = i
        if leaders:
            angles = misorientation(orientations[i], orientations[leaders], operators)
            if angles.min() < tolerance:
                leader_of[i] = leaders[int(np.argmin(angles))]
                continue
        leaders.append(i)
    return leader_of


def around_means(
    orientations: Array, weights: Array, operators: Array, tolerance: float
) -> tuple[NDArray[np.int64], Array]:
    """The leader of each crystal, and the weighted mean orientation that it is near to (mean shift).

    Every crystal climbs to the mean of those within the tolerance of it, then of those within the tolerance of that
    mean, until it stays; those that end within half the tolerance of each other are one family. The brightest leads.

    Parameters
    ----------
    As of `around_leaders`

    Returns
    -------
    leader_of : (n,) places of the leaders
    means : (n, 4) where each crystal ends; that of a leader is the mean of its family
    """
    means = np.array([_climb(q, orientations, weights, operators, tolerance) for q in orientations]).reshape(-1, 4)
    return around_leaders(means, weights, operators, tolerance / 2), means


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
