"""The simulator's spots are where an independent model of the experiment has them, to a thousandth of a nanometre."""

from __future__ import annotations

import numpy as np
import pytest
from geometry_model import ideal_plane
from hypothesis import example, given, settings
from hypothesis import strategies as st
from simulated_grains import Experiment, Grains, simulate
from simulated_spots import WAVELENGTH, spots_of

from midas.experiment.detector import DetectorGeometry

CELL = np.array([3.524, 3.6, 3.7, 88.0, 91.0, 93.0])
#: rounding alone, of coordinates of up to 2e5 µm
TOLERANCE = 1e-9


def compare(experiment: Experiment, detector: DetectorGeometry, grains: Grains) -> int:
    """Spots of both models side by side; how many there were."""
    assert experiment.wavelength == WAVELENGTH
    expected = simulate(experiment, grains.orientations, grains.positions, grains.cells)
    hkl, _ = experiment.reflections()
    number = {tuple(row): i for i, row in enumerate(hkl.T)}
    # The ring column says which reflection a row is.
    reflections = np.ascontiguousarray(np.vstack([hkl, np.arange(hkl.shape[1])]).T)
    sample = (grains.orientations.reshape(-1, 9).copy(), grains.cells, grains.positions)
    found = spots_of(
        sample, detector, wedge=experiment.wedge, exact_wedge=experiment.exact_wedge, reflections=reflections,
        samples=(experiment.wavelength,),
    )  # fmt: skip
    y, z = ideal_plane(detector, found["DetectorHor"], found["DetectorVert"])
    keys = zip(found.integers("GrainID") - 1, found.integers("RingNr"), found["Eta"] < 0, strict=True)
    row_of = {key: row for row, key in enumerate(keys)}
    rows, others = [], []
    for i, (grain, indices, branch) in enumerate(zip(expected.grain, expected.hkl.T, expected.branch, strict=True)):
        if (key := (grain, number[tuple(indices)], branch > 0)) in row_of:  # beside the detector otherwise
            rows.append(row_of[key])
            others.append(i)
    y_plane, z_plane = expected.y_plane[others], expected.z_plane[others]
    np.testing.assert_allclose(y[rows], y_plane, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(z[rows], z_plane, rtol=0, atol=TOLERANCE)
    for name, angle in (("OmeRaw", expected.omega_ideal), ("Omega", expected.omega_recorded)):
        np.testing.assert_allclose((found[name][rows] - angle[others] + 180) % 360 - 180, 0, atol=1e-11)
    np.testing.assert_allclose(found["RingRad"][rows], np.hypot(y_plane, z_plane), rtol=0, atol=TOLERANCE)
    return len(rows)


@pytest.mark.parametrize(("wedge", "exact"), [(0.0, True), (1.0, True), (-3.0, True), (1.0, False)])
def test_grain_far_from_the_axis(wedge: float, exact: bool) -> None:
    """(400, -300, 150) µm: without the lean z would be wrong by 9 µm at one degree of wedge."""
    tilts = (0.2, 0.3, -0.25)
    experiment = Experiment(
        cell=CELL, lsd=5e5, wavelength=WAVELENGTH, wedge=wedge, exact_wedge=exact, tilts=tilts, min_eta=4.0
    )
    grains = Grains.random(1, 4, experiment)
    grains.positions[:] = 400.0, -300.0, 150.0
    detector = DetectorGeometry(5e5, 509.3, 515.7, 200.0, 102400.0, *tilts, 1e-4, -5e-5, 3e-4, 10.0)
    assert compare(experiment, detector, grains) > 400


@given(
    seed=st.integers(0, 10_000),
    lsd=st.floats(2e5, 9e5),
    wedge=st.floats(-5, 5),
    tilts=st.tuples(*[st.floats(-5, 5)] * 3),
    distortion=st.tuples(*[st.floats(-2e-3, 2e-3)] * 3, st.floats(-90, 90)),
)
@example(seed=0, lsd=2e5, wedge=5.0, tilts=(5.0, -5.0, 5.0), distortion=(2e-3, 2e-3, -2e-3, 90.0))
@settings(max_examples=25, deadline=None)
def test_any_instrument(seed: int, lsd: float, wedge: float, tilts: tuple, distortion: tuple) -> None:
    experiment = Experiment(cell=CELL, lsd=lsd, wavelength=WAVELENGTH, wedge=wedge, tilts=tilts, min_eta=8.0)
    detector = DetectorGeometry(lsd, 510.3, 514.9, 200.0, 102400.0, *tilts, *distortion)
    assert compare(experiment, detector, Grains.random(seed, 2, experiment)) > 30


def test_omega_at_half_a_turn_is_on_one_side() -> None:
    """A spot that the wedge moves across ±180 degrees stays in the scan, at its other end."""
    experiment = Experiment(cell=CELL, lsd=5e5, wavelength=WAVELENGTH, wedge=2.0)
    grains = Grains.random(5, 40, experiment)
    sample = (grains.orientations.reshape(-1, 9).copy(), grains.cells, grains.positions)
    spots = spots_of(sample, wedge=2.0)
    crossed = np.abs(spots["Omega"] - spots["OmeRaw"]) > 300
    assert crossed.sum() > 3
    assert (np.abs(spots["Omega"]) <= 180).all()
    assert ((spots["omeBin"] == 0) | (spots["omeBin"] == 719) | ~crossed | (np.abs(spots["Omega"]) < 179.5)).all()
