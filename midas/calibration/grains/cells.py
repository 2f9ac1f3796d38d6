"""Cells of grains, and how they change with strain (docs/theory/uncertainty.md#cell)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from midas.experiment.vectors import products

Array = NDArray[np.float64]

#: the components of `midas.experiment.vectors.products` in the order 11 22 33 23 13 12
_ORDER = [0, 1, 2, 5, 4, 3]
#: axes that make alpha, beta, gamma
_FACES = ((1, 2), (0, 2), (0, 1))


def cell_response(ub: Array) -> Array:
    """Derivatives of a … gamma (Å, degrees) by the strain in 10⁻⁶: 11 22 33 23 13 12, sample frame.

    A rotation changes no cell.

    Parameters
    ----------
    ub : (n, 3, 3) float64, U·B, 1/Å

    Returns
    -------
    (n, 6, 6) float64
    """
    axes = np.linalg.inv(ub)  # its rows are a, b and c in the sample
    length = np.linalg.norm(axes, axis=2)
    unit = axes / length[:, :, None]
    stretch = products(unit, unit)[..., _ORDER]  # relative change of the lengths
    response = np.empty((len(ub), 6, 6))
    response[:, :3] = length[:, :, None] * stretch
    for k, (i, j) in enumerate(_FACES):
        cosine = np.einsum("nx,nx->n", unit[:, i], unit[:, j])[:, None]
        sine = np.sqrt(np.maximum(1 - cosine**2, np.finfo(float).tiny))
        # d cos = 2 u·ε·v - cos (u·ε·u + v·ε·v)
        change = 2 * products(unit[:, i], unit[:, j])[..., _ORDER] - cosine * (stretch[:, i] + stretch[:, j])
        response[:, 3 + k] = -np.degrees(change / sine)
    return 1e-6 * response
