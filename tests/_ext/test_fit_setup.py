"""Setup kernel against an independent numpy form of the geometry (spec chapter 04 §4.0, §4.3)."""

from __future__ import annotations

import numpy as np
import pytest
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


def rotation(axis: int, degrees: float) -> NDArray[np.float64]:
    """Right-handed rotation about x, y or z."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix = np.eye(3)
    i, j = [(1, 2), (2, 0), (0, 1)][axis]
    matrix[i, i] = matrix[j, j] = c
    matrix[i, j], matrix[j, i] = -s, s
    return matrix


def ideal_plane(d: DetectorGeometry, y_px: NDArray, z_px: NDArray) -> tuple[NDArray, NDArray]:
    """y, z on the ideal plane: the ray through the tilted pixel, then the distortion of its radius."""
    in_plane = np.array([np.zeros_like(y_px), -(y_px - d.y_bc) * d.px, (z_px - d.z_bc) * d.px])
    pixel = rotation(0, d.tx) @ rotation(1, d.ty) @ rotation(2, d.tz) @ in_plane + np.array([[d.lsd], [0], [0]])
    y, z = pixel[1] / pixel[0] * d.lsd, pixel[2] / pixel[0] * d.lsd
    rho = np.hypot(y, z) / d.rho_d
    eta = -np.degrees(np.arctan2(y, z))
    two_fold = np.cos(np.radians(2 * (90 - eta)))
    four_fold = np.cos(np.radians(4 * (90 - eta) + d.p3))
    factor = 1 + d.p0 * rho**2 * two_fold + d.p1 * rho**4 * four_fold + d.p2 * rho**2
    return y * factor, z * factor


def without_wedge(lsd: float, y: NDArray, z: NDArray, omega: NDArray, wedge: float) -> NDArray:
    """Omega at which the same reflection fires with the rotation axis along z: the nearer of two solutions."""
    ray = np.array([np.full_like(y, lsd), y, z])
    k_out = ray / np.linalg.norm(ray, axis=0) / WAVELENGTH
    k = k_out - np.array([[1 / WAVELENGTH], [0], [0]])
    goniometer = rotation(1, wedge) @ k
    c, s = np.cos(np.radians(omega)), np.sin(np.radians(omega))
    g1, g2 = c * goniometer[0] + s * goniometer[1], -s * goniometer[0] + c * goniometer[1]
    length2 = (k * k).sum(axis=0)
    # x_lab = g1 cos - g2 sin = -wavelength |g|²/2
    phase, reach = np.arctan2(g2, g1), np.hypot(g1, g2)
    turn = np.arccos(-WAVELENGTH * length2 / 2 / reach)
    shifts = np.degrees(np.array([turn - phase, -turn - phase])) - omega
    shifts = (shifts + 180) % 360 - 180
    return omega + shifts[np.abs(shifts).argmin(axis=0), np.arange(len(omega))]


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
def test_against_an_independent_geometry(detector: DetectorGeometry, wedge: float) -> None:
    y_px, z_px, omega = random_spots(20_000, 1, detector)
    spots = laboratory_spots(y_px, z_px, omega, detector.packed(), WAVELENGTH, wedge, 2)
    y, z = ideal_plane(detector, y_px, z_px)
    expected = without_wedge(detector.lsd, y, z, omega, wedge)
    np.testing.assert_allclose(spots[5:], [y, z], atol=1e-6)
    np.testing.assert_allclose(spots[:2], [y, z], atol=1e-6)
    np.testing.assert_allclose((spots[2] - expected + 180) % 360 - 180, 0, atol=1e-7)
    np.testing.assert_allclose(spots[3], -np.degrees(np.arctan2(y, z)), atol=1e-8)
    np.testing.assert_allclose(spots[4], np.degrees(np.arctan(np.hypot(y, z) / detector.lsd)), atol=1e-11)
    assert (np.abs(spots[2]) <= 180).all()
    # The data hold spots that cross ±180, where the legacy form alone fails.
    assert (np.abs(expected) > 180 + 1e-6).any() == (wedge != 0)


def test_no_wedge_leaves_omega() -> None:
    y_px, z_px, omega = random_spots(20_000, 2, FLAT)
    spots = laboratory_spots(y_px, z_px, omega, FLAT.packed(), WAVELENGTH, 0.0, 1)
    assert np.abs((spots[2] - omega + 180) % 360 - 180).max() < 1.5e-9


def test_small_wedge_shifts_by_cotangent_of_eta() -> None:
    wedge = 0.3
    y_px, z_px, omega = random_spots(20_000, 3, FLAT)
    spots = laboratory_spots(y_px, z_px, omega, FLAT.packed(), WAVELENGTH, wedge, 1)
    shift = (spots[2] - omega + 180) % 360 - 180
    slope = shift * np.tan(np.radians(spots[3])) / wedge
    steep = np.abs(np.abs(spots[3]) - 90) > 20
    assert np.median(slope[steep]) == pytest.approx(-0.9997, abs=5e-4)


def test_wedge_beside_the_pole_has_no_solution() -> None:
    # The axis leans by theta, so that it is at right angles to the scattering vector of eta = 0.
    eta, radius = np.radians(1.0), 400.0
    wedge = np.degrees(np.arctan(radius * FLAT.px / FLAT.lsd)) / 2
    y_px, z_px = np.array([FLAT.y_bc + radius * np.sin(eta)]), np.array([FLAT.z_bc + radius * np.cos(eta)])
    spots = laboratory_spots(y_px, z_px, np.zeros(1), FLAT.packed(), WAVELENGTH, wedge, 1)
    assert np.isnan(spots[2, 0])


def test_the_beam_centre_has_no_azimuth() -> None:
    centre = np.array([1022.0]), np.array([1022.0])
    spots = laboratory_spots(*centre, np.zeros(1), FLAT.packed(), WAVELENGTH, 0.1, 1)
    assert np.isnan(spots[3, 0])


def test_threads_do_not_matter() -> None:
    y_px, z_px, omega = random_spots(3000, 4, TILTED)
    one, two = (laboratory_spots(y_px, z_px, omega, TILTED.packed(), WAVELENGTH, 0.7, t) for t in (1, 2))
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
        laboratory_spots(np.zeros(2), np.zeros(2), np.zeros(3), FLAT.packed(), WAVELENGTH, 0, 1)
    with pytest.raises(ValueError, match="one row coordinate"):
        read_out_correction(np.zeros(2), np.zeros(1), 0.1, 10, 1)
