"""Vectors, row by row, and the six numbers of a symmetric matrix between them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from midas._ext.numerics.elementwise import arcsin

Array = NDArray[np.float64]

#: components of a symmetric matrix in their order: xx, yy, zz, xy, xz, yz
_COMPONENTS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
#: where each element of the matrix, row by row, stands among them
SYMMETRIC = [0, 3, 4, 3, 1, 5, 4, 5, 2]


def unit(vectors: Array) -> Array:
    """(..., 3) vectors of length 1 along these."""
    length: Array = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / length


def angle_between(a: Array, b: Array) -> Array:
    """(...) degrees between (..., 3) unit vectors; by their chord, which is exact for small angles."""
    angle: Array = np.degrees(2 * arcsin(np.minimum(0.5 * np.linalg.norm(a - b, axis=-1), 1.0)))
    return angle


def products(a: Array, b: Array) -> Array:
    """Factors of the six numbers of a symmetric matrix C in a·C·b.

    Parameters
    ----------
    a, b : (..., 3) float64

    Returns
    -------
    (..., 6) float64, of xx, yy, zz, xy, xz, yz
    """
    return np.stack(
        [a[..., i] * b[..., j] + a[..., j] * b[..., i] if i != j else a[..., i] * b[..., i] for i, j in _COMPONENTS],
        axis=-1,
    )


def matrix_of(components: Array) -> Array:
    """(3, 3) symmetric matrix of its components xx, yy, zz, xy, xz, yz."""
    matrix: Array = components[SYMMETRIC].reshape(3, 3)
    return matrix
