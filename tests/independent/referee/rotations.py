"""Rotations about any axis, as matrices."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

X_AXIS, Y_AXIS, Z_AXIS = np.eye(3)


def about(axis: ArrayLike, degrees: ArrayLike) -> Array:
    """Right-handed active rotations about one axis, by Rodrigues' formula.

    Parameters
    ----------
    axis : (3,) of any length but 0
    degrees : (...)

    Returns
    -------
    (..., 3, 3) float64
    """
    unit = np.asarray(axis, np.float64)
    unit = unit / np.linalg.norm(unit)
    angle = np.radians(np.asarray(degrees, np.float64))[..., None, None]
    cross = np.cross(unit, np.eye(3)).T  # cross @ v is unit x v
    along = np.outer(unit, unit)
    return np.asarray(along + np.cos(angle) * (np.eye(3) - along) + np.sin(angle) * cross, np.float64)


def by_vector(vector: ArrayLike) -> Array:
    """The rotation about a vector by as many degrees as it is long."""
    vector = np.asarray(vector, np.float64)
    degrees = float(np.linalg.norm(vector))
    return about(vector, degrees) if degrees else np.eye(3)


def random(rng: np.random.Generator, count: int) -> Array:
    """(count, 3, 3) rotations, uniform over all of them: orthogonal factors of normal matrices."""
    q, r = np.linalg.qr(rng.standard_normal((count, 3, 3)))
    q = q * np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None, :]
    return np.asarray(q * np.sign(np.linalg.det(q))[:, None, None], np.float64)
