"""`midas._ext.simulate.spots` against the formulas of docs/theory/simulation.md and against properties."""

from __future__ import annotations

import numpy as np
import pytest
from geometry_model import ideal_plane
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_spots import FCC, WAVELENGTH, common_rows, grains, spots_of

from midas.experiment.detector import DetectorGeometry
from midas.formats.table import Table


def scattering_vectors(spots: Table) -> np.ndarray:
    """G in the sample frame from theta, eta and the wedge-free omega of each spot, Å⁻¹."""
    theta, eta, omega = (np.radians(spots[name]) for name in ("Theta", "Eta", "OmeRaw"))
    q = 2 * np.sin(theta) / WAVELENGTH
    lab = q * np.array([-np.sin(theta), -np.cos(theta) * np.sin(eta), np.cos(theta) * np.cos(eta)])
    c, s = np.cos(omega), np.sin(omega)
    return np.array([c * lab[0] + s * lab[1], -s * lab[0] + c * lab[1], lab[2]]).T


def test_every_spot_satisfies_the_diffraction_condition() -> None:
    sample = grains(5)
    spots = spots_of(sample)
    u = sample[0].reshape(-1, 3, 3)[spots.integers("GrainID") - 1]
    hkl = np.einsum("nji,nj->ni", u, scattering_vectors(spots)) * 3.524
    assert len(spots) > 300
    np.testing.assert_allclose(hkl, np.round(hkl), atol=1e-6)


def test_ids_count_solutions_per_grain_in_order() -> None:
    spots = spots_of(grains(4))
    for grain in range(1, 5):
        ids = spots["SpotID"][spots["GrainID"] == grain]
        assert (np.diff(ids) > 0).all() and ids[0] >= 0
    assert (np.diff(spots["GrainID"]) >= 0).all()


def test_friedel_mates_of_a_grain_at_the_origin() -> None:
    """-h fires 180 degrees later, at 180 - eta."""
    matrices, cells, positions = grains(1)
    spots = spots_of((matrices, cells, 0 * positions))

    def apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.abs((a[:, None] - b + 180) % 360 - 180)

    distance = apart(spots["Omega"], spots["Omega"] + 180) + apart(spots["Eta"], 180 - spots["Eta"])
    assert len(spots) > 50
    assert distance.min(axis=1).max() < 1e-6


@given(
    tilts=st.tuples(*[st.floats(-5, 5)] * 3),
    distortion=st.tuples(*[st.floats(-2e-3, 2e-3)] * 3, st.floats(-90, 90)),
)
@settings(max_examples=30, deadline=None)
def test_raw_positions_are_the_inverse_of_the_analysis_geometry(tilts, distortion) -> None:
    """The forward transformation, written out, leads from the pixel back to the ideal radius."""
    values = dict(zip(("tx", "ty", "tz", "p0", "p1", "p2", "p3"), (*tilts, *distortion), strict=True))
    detector = DetectorGeometry(500000.0, 510.3, 514.9, 200.0, 102400.0, **values)
    spots = spots_of(grains(2), detector)
    y, z = ideal_plane(detector, spots["DetectorHor"], spots["DetectorVert"])
    assert len(spots) > 100
    np.testing.assert_allclose(np.hypot(y, z), spots["RingRad"], atol=1e-6)


def test_legacy_wedge_moves_omega_only() -> None:
    matrices, cells, positions = grains(5)
    sample = (matrices, cells, 0 * positions)
    upright, leaning = spots_of(sample), spots_of(sample, wedge=1.0, exact_wedge=False)
    a, b = common_rows(upright, leaning)
    for name in ("OmeRaw", "Eta", "DetectorHor", "DetectorVert", "Theta"):
        np.testing.assert_allclose(upright[name][a], leaning[name][b], atol=1e-9)
    moved = np.abs(upright["Omega"][a] - leaning["Omega"][b])
    assert 0.1 < np.median(moved) < 5


def test_the_legacy_approximations_have_the_legacy_wedge() -> None:
    assert len(spots_of(grains(1), wedge=1.0, legacy=True)) > 50
    with pytest.raises(ValueError, match="no exact wedge"):
        spots_of(grains(1), wedge=1.0, exact_wedge=True, legacy=True)


def test_wedge_of_zero_changes_nothing() -> None:
    spots = spots_of(grains(10))
    np.testing.assert_array_equal(spots["Omega"], spots["OmeRaw"])


