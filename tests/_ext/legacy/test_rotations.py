"""Rounded matrices made orthogonal by way of arc cosines (docs/theory/simulation.md#legacy-approximations)."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from midas._ext.legacy.rotations import legacy_rotations


def flat(rotations: Rotation) -> np.ndarray:
    return np.ascontiguousarray(rotations.as_matrix().reshape(-1, 9))


def test_rotations_come_back_and_rounded_ones_become_rotations() -> None:
    exact = flat(Rotation.random(200, random_state=4))
    nothing = np.full_like(exact, np.nan)
    np.testing.assert_allclose(legacy_rotations(exact, nothing), exact, atol=1e-7)
    found = legacy_rotations(exact.round(6), nothing).reshape(-1, 3, 3)
    np.testing.assert_allclose(found @ found.transpose(0, 2, 1), np.broadcast_to(np.eye(3), found.shape), atol=1e-13)
    assert np.abs(found.reshape(-1, 9) - exact).max() < 1e-3


@pytest.mark.parametrize("tilt", [0.0, 180.0])
def test_the_nearest_rotation_stands_in_where_the_angles_lose_their_meaning(tilt: float) -> None:
    exact = flat(Rotation.from_euler("zx", [[20.0, tilt], [20.0, tilt + 1e-5], [20.0, tilt + 0.01]], degrees=True))
    found = legacy_rotations(exact, np.zeros_like(exact))
    assert not found[:2].any()
    np.testing.assert_allclose(found[2], exact[2], atol=1e-6)


def test_shapes_that_do_not_fit_are_refused() -> None:
    for matrices, nearest in ((np.zeros((2, 9)), np.zeros((1, 9))), (np.zeros((2, 8)), np.zeros((2, 8)))):
        with pytest.raises(ValueError, match="nine numbers"):
            legacy_rotations(matrices, nearest)
