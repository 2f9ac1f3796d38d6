"""`DetectorGeometry` against an independent numpy form, numbers of a legacy run, and itself there and back."""

from __future__ import annotations

import doctest
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from geometry_model import ideal_plane, rotation, without_wedge
from geometry_model import scattering_vectors as laboratory_vectors
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_grains import Experiment, Grains, simulate

from midas.experiment import DetectorGeometry, detector, reciprocal_basis, wrapped
from midas.formats.spots import EXTRA_INFO
from midas.parameters import Parameters
from midas.runtime.errors import ParameterError

#: the instrument of the set ds2
PARAMETERS = """Lsd 800000
BC 509.3 515.7
px 200
RhoD 102400
tx 0.2
ty 0.3
tz -0.25
p0 0.0001
p1 -0.00005
p2 0.0003
p3 10
Wavelength 0.172979
Wedge 0.1
"""
DS2 = DetectorGeometry.from_parameters(Parameters.parse(PARAMETERS))
FLAT = DetectorGeometry(5e5, 512.0, 510.0, 200.0, 102400.0, wavelength=0.172979)
#: rows of its InputAllExtraInfoFittingAll.csv: y_px, z_px, omega -> y, z (µm), eta, two_theta, omega without wedge
LEGACY_ROWS = np.array(
    [
        [728.48499, 675.09189, -89.0, -43953.16655, 31729.75412, 54.17451, 3.87654, -89.07220],
        [712.38257, 334.10292, -87.5, -40511.42293, -36479.64214, 132.00234, 3.89836, -87.40996],
    ]
)
HKLS = np.array([[1, 1, 1], [2, 0, 0], [0, 2, -2], [-3, 1, 1], [0, 0, 4]])


