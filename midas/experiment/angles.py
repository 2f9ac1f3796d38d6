"""Angles: the digits that turn degrees into radians, and differences on the circle."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from midas._ext.physics.detector import DEG2RAD, RAD2DEG

__all__ = ["DEG2RAD", "RAD2DEG", "wrapped"]


def wrapped(angle: ArrayLike) -> NDArray[np.float64]:
    """Angles, or differences of angles, reduced to [-180, 180) degrees.

    Examples
    --------
    >>> wrapped([179.0 - -179.0, -180.0, 180.0])
    array([  -2., -180., -180.])
    """
    return (np.asarray(angle, np.float64) + 180.0) % 360.0 - 180.0
