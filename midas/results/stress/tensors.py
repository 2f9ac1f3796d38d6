"""Symmetric tensors as vectors of six, tensors of the fourth rank as 6 x 6 matrices.

See docs/theory/stress.md#notation. There are two notations: Voigt's, in which tables and files of users are written
(engineering shear, 2 epsilon_23), and Mandel's, in which all is computed: shear components times sqrt(2), so that a
rotation is an orthogonal 6 x 6 matrix, the stress of a strain the product of a matrix and a vector, and the double
contraction of two tensors the scalar product.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

#: order of the six components in both notations: 11, 22, 33, 23, 13, 12
ORDER = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
#: what the components are called behind the name of a tensor
COMPONENTS = ("11", "22", "33", "23", "13", "12")
#: the six components of a tensor times these are its Mandel vector
FACTORS = np.sqrt([1.0, 1.0, 1.0, 2.0, 2.0, 2.0])

_ROWS, _COLUMNS = (np.array(one) for one in zip(*ORDER, strict=True))


def components(tensors: ArrayLike) -> Array:
    """(..., 6) components of (..., 3, 3) symmetric tensors, of which the mean of both halves counts."""
    t = np.asarray(tensors, np.float64)
    halves: Array = (t[..., _ROWS, _COLUMNS] + t[..., _COLUMNS, _ROWS]) / 2
    return halves


def from_components(numbers: ArrayLike) -> Array:
    """(..., 3, 3) symmetric tensors of (..., 6) components."""
    six = np.asarray(numbers, np.float64)
    tensors = np.empty((*six.shape[:-1], 3, 3))
    tensors[..., _ROWS, _COLUMNS] = six
    tensors[..., _COLUMNS, _ROWS] = six
    return tensors


def mandel(tensors: ArrayLike) -> Array:
    """(..., 6) Mandel vectors of (..., 3, 3) symmetric tensors."""
    return components(tensors) * FACTORS


def from_mandel(vectors: ArrayLike) -> Array:
    """(..., 3, 3) symmetric tensors of (..., 6) Mandel vectors."""
    return from_components(np.asarray(vectors, np.float64) / FACTORS)


def rotations(matrices: ArrayLike) -> Array:
    """(..., 6, 6) orthogonal matrices that turn Mandel vectors as (..., 3, 3) rotations U turn tensors: U t U^T."""
    u = np.asarray(matrices, np.float64)
    turned = u[..., _ROWS, :][..., :, _ROWS] * u[..., _COLUMNS, :][..., :, _COLUMNS]
    turned += u[..., _ROWS, :][..., :, _COLUMNS] * u[..., _COLUMNS, :][..., :, _ROWS]
    scaled: Array = turned * (FACTORS[:, None] / 2) * FACTORS
    return scaled


def stiffness_to_mandel(voigt: ArrayLike) -> Array:
    """(6, 6) Mandel matrix of stiffnesses in Voigt's notation."""
    matrix: Array = np.asarray(voigt, np.float64) * np.outer(FACTORS, FACTORS)
    return matrix


def stiffness_to_voigt(matrix: ArrayLike) -> Array:
    """(6, 6) stiffnesses in Voigt's notation of a Mandel matrix."""
    voigt: Array = np.asarray(matrix, np.float64) / np.outer(FACTORS, FACTORS)
    return voigt


#: Mandel vector of the unit tensor
UNIT = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
#: takes the mean of the diagonal out of a Mandel vector
DEVIATORIC = np.eye(6) - np.outer(UNIT, UNIT) / 3


def hydrostatic(vectors: Array) -> Array:
    """(...) mean of the diagonal of (..., 6) Mandel vectors; positive in tension."""
    mean: Array = vectors[..., :3].mean(axis=-1)
    return mean


def von_mises(vectors: Array) -> Array:
    """(...) equivalent stress of (..., 6) Mandel vectors: sqrt(3/2) times the length of the deviator."""
    length: Array = np.sqrt(1.5) * np.linalg.norm(vectors @ DEVIATORIC, axis=-1)
    return length


def equivalent_strain(tensors: ArrayLike) -> Array:
    """(n,) equivalent strain of (n, 3, 3) tensors, in their unit: sqrt(2/3) times the length of the deviator."""
    equivalent: Array = np.sqrt(2 / 3 * _square_of_deviator(tensors))
    return equivalent


def equivalent_stress(tensors: ArrayLike) -> Array:
    """(n,) von Mises stress of (n, 3, 3) tensors, in their unit: sqrt(3/2) times the length of the deviator."""
    equivalent: Array = np.sqrt(3 / 2 * _square_of_deviator(tensors))
    return equivalent


def traces(tensors: ArrayLike) -> Array:
    """(n,) sum of the diagonal of (n, 3, 3) tensors: of a strain the change of volume, of a stress 3 times its mean."""
    sums: Array = np.trace(np.asarray(tensors, np.float64), axis1=1, axis2=2)
    return sums


def _square_of_deviator(tensors: ArrayLike) -> Array:
    t = np.asarray(tensors, np.float64)
    deviators = t - traces(t)[:, None, None] / 3 * np.eye(3)
    square: Array = (deviators**2).sum(axis=(1, 2))
    return square
