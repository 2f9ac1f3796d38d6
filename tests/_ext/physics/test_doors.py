"""The doors to the physics check what they are given; their numbers are tested in tests/experiment/test_detector.py."""

from __future__ import annotations

import numpy as np
import pytest

from midas._ext.physics.detector import angles_to_plane, bragg_angles, pixels_to_plane, plane_to_pixels
from midas._ext.physics.spots import moved_spots, predicted_spots, scattering_vectors

TWO, THREE, PACKED = np.zeros(2), np.zeros(3), np.ones(12)
POSITIONS = np.zeros((2, 3))


@pytest.mark.parametrize("transform", [pixels_to_plane, plane_to_pixels])
def test_detector_refuses_unequal_lengths_and_short_geometries(transform) -> None:
    assert transform(TWO, TWO, PACKED).shape[1] == 2
    with pytest.raises(ValueError, match="one z"):
        transform(TWO, THREE, PACKED)
    with pytest.raises(ValueError, match="twelve"):
        transform(TWO, TWO, PACKED[:11])


def test_angles_follow_their_definitions() -> None:
    y, z = angles_to_plane(np.array([10.0, 45.0, 90.0]), np.array([90.0, 180.0, 0.0]), 1e6)
    np.testing.assert_allclose(y[:2], [-1e6 * np.tan(np.pi / 18), 0.0], atol=1e-6)
    np.testing.assert_allclose(z[:2], [0.0, -1e6], atol=1e-6)
    assert np.isnan([y[2], z[2]]).all()
    np.testing.assert_allclose(bragg_angles(np.array([0.2, 0.1, 0.09]), 0.2), [60.0, 180.0, np.nan], rtol=1e-14)
    with pytest.raises(ValueError, match="one eta"):
        angles_to_plane(TWO, THREE, 1e6)


def test_spots_refuse_shapes_that_do_not_fit() -> None:
    assert predicted_spots(POSITIONS, POSITIONS, 1e6, 0.2, 0.0, True).shape == (6, 2, 2)
    for g, positions in ((POSITIONS, POSITIONS[:1]), (POSITIONS[:, :2].copy(), POSITIONS)):
        with pytest.raises(ValueError, match="must be"):
            predicted_spots(g, positions, 1e6, 0.2, 0.0, True)
    for y, z, omega, positions in (
        (TWO, THREE, TWO, POSITIONS),
        (TWO, TWO, THREE, POSITIONS),
        (TWO, TWO, TWO, POSITIONS[:1]),
        (TWO, TWO, TWO, POSITIONS[:, :2].copy()),
    ):
        with pytest.raises(ValueError, match="per y"):
            scattering_vectors(y, z, omega, positions, 1e6, 0.2, 0.0, True)
        with pytest.raises(ValueError, match="per y"):
            moved_spots(y, z, omega, positions, 1e6, 0.0, False)