def test_wavelength_samples_share_the_spot() -> None:
    samples = WAVELENGTH * np.array([0.999, 1.0, 1.001])
    one, three = spots_of(grains(1)), spots_of(grains(1), samples=samples)
    middle = three.take(np.isclose(three["Theta"], np.interp(three["SpotID"], one["SpotID"], one["Theta"]), atol=1e-12))
    assert len(three) > 2.8 * len(one)
    for name in ("Omega", "Eta"):
        for key in one["SpotID"][:20]:
            assert len(set(three[name][three["SpotID"] == key])) == 1
    assert len(middle) > 0.9 * len(one)


def test_beam_filter_keeps_grains_inside() -> None:
    sample = grains(10)
    spots = spots_of(sample, beam_size=200.0)
    a, b, _ = sample[2][spots.integers("GrainID") - 1].T
    omega = np.radians(spots["Omega"])
    across = a * np.sin(omega) + b * np.cos(omega)
    assert np.abs(across).max() <= 100
    assert len(spots) < len(spots_of(sample))


def test_panels_are_undone() -> None:
    """A shifted panel sees a spot where the analysis, which adds the shift, finds its true place."""
    edges = [(0, 511), (512, 1023)]
    turn = np.radians(0.05)
    panels = np.array([[*y, *z, np.cos(turn), np.sin(turn), 1.5, -0.7] for y in edges for z in edges], float)
    moved, still = spots_of(grains(5), panels=panels), spots_of(grains(5))
    a, b = common_rows(moved, still)
    y, z = moved["DetectorHor"][a], moved["DetectorVert"][a]
    inside = np.minimum(np.abs(y - 511.5), np.abs(z - 511.5)) > 3
    y_mid, z_mid = np.where(y < 511.5, 255.5, 767.5), np.where(z < 511.5, 255.5, 767.5)
    back_y = y_mid + (y - y_mid) * np.cos(turn) - (z - z_mid) * np.sin(turn) + 1.5
    back_z = z_mid + (y - y_mid) * np.sin(turn) + (z - z_mid) * np.cos(turn) - 0.7
    np.testing.assert_allclose(back_y[inside], still["DetectorHor"][b][inside], atol=1e-9)
    np.testing.assert_allclose(back_z[inside], still["DetectorVert"][b][inside], atol=1e-9)
    assert inside.sum() > 300


def test_rotating_sample_and_scan_together_changes_nothing() -> None:
    matrices, cells, positions = grains(5)
    turn = np.radians(25)
    rotation = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    rotated = (rotation @ matrices.reshape(-1, 3, 3)).reshape(-1, 9)
    a = spots_of((matrices, cells, positions), omega=(-90.0, 90.0, 0.5))
    b = spots_of((np.ascontiguousarray(rotated), cells, positions @ rotation.T), omega=(-115.0, 65.0, 0.5))
    assert len(a) == len(b)
    order = [np.lexsort((np.round(t["DetectorHor"], 6), t["GrainID"])) for t in (a, b)]
    np.testing.assert_allclose(a["DetectorHor"][order[0]], b["DetectorHor"][order[1]], atol=1e-6)
    np.testing.assert_array_equal(a["omeBin"][order[0]], b["omeBin"][order[1]])


@pytest.mark.parametrize("threads", [2, 4])
def test_spots_do_not_depend_on_threads(threads: int) -> None:
    sample = grains(37)
    np.testing.assert_array_equal(spots_of(sample).columns, spots_of(sample, threads=threads).columns)


def test_no_grains_and_no_reflections() -> None:
    empty = (np.empty((0, 9)), np.empty((0, 6)), np.empty((0, 3)))
    assert spots_of(empty).columns.shape == (15, 0)


def test_identity_orientation() -> None:
    spots = spots_of((np.eye(3).reshape(1, 9), FCC[None], np.zeros((1, 3))))
    assert len(spots) > 0 and np.isfinite(spots.columns).all()


def test_wrong_shapes_are_refused() -> None:
    matrices, cells, positions = grains(2)
    with pytest.raises(ValueError, match="one cell"):
        spots_of((matrices, cells[:1], positions))
    with pytest.raises(ValueError, match="columns"):
        spots_of((matrices[:, :8].copy(), cells, positions))
