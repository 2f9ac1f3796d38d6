"""Reflections of crystals (docs/theory/resolving.md#sharp-matches), against the door of the predictor."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from midas._ext.grains.reflections import ReflectionModel
from midas._ext.physics.region import AcceptedRegion
from midas._ext.physics.spots import predicted_spots
from midas._ext.refine.settings import Instrument
from midas.experiment.crystal import reciprocal_basis

LSD, WAVELENGTH = 1e6, 0.22291
HKL = np.array([[1, 1, 1, 2, 3], [1, -1, 1, 0, 1], [1, 1, -1, 0, 1]], float)
RING = np.array([1, 1, 1, 2, 4], np.int32)


def crystals(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    u = Rotation.random(n, random_state=3).as_matrix()
    cell = np.array([4.08, 4.1, 4.05, 90, 91, 89]) * rng.normal(1, 1e-3, (n, 6))
    return np.ascontiguousarray(u), rng.uniform(-300, 300, (n, 3)), cell


def region(**limits: object) -> AcceptedRegion:
    values = {"min_eta": 10.0, "ranges": np.array([[-90.0, 60]]), "boxes": np.array([[-7e4, 9e4, -1e5, 1e5]])}
    return AcceptedRegion(**{**values, **limits})


@pytest.mark.parametrize(("wedge", "exact"), [(0.0, True), (0.7, True), (0.7, False)])
def test_reflections_are_those_of_the_predictor(wedge: float, exact: bool) -> None:
    u, position, cell = crystals(7)
    where = region()
    model = ReflectionModel(HKL, RING, Instrument(LSD, WAVELENGTH, wedge, exact), where)
    found = model.predicted(u, position, cell, threads=2)
    row = 0
    for i in range(7):
        g = np.ascontiguousarray((u[i] @ reciprocal_basis(cell[i]) @ HKL).T)
        spots = predicted_spots(g, np.tile(position[i], (5, 1)), LSD, WAVELENGTH, wedge, exact)
        for hkl, branch in np.argwhere(np.isfinite(spots[0])):
            recorded, ideal, y, z, _, _ = spots[:, hkl, branch]
            assert (found.crystal[row], found.hkl[row], found.ring[row]) == (i, hkl, RING[hkl])
            assert found.omega_recorded[row] == pytest.approx(recorded, abs=1e-9)
            assert (found.y_plane[row], found.z_plane[row]) == pytest.approx((y, z), abs=1e-6)
            eta = np.degrees(np.arctan2(-y, z))
            assert found.eta[row] == pytest.approx(eta, abs=1e-9)
            omega = ideal if not exact else recorded
            verdict = where.verdicts(*(np.array([x]) for x in (omega, eta, y, z)))[0]
            assert found.accepted[row] == (verdict == 0)
            row += 1
    assert row == len(found.crystal) and 0 < found.accepted.sum() < row


def test_the_branch_is_the_side_and_lorentz_the_speed() -> None:
    u, position, cell = crystals(3)
    model = ReflectionModel(HKL, RING, Instrument(LSD, WAVELENGTH), region())
    found = model.predicted(u, 0 * position, cell)
    np.testing.assert_array_equal(np.sign(found.y_plane), found.branch)
    # Both branches of one reflection are equally fast, and 1/L = sin(2θ) |sin η| / |G| times the wavelength's inverse.
    two_theta = np.arctan(np.hypot(found.y_plane, found.z_plane) / LSD)
    g = 2 * np.sin(two_theta / 2) / WAVELENGTH
    expected = -np.sin(np.radians(found.eta)) * np.sin(two_theta) / WAVELENGTH / g
    np.testing.assert_allclose(found.lorentz, expected, rtol=1e-9)


def test_arrays_must_fit() -> None:
    with pytest.raises(ValueError, match="ring of each"):
        ReflectionModel(HKL, RING[:2], Instrument(LSD, WAVELENGTH), region())
    model = ReflectionModel(HKL, RING, Instrument(LSD, WAVELENGTH), region())
    u, position, cell = crystals(2)
    with pytest.raises(ValueError, match="per crystal"):
        model.predicted(u, position[:1], cell)
    assert len(model.predicted(u[:0], position[:0], cell[:0]).hkl) == 0
