"""One spot for the fragments of a broken one (docs/theory/mosaic.md#fragments)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from midas._ext.numerics.elementwise import arctan2, cos, hypot, sin
from midas.experiment.angles import wrapped

Array = NDArray[np.float64]


def share_of(intensity: Array) -> Array:
    """What each fragment weighs in the mean: its intensity, or next to nothing."""
    return np.maximum(intensity, np.finfo(float).tiny)


def combined_places(
    y: Array, z: Array, omega: Array, weight: Array, rows: NDArray[np.int64], offsets: NDArray[np.int64]
) -> tuple[Array, Array, Array]:
    """Means of radius and azimuth, and of omega; not of y and z: the mean of an arc lies inside of it.

    Parameters
    ----------
    y, z, omega : (s,) float64, of all spots on the plane, µm and degrees
    weight : (f,) float64, of the fragments
    rows, offsets : (f,) and (m + 1,) int64: combined spot i has the fragments ``rows[offsets[i] : offsets[i + 1]]``

    Returns
    -------
    three (m,) float64: y, z, omega
    """
    starts = offsets[:-1]
    if not len(starts):
        return np.empty(0), np.empty(0), np.empty(0)
    first, total = rows[starts], np.add.reduceat(weight, starts)
    fragment_of = np.repeat(first, np.diff(offsets))

    def mean(values: Array) -> Array:
        return np.add.reduceat(weight * values, starts) / total

    radius = mean(hypot(y[rows], z[rows]))
    azimuth = arctan2(z, y)
    azimuth_off = (azimuth[rows] - azimuth[fragment_of] + np.pi) % (2 * np.pi) - np.pi
    turn = azimuth[first] + mean(azimuth_off)
    omega_off = wrapped(omega[rows] - omega[fragment_of])
    return radius * cos(turn), radius * sin(turn), wrapped(omega[first] + mean(omega_off))
