"""Widths and mixing from pooled profiles."""

from __future__ import annotations

import numpy as np

from midas._ext.calibrate.pooled import pixel_profile
from midas.calibration.powder.profile import BIN, EXTENT, RingShape, shape_of

SLOPES = (np.cos(np.pi / 8), np.sin(np.pi / 8))


def pooled(widths: np.ndarray, mixing: float) -> np.ndarray:
    half = int(EXTENT / BIN)
    x = np.arange(-half, half + 1) * BIN
    above = np.array([1e5 * pixel_profile(x, width, mixing, *SLOPES) for width in widths])
    return np.stack([above, np.full_like(above, 1e5), above + 1e4], axis=1)


def test_width_and_mixing_of_smooth_rings() -> None:
    radius = np.linspace(200.0, 900.0, 8)
    found = shape_of(pooled(1.5 + radius / 700, 0.4), radius, np.full(8, 9.0), RingShape())
    np.testing.assert_allclose(found.fwhm_at(radius), 1.5 + radius / 700, rtol=2e-3)
    np.testing.assert_allclose(found.mixing_at(radius), 0.4, atol=5e-3)


def test_a_ring_that_differs_counts_less() -> None:
    radius = np.linspace(200.0, 900.0, 8)
    widths = np.where(np.arange(8) == 3, 6.0, 2.0)
    found = shape_of(pooled(widths, 0.4), radius, np.full(8, 9.0), RingShape())
    assert np.abs(found.fwhm_at(radius) - 2.0).max() < 0.35


def test_without_profiles_nothing_changes() -> None:
    before = RingShape(width=(3.0,), mixing=(0.2,))
    nothing = np.zeros((2, 3, 2 * int(EXTENT / BIN) + 1))
    assert shape_of(nothing, np.array([100.0, 200.0]), np.full(2, 9.0), before) == before
