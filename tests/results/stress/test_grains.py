"""Stress, shear and their uncertainties, grain by grain."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from midas.results.stress import Stiffness, tensors
from midas.results.stress.grains import StrainedGrains, shear_of, sigma_of, sigmas, stresses_of, von_mises_gradients
from midas.results.stress.slip import slip_systems

from .ensembles import in_equilibrium

CELL = (3.524, 3.524, 3.524, 90.0, 90.0, 90.0)
LOAD = np.diag([0.0, 0.0, 400.0])


def test_both_frames_and_the_invariants() -> None:
    stiffness = Stiffness.of_material("Ni")
    grains = in_equilibrium(stiffness, LOAD, 20)
    found = stresses_of(grains, stiffness)
    sample, crystal = tensors.from_mandel(found.sample), tensors.from_mandel(found.crystal)
    u = grains.orientations
    np.testing.assert_allclose(u @ crystal @ np.swapaxes(u, 1, 2), sample, atol=1e-9)
    np.testing.assert_allclose(tensors.hydrostatic(found.sample), np.trace(sample, axis1=1, axis2=2) / 3)
    s = sample - tensors.hydrostatic(found.sample)[:, None, None] * np.eye(3)
    np.testing.assert_allclose(tensors.von_mises(found.crystal), np.sqrt(1.5 * np.sum(s * s, axis=(1, 2))))


def test_uniaxial_stress_has_the_same_schmid_factor_both_ways() -> None:
    """Largest resolved shear over von Mises stress is the Schmid factor when the load is uniaxial."""
    stiffness = Stiffness.of_material("Ni")
    u = Rotation.random(30, random_state=3).as_matrix()
    strains = np.linalg.solve(stiffness.in_sample(u), np.tile(tensors.mandel(-LOAD), (30, 1))[..., None])[..., 0]
    grains = StrainedGrains(np.arange(30), u, strains, np.full((30, 6, 6), np.nan), np.full(30, 10.0))
    systems = slip_systems(["fcc"], 225, CELL)
    shear = shear_of(stresses_of(grains, stiffness), systems, u, np.array([0, 0, 2.0]))
    np.testing.assert_allclose(shear.general, shear.schmid, rtol=1e-10)
    np.testing.assert_allclose(shear.largest, 400.0 * shear.schmid, rtol=1e-10)
    np.testing.assert_allclose(np.abs(shear.resolved).max(axis=1), shear.largest)
    # The most active system, by hand.
    for k, turn in enumerate(u):
        normal, direction = (turn @ v[shear.active[k]] for v in (systems.normals, systems.directions))
        assert abs(400.0 * normal[2] * direction[2]) == pytest.approx(shear.largest[k])
    assert np.isnan(shear.sigma).all()
    assert np.isnan(shear_of(stresses_of(grains, stiffness), systems, u).schmid).all()


def test_sigmas_against_repeated_measurements() -> None:
    """Of both tensors, of hydrostatic and von Mises stress and of the largest shear; 4000 draws tell them to 2 %."""
    stiffness = Stiffness.of_material("Ti")
    systems = slip_systems(["hcp"], 194, (2.95, 2.95, 4.683, 90, 90, 120))
    one = in_equilibrium(stiffness, LOAD, 3)
    rng = np.random.default_rng(8)
    for k in range(3):
        row = one.known()
        draws = rng.multivariate_normal(row.strains[k], row.covariances[k], 4000)
        u = np.tile(row.orientations[k], (4000, 1, 1))
        many = StrainedGrains(np.arange(4000), u, draws, np.tile(row.covariances[k], (4000, 1, 1)), np.ones(4000))
        found, exact = stresses_of(many, stiffness), stresses_of(row, stiffness)
        for measured, covariance in (
            (found.sample, exact.sample_covariances[k]),
            (found.crystal, exact.crystal_covariances[k]),
        ):
            np.testing.assert_allclose((measured / tensors.FACTORS).std(axis=0), sigmas(covariance), rtol=0.06)
        gradient = von_mises_gradients(exact.sample)[k : k + 1]
        expected = sigma_of(gradient, exact.sample_covariances[k : k + 1])[0]
        assert tensors.von_mises(found.sample).std() == pytest.approx(expected, rel=0.06)
        shear = shear_of(found, systems, u)
        active = shear_of(exact, systems, row.orientations).active[k]
        assert np.abs(shear.resolved[:, active]).std() == pytest.approx(
            shear_of(exact, systems, row.orientations).sigma[k], rel=0.06
        )


def test_what_is_not_known_is_nan() -> None:
    """A grain without covariance has stresses and no sigmas; one without strain is left out."""
    stiffness = Stiffness.of_material("Ni")
    grains = in_equilibrium(stiffness, LOAD, 4)
    grains.covariances[1] = np.nan
    grains.strains[2, 0] = np.nan
    left = grains.known()
    assert left.ids.tolist() == [1, 2, 4]
    found = stresses_of(left, stiffness)
    assert np.isfinite(found.sample).all()
    assert np.isnan(sigmas(found.sample_covariances)).all(axis=1).tolist() == [False, True, False]
    assert np.isnan(von_mises_gradients(np.zeros((1, 6)))).all()


def test_weights_are_volumes() -> None:
    grains = in_equilibrium(Stiffness.of_material("Ni"), LOAD, 3)
    np.testing.assert_allclose(grains.weights, grains.radii**3 / np.sum(grains.radii**3))
    without = StrainedGrains(grains.ids, grains.orientations, grains.strains, grains.covariances, np.zeros(3))
    np.testing.assert_allclose(without.weights, 1 / 3)
