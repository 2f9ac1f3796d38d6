"""Angles: the digits that turn degrees into radians, and differences on the circle."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from midas._ext.physics.detector import DEG2RAD, RAD2DEG

__all__ = ["DEG2RAD", "RAD2DEG", "covered", "wrapped"]


def wrapped(angle: ArrayLike) -> NDArray[np.float64]:
    """Angles, or differences of angles, reduced to [-180, 180) degrees.

    Examples
    --------
    >>> wrapped([179.0 - -179.0, -180.0, 180.0])
    array([  -2., -180., -180.])
    """
    return (np.asarray(angle, np.float64) + 180.0) % 360.0 - 180.0


def covered(angles: ArrayLike) -> float:
    """Degrees of a turn between which there are angles (degrees): all but its largest gap.

    Examples
    --------
    >>> covered([-30.0, 0.0, 50.0])
    80.0
    """
    ordered = np.sort(np.mod(np.asarray(angles, np.float64), 360.0))
    return float(360.0 - np.diff(ordered, append=ordered[0] + 360.0).max()) if len(ordered) > 1 else 0.0
