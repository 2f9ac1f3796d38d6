"""Directions of a hemisphere on paper (docs/theory/colours.md#projections)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

PROJECTIONS = ("stereographic", "equal-area")


def project(directions: ArrayLike, projection: str = "stereographic") -> Floats:
    """(n, 2) places of (n, 3) unit vectors of the upper hemisphere, whose rim is the circle of radius 1.

    Raises
    ------
    ValueError : no such projection
    """
    v = np.asarray(directions, float)
    if projection not in PROJECTIONS:
        raise ValueError(f"projection must be one of {', '.join(PROJECTIONS)}, not {projection!r}")
    up = 1 + v[..., 2:]
    return np.asarray(v[..., :2] / (up if projection == "stereographic" else np.sqrt(up)))


def unproject(places: ArrayLike, projection: str = "stereographic") -> Floats:
    """(n, 3) unit vectors of (n, 2) places; those beyond the rim lie in the lower hemisphere."""
    xy = np.asarray(places, float)
    square = (xy**2).sum(axis=-1, keepdims=True)
    if projection == "stereographic":
        return np.asarray(np.concatenate([2 * xy, 1 - square], axis=-1) / (1 + square), np.float64)
    return np.asarray(np.concatenate([xy * np.sqrt(np.clip(2 - square, 0, None)), 1 - square], axis=-1), np.float64)
