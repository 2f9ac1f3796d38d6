"""How cells follow strain, against a stretched lattice."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from midas.calibration.grains.cells import cell_response
from midas.experiment.crystal import reciprocal_basis

PLACES = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


def cell_of(axes: np.ndarray) -> np.ndarray:
    """a ... gamma of axes that are columns."""
    length = np.linalg.norm(axes, axis=0)
    cosine = axes.T @ axes / np.outer(length, length)
    return np.array([*length, *np.degrees(np.arccos([cosine[1, 2], cosine[0, 2], cosine[0, 1]]))])


@pytest.mark.parametrize("cell", [(3.6, 3.6, 3.6, 90, 90, 90), (2.95, 2.95, 4.68, 90, 90, 120), (4, 5, 6, 80, 95, 110)])
def test_response_is_the_derivative(cell: tuple[float, ...]) -> None:
    u = Rotation.random(random_state=1).as_matrix()
    ub = u @ reciprocal_basis(np.array(cell, float))
    axes = np.linalg.inv(ub).T
    found = cell_response(ub[None])[0]
    step = 1e-5
    for column, (i, j) in enumerate(PLACES):
        strain = np.zeros((3, 3))
        strain[i, j] = strain[j, i] = step
        change = cell_of((np.eye(3) + strain) @ axes) - cell_of((np.eye(3) - strain) @ axes)
        np.testing.assert_allclose(found[:, column], 1e-6 * change / (2 * step), rtol=1e-6, atol=1e-13)
    turn = Rotation.from_rotvec([0.3, -0.2, 0.5]).as_matrix()
    np.testing.assert_allclose(cell_of(turn @ axes), cell, atol=1e-9)
