"""Bunge angles by arc cosines (docs/theory/refinement.md#legacy-minimiser)."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from midas._ext.legacy.doors import start_angles_of


@pytest.mark.parametrize("angles", [(10.0, 20.0, 30.0), (350.0, 170.0, 200.0), (100.0, 90.0, 359.0), (0.5, 1.0, 0.25)])
def test_angles_of_a_rotation_come_back(angles: tuple[float, float, float]) -> None:
    matrix = Rotation.from_euler("ZXZ", angles, degrees=True).as_matrix().ravel()
    np.testing.assert_allclose(start_angles_of(matrix), angles, atol=1e-4)


@pytest.mark.parametrize(("phi", "turn"), [(0.0, 40.0), (180.0, 40.0)])
def test_without_a_tilt_the_last_angle_takes_all(phi: float, turn: float) -> None:
    matrix = Rotation.from_euler("ZXZ", (turn, phi, 0.0), degrees=True).as_matrix().ravel()
    found = start_angles_of(matrix)
    again = Rotation.from_euler("ZXZ", found, degrees=True).as_matrix().ravel()
    assert found[0] == 0.0
    np.testing.assert_allclose(again, matrix, atol=1e-6)


def test_nine_numbers_are_needed() -> None:
    with pytest.raises(ValueError, match="nine"):
        start_angles_of(np.zeros(8))
