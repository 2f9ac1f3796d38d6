"""The joint fit on model grains: against dense algebra, without noise, with it, and what it must not depend on."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from grain_spots import INSTRUMENT, Noise, crystals_of, grain_spots

from midas.calibration.grains.gauge import Constraints, constraints_of
from midas.calibration.grains.identify import modes_of, units_of
from midas.calibration.grains.joint import Fit, information_of
from midas.calibration.grains.state import State, strains_of
from midas.experiment.instrument_numbers import numbers_of

from .model import ALL, case_of, detector_of, measurement, state_of, wrong

NOISY = Noise(radial=10, tangential=20, omega=0.02, wrong=0.05, single=0.4)


def fitted(count: int, noise: Noise, size: float = 1.0, threads: int = 1, **options: object) -> tuple:
    """Spots, case and the fit of everything from a wrong start."""
    spots = grain_spots(crystals_of(count, seed=1), noise=noise, **options)
    case = case_of(spots, threads=threads)
    start = state_of(measurement(spots, wrong(detector_of(spots), size)))
    return spots, case, case.fit(start, ALL)


def errors(found: Fit, spots: object) -> np.ndarray:
    """Of the numbers of the instrument."""
    truth = State(numbers_of(detector_of(spots))[None], np.empty((0, 2)), spots.ub, spots.positions)
    return found.free.values(found.state) - found.free.values(truth)


def turns(found: Fit, spots: object) -> np.ndarray:
    """(g, 3) degrees from the true orientations to the found ones."""
    reference = np.array(case_of(spots).convention.reference)
    rotation = strains_of(found.state.ub, reference)[1] @ strains_of(spots.ub, reference)[1].swapaxes(1, 2)
    return np.degrees(0.5 * (rotation - rotation.swapaxes(1, 2))[:, [2, 0, 1], [1, 2, 0]])


@pytest.mark.parametrize("size", [1.0, 5.0])
def test_without_noise_the_truth_is_found(size: float) -> None:
    """Also from a start that is five times as wrong: 10 mm, 10 px, 1.5 degrees."""
    spots, case, found = fitted(30, Noise(), size)
    assert found.converged
    assert found.iterations <= 15
    error = dict(zip(found.free.names, np.abs(errors(found, spots)), strict=True))
    print({name: f"{value:.1e}" for name, value in error.items()}, found.iterations)
    assert error["Lsd"] < 1e-4
    assert max(error["BCy"], error["BCz"]) < 1e-8
    assert max(error[name] for name in ("tx", "ty", "tz", "Wedge")) < 1e-8
    assert max(error[name] for name in ("p0", "p1c", "p1s", "p2")) < 1e-10
    assert np.abs(found.state.positions - spots.positions).max() < 1e-6
    assert np.abs(turns(found, spots)).max() < 1e-8
    strain, _ = strains_of(found.state.ub, case.convention.reference)
    assert np.abs(strain - spots.strain).max() < 1e-3


def test_the_reduced_system_is_the_dense_one() -> None:
    spots = grain_spots(crystals_of(3, seed=2), noise=NOISY)
    case = case_of(spots, trust="mean")
    found = case.fit(state_of(measurement(spots, wrong(detector_of(spots)))), ALL)
    problem, free = case.problem(), found.free
    information = information_of(problem, found)
    jacobian = problem.kernel.jacobian(*found.state.arguments(), free.columns, free.panel_columns, len(free))
    m, g = len(free), case.grains
    dense = np.zeros((m + 12 * g, m + 12 * g))
    weights = np.where(information.inlier, 1 / information.variance, 0)
    for row in range(3):
        full = np.zeros((len(case.spots), m + 12 * g))
        full[:, :m] = jacobian[row, :, 12:]
        for spot, grain in enumerate(case.spots.grain):
            full[spot, m + 12 * grain : m + 12 * grain + 12] = jacobian[row, spot, :12]
        dense += full.T @ (weights[row][:, None] * full)
    constraints = constraints_of(case.convention, free, found.state)
    rows = np.zeros((len(constraints), m + 12 * g))
    rows[:, m:] = constraints.rows.reshape(len(constraints), -1)
    q = len(rows)
    assert q == 2
    bordered = np.block([[dense, rows.T], [rows, np.zeros((q, q))]])
    scale = np.concatenate([1 / np.sqrt(np.diag(dense)), np.ones(q)])
    inverse = scale[:, None] * np.linalg.inv(scale[:, None] * bordered * scale) * scale
    sigma = np.sqrt(np.diag(inverse)[: m + 12 * g])
    expected = inverse[:m, :m] / sigma[:m, None] / sigma[:m]
    np.testing.assert_allclose(information.covariance / sigma[:m, None] / sigma[:m], expected, atol=1e-9)
    own = inverse[m : m + 12, m : m + 12]
    unit = sigma[m : m + 12]
    response = information.response[0]
    whole = information.own[0] + response @ information.system.inverse() @ response.T
    np.testing.assert_allclose(whole / unit[:, None] / unit, own / unit[:, None] / unit, atol=1e-9)


def test_two_open_directions_are_two_modes() -> None:
    """Wavelength beside all cells; height beside the beam centre, where the axis is upright and no centre distorts."""
    instrument = replace(INSTRUMENT, wedge=0.0, distortion=(0.0, 0.0, 0.0, 0.0))
    spots = grain_spots(crystals_of(20, seed=4), instrument, Noise(10, 20, 0.02))
    case = case_of(spots)
    state = State(numbers_of(detector_of(spots))[None], np.empty((0, 2)), spots.ub, spots.positions)
    free = case.free([name for name in (*ALL, "Wavelength") if name != "Wedge"])
    residuals = case.problem().residuals(state)
    found = Fit(state, free, residuals, case.classes.scales(residuals), True, np.empty((0, 0)))
    modes = modes_of(information_of(case.problem(), found), free, units_of(free, state, case.spots))
    print(np.sort(modes.sigma)[::-1][:4])
    # How large they are is rounding.
    assert np.sum(modes.sigma > 1e3) == 2
    assert np.sort(modes.sigma)[-3] < 1


def test_a_prior_lies_between_trust_and_none() -> None:
    spots = grain_spots(crystals_of(20, seed=5), noise=NOISY)
    start = state_of(measurement(spots, wrong(detector_of(spots))))
    lsd = {}
    for trust in ("none", 1e-3, 50.0, 1e6, "mean"):
        lsd[trust] = case_of(spots, trust).fit(start, ALL).state.numbers[0, 0]
    assert lsd[1e6] == pytest.approx(lsd["none"], abs=0.5)
    assert lsd[1e-3] == pytest.approx(lsd["mean"], abs=0.5)
    assert min(lsd["none"], lsd["mean"]) < lsd[50.0] < max(lsd["none"], lsd["mean"])


def test_same_bytes_for_any_threads() -> None:
    _, case, one = fitted(20, NOISY)
    _, other, two = fitted(20, NOISY, threads=3)
    assert one.state.numbers.tobytes() == two.state.numbers.tobytes()
    assert one.state.positions.tobytes() == two.state.positions.tobytes()
    first, second = (information_of(c.problem(), f) for c, f in ((case, one), (other, two)))
    assert first.covariance.tobytes() == second.covariance.tobytes()
    assert first.own.tobytes() == second.own.tobytes()


def test_wrong_spots_cost_little() -> None:
    errors_of = []
    for part in (0.0, 0.3):
        spots, _, found = fitted(40, Noise(1, 2, 0.002, wrong=part))
        errors_of.append(np.median(np.linalg.norm(found.state.positions - spots.positions, axis=1)))
    print(errors_of)
    assert errors_of[1] < 1.3 * errors_of[0]


def test_each_cell_trusted_leaves_six_unknowns() -> None:
    spots = grain_spots(crystals_of(10, seed=6, strain=0.0), noise=Noise(5, 5, 0.01))
    case = case_of(spots, trust="each")
    found = case.fit(state_of(measurement(spots, wrong(detector_of(spots)))), ALL)
    information = information_of(case.problem(), found)
    assert information.own.shape == (10, 6, 6)
    strain, _ = strains_of(found.state.ub, case.convention.reference)
    assert np.abs(strain).max() < 1e-6
    assert np.abs(errors(found, spots) / np.sqrt(np.diag(information.covariance))).max() < 4


@pytest.mark.long
def test_pulls_of_a_thousand_grains() -> None:
    """Standard deviations are true for all twelve numbers and for the geometry; one core, seconds."""
    spots = grain_spots(crystals_of(1000, seed=7), noise=NOISY)
    case = case_of(spots)
    start = state_of(measurement(spots, wrong(detector_of(spots))))
    begin = time.process_time()
    found = case.fit(start, ALL)
    information = information_of(case.problem(), found)
    seconds = time.process_time() - begin
    sigma = np.sqrt(np.einsum("gii->gi", information.own))
    strain, _ = strains_of(found.state.ub, case.convention.reference)
    off = np.hstack([found.state.positions - spots.positions, turns(found, spots), strain - spots.strain])
    # Its own covariance is that of a grain among those of its run: what all have in common is the geometry's.
    pulls = (off - off.mean(axis=0)) / sigma
    print(f"{seconds:.2f} s CPU, {found.iterations} iterations;", pulls.std(axis=0).round(3))
    print("beyond 3:", (np.abs(pulls) > 3).mean(axis=0).round(4))
    geometry = errors(found, spots) / np.sqrt(np.diag(information.covariance))
    print("geometry", geometry.round(1))
    assert seconds < 3
    assert np.all((pulls.std(axis=0) > 0.9) & (pulls.std(axis=0) < 1.15))
    assert np.all((np.abs(pulls) > 3).mean(axis=0) < 0.01)
    assert np.abs(geometry).max() < 4


def test_no_constraint_without_freedom() -> None:
    spots = grain_spots(crystals_of(2, seed=8))
    case = case_of(spots, trust="mean")
    state = state_of(measurement(spots, detector_of(spots)))
    assert isinstance(constraints_of(case.convention, case.free(()), state), Constraints)
    assert len(constraints_of(case.convention, case.free(()), state)) == 0
    assert len(constraints_of(case.convention, case.free(("BCz",)), state)) == 1
    assert len(constraints_of(case.convention, case.free(("BCz", "Lsd")), state)) == 2
