"""Ring test and grain sizes (docs/theory/radius.md)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from midas._ext.radius import grain_sizes, match_rings, sum_by_ring


def sizes(eta: float, **changed: float) -> list[float]:
    """Theta, delta omega, frames, volume, radius of one spot."""
    values = {"radius": 1e5, "low": 10.0, "high": 10.25, "intensity": 500.0, "powder": 40.0, "m": 8.0}
    values |= {"lsd": 1e6, "step": -0.25, "gauge": 1e7, "disc": 0.0} | changed
    one = [np.array([values[name]]) for name in ("low", "high", "intensity", "powder", "m")]
    radius, eta_column = np.array([values["radius"]]), np.array([eta])
    found = grain_sizes(radius, eta_column, *one, values["lsd"], values["step"], values["gauge"], values["disc"] == 1)
    return [float(found[name][0]) for name in ("theta", "delta_omega", "frames", "grain_volume", "grain_radius")]


def test_band_is_exclusive_and_doubles_in_an_overlap() -> None:
    spots, rings = match_rings(np.array([90.0, 100.0, 110.0, 300.0, np.nan]), np.array([100.0, 112.0, np.nan]), 10.0)
    assert list(zip(spots, rings, strict=True)) == [(1, 0), (2, 1)]
    spots, rings = match_rings(np.array([90.0, 106.0]), np.array([112.0, 100.0]), 12.0)
    assert list(zip(spots, rings, strict=True)) == [(0, 1), (1, 0), (1, 1)]


def test_no_limit_on_rows() -> None:
    spots, rings = match_rings(np.full(6_000_100, 5.0), np.array([5.0]), 1.0)
    assert len(spots) == len(rings) == 6_000_100


@settings(deadline=None)
@given(st.floats(-179, 179), st.floats(1e3, 3e5), st.floats(0.05, 3.0))
def test_formula(eta: float, radius: float, width: float) -> None:
    theta, delta_omega, frames, volume, size = sizes(eta, radius=radius, high=10.0 + width)
    t, w = math.radians(theta), math.radians(delta_omega)
    assert math.isclose(math.tan(2 * t), radius / 1e6, rel_tol=1e-9)
    assert math.isclose(delta_omega, width + 0.25, rel_tol=1e-9)
    assert math.isclose(frames, delta_omega / 0.25)
    # The spot turns through delta omega: the half width of its crystal in theta.
    sine = math.sin(t) * math.cos(w) + math.cos(t) * abs(math.sin(math.radians(eta))) * math.sin(w)
    delta_theta = math.asin(sine) - t
    expected = 0.5 * 8 * delta_theta * math.cos(t) * 1e7 * 500 / (frames * 40)
    assert math.isclose(volume, expected, rel_tol=1e-6, abs_tol=1e-3)
    assert math.isclose(4 * math.pi / 3 * size**3, volume, rel_tol=1e-9, abs_tol=1e-9)


def test_sense_of_rotation_does_not_matter() -> None:
    assert sizes(60.0, step=0.25) == sizes(60.0, step=-0.25)


def test_near_the_pole_the_size_is_negative() -> None:
    *_, volume, radius = sizes(0.0)
    assert volume < 0
    assert radius < 0
    *_, area, radius = sizes(0.0, disc=1.0)
    assert area < 0
    assert math.isnan(radius)
    assert math.copysign(1, radius) < 0  # printed as -nan


def test_ring_without_intensity() -> None:
    *_, volume, radius = sizes(60.0, intensity=0.0, powder=0.0)
    assert math.isnan(volume)
    assert math.isnan(radius)


def test_disc() -> None:
    *_, area, radius = sizes(60.0, gauge=2e6, disc=1.0)
    assert area == pytest.approx(math.pi * radius**2)


def test_sums_are_in_the_order_of_the_rows() -> None:
    intensity = np.array([1e16, 7.0, 1.0, 1.0, -1e16])
    assert sum_by_ring(intensity, np.array([0, 2, 0, 0, 0]), 3).tolist() == [0.0, 0.0, 7.0]
