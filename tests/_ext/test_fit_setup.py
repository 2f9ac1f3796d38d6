"""Setup kernel against an independent numpy form of the geometry (docs/theory/geometry.md#detector-transform)."""

from __future__ import annotations

import numpy as np
import pytest
from geometry_model import ideal_plane, without_wedge
from numpy.typing import NDArray

from midas._ext.fit_setup import (
    laboratory_spots,
    read_out_correction,
    ring_misfit,
)
from midas.experiment.detector import DetectorGeometry

WAVELENGTH = 0.22291
TILTED = DetectorGeometry(1.01e6, 1019.3, 1027.8, 200, 204800, 1.3, -0.45, 0.27, 1e-4, -2.3e-4, 6e-4, 37)
FLAT = DetectorGeometry(1e6, 1022, 1022, 200, 204800)


def random_spots(n: int, seed: int, d: DetectorGeometry) -> tuple[NDArray, NDArray, NDArray]:
    """Pixel positions on rings of 2θ 5 ... 11 degrees, at least 8 degrees away from the poles."""
    random = np.random.default_rng(seed)
    eta = np.radians(random.uniform(8, 172, n) * random.choice([-1, 1], n))
    radius = d.lsd * np.tan(np.radians(random.uniform(5, 11, n))) / d.px
    omega = random.uniform(-180, 180, n)
    omega[: n // 4] = random.choice([-1, 1], n // 4) * random.uniform(179, 180, n // 4)
    omega[:2] = -180, 180
    return d.y_bc + radius * np.sin(eta), d.z_bc + radius * np.cos(eta), omega


@pytest.mark.parametrize("wedge", [0, 0.1, 0.5, -0.5, -2, 5])
@pytest.mark.parametrize("detector", [FLAT, TILTED], ids=["flat", "tilted"])
def test_legacy_wedge_against_an_independent_geometry(detector: DetectorGeometry, wedge: float) -> None:
    y_px, z_px, omega = random_spots(20_000, 1, detector)
    spots = laboratory_spots(y_px, z_px, omega, detector.packed(), WAVELENGTH, wedge, False, 2)
    y, z = ideal_plane(detector, y_px, z_px)
    expected = without_wedge(detector.lsd, WAVELENGTH, y, z, omega, wedge)
    np.testing.assert_allclose(spots[5:7], [y, z], atol=1e-6)
    np.testing.assert_allclose(spots[7], -np.degrees(np.arctan2(y, z)), atol=1e-8)
    np.testing.assert_allclose(spots[:2], [y, z], atol=1e-6)
    np.testing.assert_allclose((spots[2] - expected + 180) % 360 - 180, 0, atol=1e-7)
    np.testing.assert_allclose(spots[3], -np.degrees(np.arctan2(y, z)), atol=1e-8)
    np.testing.assert_allclose(spots[4], np.degrees(np.arctan(np.hypot(y, z) / detector.lsd)), atol=1e-11)
    assert (np.abs(spots[2]) <= 180).all()
    # The data hold spots that cross ±180, where the legacy form alone fails.
    assert (np.abs(expected) > 180 + 1e-6).any() == (wedge != 0)


def test_no_wedge_leaves_omega() -> None:
    y_px, z_px, omega = random_spots(20_000, 2, FLAT)
    spots = laboratory_spots(y_px, z_px, omega, FLAT.packed(), WAVELENGTH, 0.0, True, 1)
    assert np.abs((spots[2] - omega + 180) % 360 - 180).max() < 1.5e-9


def test_small_wedge_shifts_by_cotangent_of_eta() -> None:
    wedge = 0.3
    y_px, z_px, omega = random_spots(20_000, 3, FLAT)
    spots = laboratory_spots(y_px, z_px, omega, FLAT.packed(), WAVELENGTH, wedge, True, 1)
    shift = (spots[2] - omega + 180) % 360 - 180
    slope = shift * np.tan(np.radians(spots[7])) / wedge
    steep = np.abs(np.abs(spots[7]) - 90) > 20
    assert np.median(slope[steep]) == pytest.approx(-0.9997, abs=5e-4)


@pytest.mark.parametrize("exact", [True, False])
def test_wedge_beside_the_pole_has_no_solution(exact: bool) -> None:
    # The axis leans by theta, so that it is at right angles to the scattering vector of eta = 0.
    eta, radius = np.radians(1.0), 400.0
    wedge = np.degrees(np.arctan(radius * FLAT.px / FLAT.lsd)) / 2
    y_px, z_px = np.array([FLAT.y_bc + radius * np.sin(eta)]), np.array([FLAT.z_bc + radius * np.cos(eta)])
    spots = laboratory_spots(y_px, z_px, np.zeros(1), FLAT.packed(), WAVELENGTH, wedge, exact, 1)
    assert np.isnan(spots[2, 0])


def test_the_beam_centre_has_no_azimuth() -> None:
    centre = np.array([1022.0]), np.array([1022.0])
    spots = laboratory_spots(*centre, np.zeros(1), FLAT.packed(), WAVELENGTH, 0.1, True, 1)
    assert np.isnan(spots[3, 0])


def test_threads_do_not_matter() -> None:
    y_px, z_px, omega = random_spots(3000, 4, TILTED)
    one, two = (laboratory_spots(y_px, z_px, omega, TILTED.packed(), WAVELENGTH, 0.7, True, t) for t in (1, 2))
    assert one.tobytes() == two.tobytes()


@pytest.mark.parametrize(("size", "step"), [(2048, -0.25), (1000, 0.5)])
def test_read_out_correction(size: int, step: float) -> None:
    random = np.random.default_rng(5)
    omega = np.concatenate([random.uniform(-180, 180, 500), [-180, 180, -179.99, 179.99]])
    z = random.uniform(0, size, omega.size)
    gap_step = 0.15 / (0.15 + 0.3) * step
    corrected = read_out_correction(omega, z, gap_step, size, 2)
    expected = omega - gap_step * (1 - np.abs(2 * z - size) / size)
    expected = np.where(expected < -180, expected + 360, np.where(expected > 180, expected - 360, expected))
    np.testing.assert_array_equal(corrected, expected)
    # No shift at the first and last row, the full one in the middle.
    rows = read_out_correction(np.zeros(3), np.array([0.0, size / 2, size]), gap_step, size, 1)
    np.testing.assert_array_equal(np.abs(rows), [0, abs(gap_step), 0])


def test_ring_misfit_weighs_azimuths_equally() -> None:
    y_px, z_px, _ = random_spots(5000, 6, TILTED)
    tangents = np.tan(np.radians(np.random.default_rng(7).uniform(5, 11, 5000)))
    y, z = ideal_plane(TILTED, y_px, z_px)
    deviation = np.abs(1 - np.hypot(y, z) / (TILTED.lsd * tangents))
    azimuth = np.floor((-np.degrees(np.arctan2(y, z)) + 180) / 5).astype(int)
    means = [deviation[azimuth == b].mean() for b in np.unique(azimuth)]
    misfit, bins = ring_misfit(y_px, z_px, tangents, TILTED.packed(), 2)
    assert (bins, misfit) == (len(means), pytest.approx(sum(means), rel=1e-12))
    assert ring_misfit(y_px, z_px, tangents, TILTED.packed(), 1)[0] == misfit
    # The spot at the beam centre has no azimuth and does not count.
    assert ring_misfit(np.array([1022.0]), np.array([1022.0]), np.ones(1), FLAT.packed(), 1) == (0.0, 0)


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match="one position per omega"):
        laboratory_spots(np.zeros(2), np.zeros(2), np.zeros(3), FLAT.packed(), WAVELENGTH, 0, True, 1)
    with pytest.raises(ValueError, match="one row coordinate"):
        read_out_correction(np.zeros(2), np.zeros(1), 0.1, 10, 1)
