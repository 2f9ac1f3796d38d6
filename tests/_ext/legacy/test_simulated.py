"""The legacy approximations of the simulator: what they neglect, and no more."""

from __future__ import annotations

import numpy as np
import pytest
from simulated_spots import PLAIN, TILTED, common_rows, grains, spots_of

from midas.experiment.detector import DetectorGeometry


@pytest.mark.parametrize("detector", [PLAIN, TILTED])
def test_map_is_the_exact_inverse_within_a_pixel_fraction(detector: DetectorGeometry) -> None:
    orientations, cells, positions = grains(20)
    exact, mapped = (spots_of((orientations, cells, 0 * positions), detector, legacy=legacy) for legacy in (0, 1))
    a, b = common_rows(exact, mapped)
    assert len(exact) == pytest.approx(len(a), abs=1)  # at the edge of the detector the map may be empty
    assert len(a) > 500
    for name in ("DetectorHor", "DetectorVert"):
        worst = np.abs(exact[name][a] - mapped[name][b]).max()
        assert worst < (1e-9 if detector is PLAIN else 0.007)


def test_map_also_undoes_panels() -> None:
    panels = np.array([[0, 1023, 0, 1023, 1.0, 0.0, 0.8, -0.6]])
    exact, mapped = (spots_of(grains(3), TILTED, panels=panels, legacy=legacy) for legacy in (False, True))
    assert np.abs(exact["DetectorHor"] - mapped["DetectorHor"]).max() < 0.01
    assert np.abs(exact["DetectorVert"] - mapped["DetectorVert"]).max() < 0.01


@pytest.mark.parametrize("wedge", [0.0, 1.0])
def test_displacement_is_of_first_order_and_does_not_lean(wedge: float) -> None:
    """By hand for one grain: the ray goes from the grain to where the spot of a grain at the origin is."""
    matrices, cells, _ = grains(1)
    position = np.array([[120.0, -80.0, 35.0]])
    spots, centred = (spots_of((matrices, cells, p), legacy=True, wedge=wedge) for p in (position, 0 * position))
    a, b = common_rows(spots, centred)
    omega = np.radians(spots["Omega"][a])
    x = 120 * np.cos(omega) + 80 * np.sin(omega)
    y = 120 * np.sin(omega) - 80 * np.cos(omega)
    y0, z0 = centred["YLab"][b], centred["ZLab"][b]
    assert len(a) > 50
    np.testing.assert_allclose(spots["YLab"][a], y0 + y - x * (y0 - y) / (500000 - x), atol=1e-6)
    np.testing.assert_allclose(spots["ZLab"][a], z0 + 35 - x * (z0 - 35) / (500000 - x), atol=1e-6)


def test_displacement_neglects_the_product_of_two_coordinates() -> None:
    """It is exact but for about X Y/Lsd, which is what the exact form is there for."""
    matrices, cells, positions = grains(10)
    exact, first_order = (spots_of((matrices, cells, positions), legacy=legacy) for legacy in (False, True))
    a, b = common_rows(exact, first_order)
    for name in ("YLab", "ZLab"):
        difference = np.abs(exact[name][a] - first_order[name][b])
        assert 0.05 < difference.max() < 2 * 300 * 425 / 500000