def pixels(n: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    y, z = np.random.default_rng(seed).uniform(0, 1024, (2, n))
    return y, z


def test_from_parameters() -> None:
    expected = DetectorGeometry(
        *(8e5, 509.3, 515.7, 200, 102400, 0.2, 0.3, -0.25, 1e-4, -5e-5, 3e-4, 10), wavelength=0.172979, wedge=0.1
    )
    assert expected == DS2
    parameters = Parameters.parse(PARAMETERS)
    alone = DetectorGeometry.from_parameters(parameters, beam=False)
    assert alone == replace(DS2, wavelength=None, wedge=0.0)
    np.testing.assert_array_equal(alone.packed(), DS2.packed())
    assert DetectorGeometry.from_parameters(parameters.without("Wavelength")).wavelength is None


@pytest.mark.parametrize("key", ["Lsd", "px", "RhoD", "BC", "Wavelength"])
def test_impossible_and_missing_keys_are_named(key: str) -> None:
    parameters = Parameters.parse(PARAMETERS)
    if key != "Wavelength":
        with pytest.raises(ParameterError, match=f"{key}.*missing"):
            DetectorGeometry.from_parameters(parameters.without(key))
    if key != "BC":
        with pytest.raises(ParameterError, match=f"{key}.*greater than 0"):
            DetectorGeometry.from_parameters(parameters.changed(**{key: 0.0}))


@pytest.mark.parametrize("geometry", [DS2, FLAT])
def test_plane_and_ideal_against_rotation_matrices(geometry: DetectorGeometry) -> None:
    y_px, z_px = pixels()
    y, z = ideal_plane(geometry, y_px, z_px)
    np.testing.assert_allclose(geometry.plane(y_px, z_px), [y, z], rtol=0, atol=1e-7)  # eta by an arc cosine
    two_theta, eta, radius = geometry.ideal(y_px, z_px)
    np.testing.assert_allclose(radius, np.hypot(y, z), rtol=0, atol=1e-9)
    np.testing.assert_allclose(two_theta, np.degrees(np.arctan(np.hypot(y, z) / geometry.lsd)), rtol=1e-14)
    np.testing.assert_allclose(eta, -np.degrees(np.arctan2(y, z)), rtol=0, atol=1e-7)


def test_numbers_of_a_legacy_run() -> None:
    y_px, z_px, omega, y, z, eta, two_theta, omega_ideal = LEGACY_ROWS.T
    np.testing.assert_allclose(DS2.plane(y_px, z_px), [y, z], rtol=0, atol=2e-3)  # pixels have five decimals
    found = DS2.ideal(y_px, z_px)
    np.testing.assert_allclose(found.eta, eta, rtol=0, atol=1e-5)
    np.testing.assert_allclose(found.two_theta, two_theta, rtol=0, atol=1e-5)
    # The same reflections with an upright axis fire at the other omega.
    g = DS2.g_vectors(y_px, z_px, omega)
    upright = replace(DS2, wedge=0.0).omegas(g)
    assert np.abs(wrapped(DS2.upright(y, z, omega)[2] - omega_ideal)).max() < 1e-5
    np.testing.assert_allclose(np.abs(wrapped(upright - omega_ideal[:, None])).min(axis=1), 0, atol=1e-5)
    # Ring 1 of titanium in its hkls.csv: spacing, two_theta, radius
    assert DS2.two_theta(2.555208) == pytest.approx(3.879473, abs=1e-6)
    _, _, radius = DS2.ideal(*DS2.pixel(3.879473, 33.0))
    assert radius == pytest.approx(54250.591817, abs=0.01)


@pytest.mark.golden
def test_every_spot_of_a_legacy_run(golden) -> None:
    table = EXTRA_INFO.read(golden("ds2") / "InputAllExtraInfoFittingAll.csv").columns
    accepted = np.abs(table[0]) > 0
    y, z, eta, two_theta, y_px, z_px = table[[9, 10, 6, 7, 11, 12]][:, accepted]
    np.testing.assert_allclose(DS2.plane(y_px, z_px), [y, z], rtol=0, atol=3e-3)
    np.testing.assert_allclose(DS2.ideal(y_px, z_px).two_theta, two_theta, rtol=0, atol=1e-5)
    np.testing.assert_allclose(wrapped(DS2.ideal(y_px, z_px).eta - eta), 0, atol=1e-5)


@given(
    tilts=st.tuples(*[st.floats(-10, 10)] * 3),
    distortion=st.tuples(*[st.floats(-3e-3, 3e-3)] * 3, st.floats(-180, 180)),
    lsd=st.floats(1e5, 1e7),
)
@settings(max_examples=50, deadline=None)
def test_pixel_is_the_inverse_of_ideal(tilts: tuple, distortion: tuple, lsd: float) -> None:
    geometry = DetectorGeometry(lsd, 512.0, 510.0, 200.0, 102400.0, *tilts, *distortion)
    y_px, z_px = pixels(50, 3)
    two_theta, eta, _ = geometry.ideal(y_px, z_px)
    np.testing.assert_allclose(geometry.pixel(two_theta, eta), [y_px, z_px], rtol=0, atol=1e-7)
    np.testing.assert_allclose(geometry.pixel_of_plane(*geometry.plane(y_px, z_px)), [y_px, z_px], rtol=0, atol=1e-8)


def test_beam_centre_and_poles() -> None:
    two_theta, eta, radius = DS2.ideal(DS2.y_bc, DS2.z_bc)
    assert two_theta == radius == 0 and np.isnan(eta)
    np.testing.assert_array_equal(DS2.plane(DS2.y_bc, DS2.z_bc), [0, 0])
    np.testing.assert_array_equal(DS2.pixel(0.0, 77.0), [DS2.y_bc, DS2.z_bc])
    # The constants of the suite put the lower pole a little below half a turn.
    assert FLAT.ideal(512.0, 0.0).eta == 179.99999999999994
    assert [FLAT.ideal(512.0 + d, 510.0).eta for d in (1, -1)] == pytest.approx([90, -90])
    assert np.isnan(FLAT.pixel([90.0, 120.0], 0.0)).all()


def test_rings_are_where_their_pixels_say() -> None:
    y_px, z_px = DS2.ring([[3.0, 4.0], [5.0, 6.0]], points=73)
    assert y_px.shape == z_px.shape == (2, 2, 73)
    two_theta, eta, _ = DS2.ideal(y_px, z_px)
    np.testing.assert_allclose(two_theta, np.broadcast_to([[[3.0], [4.0]], [[5.0], [6.0]]], (2, 2, 73)), atol=1e-12)
    np.testing.assert_allclose(wrapped(eta - np.linspace(-180, 180, 73)), 0, atol=1e-5)


def test_two_theta_of_spacings() -> None:
    d = np.array([[2.0, 1.5], [0.5, 0.05]])
    with np.errstate(invalid="ignore"):
        expected = 2 * np.degrees(np.arcsin(0.172979 / 2 / d))
    np.testing.assert_allclose(DS2.two_theta(d), expected, rtol=1e-14)
    assert np.isnan(DS2.two_theta(0.05))


@pytest.mark.parametrize("wedge", [0.0, 0.7, -2.0])
def test_g_vectors_against_rotation_matrices(wedge: float) -> None:
    geometry = replace(DS2, wedge=wedge)
    y_px, z_px = pixels(100, 5)
    y, z = ideal_plane(geometry, y_px, z_px)
    away = np.abs(np.abs(np.degrees(np.arctan2(y, z))) - 90) < 70
    y_px, z_px, y, z = (a[away] for a in (y_px, z_px, y, z))
    omega = np.random.default_rng(1).uniform(-180, 180, len(y))
    k = laboratory_vectors(geometry.lsd, 0.172979, y, z).T
    expected = np.array([rotation(2, -w) @ rotation(1, wedge) @ vector for w, vector in zip(omega, k, strict=True)])
    np.testing.assert_allclose(geometry.g_vectors(y_px, z_px, omega), expected, rtol=0, atol=1e-14)
    # The legacy model turns the laboratory's own vector, by the omega without wedge.
    ideal = without_wedge(geometry.lsd, 0.172979, y, z, omega, wedge)
    expected = np.array([rotation(2, -w) @ vector for w, vector in zip(ideal, k, strict=True)])
    legacy = replace(geometry, exact_wedge=False).g_vectors(y_px, z_px, omega)
    np.testing.assert_allclose(legacy, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("wedge", [0.0, 0.7, -2.0])
def test_omegas_fulfil_the_diffraction_condition(wedge: float) -> None:
    g = np.random.default_rng(2).standard_normal((300, 3)) * [0.05, 0.05, 0.6]
    omegas = replace(DS2, wedge=0.0).omegas(g)
    fires = ~np.isnan(omegas[:, 0])
    assert 0.2 < fires.mean() < 0.9
    v = 0.172979 * (g**2).sum(axis=1) / 2
    np.testing.assert_array_equal(np.hypot(*g.T[:2]) >= v, fires)
    w = np.radians(omegas[fires])
    x, y = g[fires, :2].T
    for branch in range(2):
        upstream = -x * np.cos(w[:, branch]) + y * np.sin(w[:, branch])
        np.testing.assert_allclose(upstream, v[fires], rtol=0, atol=1e-15)
    assert (np.cos(w[:, 0]) >= np.cos(w[:, 1])).all()
    # With the leaning axis the spot is recorded earlier by the shift of its eta, W cot(eta) for a small W.
    leaning = replace(DS2, wedge=wedge).spots(np.eye(3), g[fires])
    shift = wrapped(leaning.omega - omegas[fires])
    steep = np.abs(np.sin(np.radians(leaning.eta))) > 0.5
    cotangent = 1 / np.tan(np.radians(leaning.eta[steep]))
    np.testing.assert_allclose(shift[steep], wedge * cotangent, rtol=0, atol=0.1 * abs(wedge))


@pytest.mark.parametrize("wedge", [0.0, 1.0])
def test_spots_of_grains_against_the_independent_model(wedge: float) -> None:
    cell, tilts = np.array([3.5, 3.6, 3.7, 88, 91, 93]), (DS2.tx, DS2.ty, DS2.tz)
    experiment = Experiment(cell=cell, lsd=5e5, wavelength=0.172979, wedge=wedge, tilts=tilts)
    grains = Grains.random(8, 3, experiment)
    expected = simulate(experiment, grains.orientations, grains.positions, grains.cells)
    hkl, _ = experiment.reflections()
    number = {tuple(row): i for i, row in enumerate(hkl.T)}
    ub = np.array([u @ reciprocal_basis(cell) for u, cell in zip(grains.orientations, grains.cells, strict=True)])
    geometry = replace(DS2, lsd=5e5, wedge=wedge)
    spots = geometry.spots(ub, hkl.T, grains.positions)
    assert spots.omega.shape == (3, hkl.shape[1], 2)
    reflection = np.array([number[tuple(row)] for row in expected.hkl.T])
    branch = (expected.branch * np.where(spots.eta[expected.grain, reflection, 0] < 0, 1, -1) < 0).astype(int)
    rows = expected.grain, reflection, branch
    y, z, omega = expected.y_plane, expected.z_plane, expected.omega_recorded
    np.testing.assert_allclose(spots.y_plane[rows], y, rtol=0, atol=1e-9)
    np.testing.assert_allclose(spots.z_plane[rows], z, rtol=0, atol=1e-9)
    np.testing.assert_allclose(wrapped(spots.omega[rows] - omega), 0, atol=1e-11)
    np.testing.assert_allclose(ideal_plane(geometry, spots.y_px[rows], spots.z_px[rows]), [y, z], rtol=0, atol=1e-9)


@pytest.mark.parametrize("wedge", [0.0, 1.5])
def test_g_vectors_are_the_inverse_of_spots(wedge: float) -> None:
    geometry = replace(DS2, wedge=wedge)
    ub = rotation(0, 20) @ rotation(2, 33) @ reciprocal_basis([3.5, 3.6, 3.7, 88, 91, 93])
    position = [400.0, -300.0, 150.0]
    spots = geometry.spots(ub, HKLS, position)
    away = np.abs(np.sin(np.radians(spots.eta))) > 0.1
    assert away.sum() >= 6
    g = geometry.g_vectors(spots.y_px, spots.z_px, spots.omega, position)
    expected = np.broadcast_to((HKLS @ ub.T)[:, None], g.shape)
    np.testing.assert_allclose(g[away], expected[away], rtol=0, atol=1e-13)
    np.testing.assert_allclose(geometry.omegas(HKLS @ ub.T), geometry.spots(ub, HKLS).omega, rtol=0, atol=1e-12)


@pytest.mark.parametrize("wedge", [0.0, 3.0])
def test_displacement_turns_leans_and_shrinks(wedge: float) -> None:
    geometry = replace(DS2, wedge=wedge)
    y, z = np.random.default_rng(3).uniform(-1e5, 1e5, (2, 40))
    omega = np.linspace(-180, 180, 40)
    position = np.array([120.0, -80.0, 35.0])
    flat = replace(geometry, exact_tilts=False)
    moved = flat.displaced(y, z, omega, position)
    turned = np.array([rotation(1, -wedge) @ rotation(2, w) @ position for w in omega]).T
    expected = [s + t - turned[0] * s / geometry.lsd for s, t in ((y, turned[1]), (z, turned[2]))]
    np.testing.assert_allclose(moved, expected, rtol=0, atol=1e-10)
    np.testing.assert_allclose(flat.centred(*moved, omega, position), [y, z], rtol=0, atol=1e-10)
    # The tilted surface stops the beam elsewhere; the origin sees that place in line with another one of the plane.
    normal = rotation(0, DS2.tx) @ rotation(1, DS2.ty) @ rotation(2, DS2.tz) @ [1, 0, 0]
    beam = np.array([np.full_like(y, geometry.lsd), y, z])
    stopped = turned + beam * ((normal[0] * geometry.lsd - normal @ turned) / (normal @ beam))
    seen = geometry.displaced(y, z, omega, position)
    np.testing.assert_allclose(seen, geometry.lsd * stopped[1:] / stopped[0], rtol=0, atol=1e-9)
    assert 0.01 < np.abs(np.subtract(seen, moved)).max() < 1
    np.testing.assert_allclose(geometry.centred(*seen, omega, position), [y, z], rtol=0, atol=1e-9)


def test_everything_broadcasts() -> None:
    y_px, z_px = pixels(6)
    column, row = y_px.reshape(6, 1), z_px[:4]
    for values in (*DS2.ideal(column, row), *DS2.plane(column, row), *DS2.pixel(column / 100, row)):
        assert values.shape == (6, 4) and values.dtype == np.float64
    assert DS2.ideal(3, 4).eta.shape == ()
    assert DS2.ideal([], []).eta.shape == (0,)
    assert DS2.g_vectors(column, row, 0).shape == (6, 4, 3)
    assert DS2.g_vectors(7, 8, 0, np.zeros((5, 3))).shape == (5, 3)
    assert DS2.displaced(column, row, 0, np.zeros((4, 3)))[0].shape == (6, 4)
    assert DS2.omegas(np.zeros((2, 5, 3))).shape == (2, 5, 2)
    assert DS2.spots(np.broadcast_to(np.eye(3), (7, 2, 3, 3)), HKLS).omega.shape == (7, 2, 5, 2)
    fortran = np.asfortranarray(np.random.default_rng(0).uniform(0, 1000, (3, 4)))
    np.testing.assert_array_equal(DS2.ideal(fortran, 5).radius, DS2.ideal(fortran.copy(order="C"), 5).radius)
    with pytest.raises(ValueError, match="broadcast"):
        DS2.ideal([1, 2, 3], [1, 2])


def test_never_firing_and_back_scattering_reflections_are_nan() -> None:
    for g in ([0, 0, 0.5], [0, 0, 0], [9.0, 0, 0], [20.0, 0, 0], [np.nan, 0, 0]):
        assert np.isnan(DS2.omegas(g)).all(), g
    assert np.isnan(DS2.spots(np.eye(3), [[0, 0, 1]]).y_px).all()


@pytest.mark.parametrize(
    "call",
    [
        lambda d: d.g_vectors(1, 2, 3),
        lambda d: d.omegas([0.1, 0.1, 0.1]),
        lambda d: d.spots(np.eye(3), HKLS),
        lambda d: d.two_theta(2.0),
    ],
)
def test_reflections_need_a_wavelength(call) -> None:
    with pytest.raises(ParameterError, match="Wavelength"):
        call(replace(DS2, wavelength=None))


def test_examples_of_the_docstrings() -> None:
    results = doctest.testmod(detector)
    assert results.attempted > 15 and results.failed == 0


def test_example_of_the_manual() -> None:
    page = Path(__file__).parents[2] / "docs" / "physics.md"
    results = doctest.testfile(str(page), module_relative=False)
    assert results.attempted > 15 and results.failed == 0
