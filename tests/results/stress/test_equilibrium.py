"""The reference cell from equilibrium: ensembles with a known error of the cell and a known load."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from midas.results.stress import Stiffness, tensors
from midas.results.stress.equilibrium import average, by_axes, one_scale, reference_cell
from midas.results.stress.grains import StrainedGrains, stresses_of
from midas.runtime.errors import StageError

from .ensembles import in_equilibrium, symmetric

TITANIUM = (2.95, 2.95, 4.683, 90.0, 90.0, 120.0)
LOADED = np.array([[20.0, 5.0, 0.0], [5.0, -30.0, 10.0], [0.0, 10.0, 350.0]])


def textured(n: int, seed: int) -> np.ndarray:
    """c within some 20 degrees of the x axis of the sample."""
    rng = np.random.default_rng(seed)
    spin = Rotation.from_euler("z", rng.uniform(0, 360, (n, 1)), degrees=True)
    tilt = Rotation.from_rotvec(rng.normal(0, 0.2, (n, 3)))
    return (tilt * Rotation.from_euler("y", 90, degrees=True) * spin).as_matrix()


@pytest.mark.parametrize("material", ["Ni", "Ti"])
@pytest.mark.parametrize("applied", [np.zeros((3, 3)), LOADED], ids=["no load", "loaded"])
def test_a_wrong_scale_is_found(material: str, applied: np.ndarray) -> None:
    """Within its sigma, and the corrected average is the applied stress."""
    stiffness = Stiffness.of_material(material)
    grains = in_equilibrium(stiffness, applied, change=240.0 * np.eye(3), seed=3)
    found = reference_cell(grains, stiffness, tensors.mandel(applied), one_scale())
    assert abs(found.values[0] - 240.0) < 4 * found.sigma[0] < 10
    np.testing.assert_allclose(found.after.components, tensors.components(applied), atol=4 * found.after.sigma.max())
    assert found.cell((3.524, 3.524, 3.524, 90, 90, 90))[0] == pytest.approx(3.524 * (1 + found.values[0] * 1e-6))
    again = StrainedGrains(
        grains.ids,
        grains.orientations,
        grains.strains - found.values[0] * tensors.UNIT,
        grains.covariances,
        grains.radii,
    )
    np.testing.assert_allclose(stresses_of(again, stiffness).sample, found.stresses, atol=1e-8)


def test_two_axes_where_the_texture_tells_them() -> None:
    stiffness = Stiffness.of_material("Ti")
    u = textured(300, 1)
    change = np.diag([200.0, 200.0, -150.0])
    grains = in_equilibrium(stiffness, LOADED, 300, 5, change=change, orientations=u)
    scales = by_axes("hexagonal", TITANIUM)
    found = reference_cell(grains, stiffness, tensors.mandel(LOADED), scales)
    assert found.axes == ("a", "c")
    assert (np.abs(found.values - [200.0, -150.0]) < 4 * found.sigma).all()
    a, b, c, *_ = found.cell(TITANIUM)
    assert a == b == pytest.approx(2.95 * (1 + found.values[0] * 1e-6))
    assert c == pytest.approx(4.683 * (1 + found.values[1] * 1e-6))


def test_random_orientations_do_not_tell_the_axes() -> None:
    stiffness = Stiffness.of_material("Ti")
    grains = in_equilibrium(stiffness, LOADED, 3000)
    with pytest.raises(StageError, match="do not tell a from c"):
        reference_cell(grains, stiffness, tensors.mandel(LOADED), by_axes("hexagonal", TITANIUM))


def test_which_lengths_are_free() -> None:
    names, response = by_axes("hexagonal", TITANIUM)
    assert names == ("a", "c")
    np.testing.assert_allclose(response, [[1, 1, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0]], atol=1e-12)
    names, response = by_axes("orthorhombic", (3.0, 4.0, 5.0, 90.0, 90.0, 90.0))
    np.testing.assert_allclose(response, np.eye(6)[:3], atol=1e-12)
    assert by_axes("cubic", (3.0, 3.0, 3.0, 90.0, 90.0, 90.0))[0] == ("cell",)
    assert by_axes("trigonal", (5.1, 5.1, 5.1, 55.0, 55.0, 55.0))[0] == ("cell",)
    with pytest.raises(StageError, match="only -correct scale"):
        by_axes("monoclinic", (5.1, 5.2, 5.3, 90.0, 99.0, 90.0))


def test_sigmas_by_repeated_measurements() -> None:
    """Change, average and corrected stresses of 600 draws; the grain's own part in the change is in its covariance."""
    stiffness = Stiffness.of_material("Ti")
    grains = in_equilibrium(stiffness, LOADED, 5, 2, sigma=30.0)
    applied = tensors.mandel(LOADED)
    exact = reference_cell(grains, stiffness, applied, one_scale())
    rng = np.random.default_rng(1)
    values, means, stresses = [], [], []
    draws = np.array(
        [rng.multivariate_normal(e, c, 600) for e, c in zip(grains.strains, grains.covariances, strict=True)]
    )
    for drawn in np.swapaxes(draws, 0, 1):
        once = StrainedGrains(grains.ids, grains.orientations, drawn, grains.covariances, grains.radii)
        found = reference_cell(once, stiffness, applied, one_scale())
        values.append(found.values[0])
        means.append(found.before.components)
        stresses.append(found.stresses)
    assert np.std(values) == pytest.approx(exact.sigma[0], rel=0.1)
    np.testing.assert_allclose(np.std(means, axis=0), exact.before.sigma, rtol=0.12)
    expected = np.sqrt(np.diagonal(exact.covariances, axis1=1, axis2=2))
    np.testing.assert_allclose(np.std(stresses, axis=0), expected, rtol=0.12)


def test_the_sampling_error_of_a_part_of_the_grains() -> None:
    """Of 2000 grains in equilibrium some 60 are seen: the change that they tell scatters as it says."""
    stiffness = Stiffness.of_material("Ni")
    everything = in_equilibrium(stiffness, np.zeros((3, 3)), 2000, sigma=0.01)
    rng = np.random.default_rng(3)
    values, errors = [], []
    for _ in range(200):
        rows = rng.choice(2000, 60, replace=False)
        seen = StrainedGrains(*(getattr(everything, name)[rows] for name in vars(everything)))
        found = reference_cell(seen, stiffness, np.zeros(6), one_scale())
        values.append(found.values[0])
        errors.append(found.sampling[0])
    assert np.std(values) == pytest.approx(np.mean(errors), rel=0.2)


def test_averages() -> None:
    rng = np.random.default_rng(2)
    tensors_of = symmetric(rng, 50, 100.0)
    weights = rng.uniform(0, 1, 50)
    weights /= weights.sum()
    covariances = np.tile(np.diag([4.0, 1, 1, 2, 2, 2]), (50, 1, 1))
    found = average(tensors.mandel(tensors_of), covariances, weights)
    np.testing.assert_allclose(tensors.from_components(found.components), np.tensordot(weights, tensors_of, 1))
    np.testing.assert_allclose(found.sigma, np.sqrt(np.sum(weights**2)) * np.array([2, 1, 1, 1, 1, 1]))
    assert found.effective == pytest.approx(1 / np.sum(weights**2))
    # One grain that is not known counts with the others' mean; with none known nothing is.
    covariances[7] = np.nan
    np.testing.assert_allclose(average(tensors.mandel(tensors_of), covariances, weights).sigma, found.sigma)
    covariances[:] = np.nan
    assert np.isnan(average(tensors.mandel(tensors_of), covariances, weights).sigma).all()
