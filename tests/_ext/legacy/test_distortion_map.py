"""The nearest-pixel map of the legacy simulator (docs/theory/simulation.md#legacy-approximations)."""

from __future__ import annotations

import numpy as np

from midas._ext.legacy.distortion_map import distortion_map
from midas.experiment.detector import DetectorGeometry

NO_PANELS = np.empty((0, 8))


def detector(**changes: float) -> np.ndarray:
    return DetectorGeometry(lsd=1e6, y_bc=20.0, z_bc=15.0, px=200.0, rho_d=4000.0, **changes).packed()


def test_a_perfect_detector_needs_no_map() -> None:
    plain = distortion_map(detector(), (30, 40), NO_PANELS)
    assert plain.shape == (30, 40, 2)
    inside = np.isfinite(plain)
    assert inside.mean() > 0.9  # rounding may put a pixel into the cell beside its own
    assert np.abs(plain[inside]).max() < 1e-6


def test_an_isotropic_distortion_moves_along_the_radius() -> None:
    p2 = 0.01
    moved = distortion_map(detector(p2=p2), (30, 40), NO_PANELS)
    i, j = 32, 24  # a pixel and where it is seen: at its radius times 1 + p2 (R / RhoD)²
    y, z = -(i - 20.0) * 200.0, (j - 15.0) * 200.0
    factor = 1 + p2 * (y * y + z * z) / 4000.0**2
    cell = int(z * factor / 200 + 15.0), int(-y * factor / 200 + 20.0)
    np.testing.assert_allclose(moved[cell], [y - y * factor, z - z * factor], atol=1e-6)


def test_a_shifted_panel_moves_its_pixels_only() -> None:
    panel = np.array([[0, 19, 0, 29, 1.0, -2.0, 0.0, 0.0]])
    plain, moved = (distortion_map(detector(p2=0.01), (30, 40), panels) for panels in (NO_PANELS, panel))
    np.testing.assert_array_equal(plain[:, 25:], moved[:, 25:])
    assert not np.array_equal(plain[:, 2:15], moved[:, 2:15], equal_nan=True)
