"""The minimiser against known runs of the legacy one and against functions with known minima."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from midas._ext.numerics.nelder_mead import minimise_function

CENTRE = 1022.0
#: y, z, counts of the two regions with known fits (docs/theory/peaks.md#worked-fits)
SINGLE = np.loadtxt(Path(__file__).parents[2] / "data" / "single_peak.txt", dtype=int)
PLATEAU = np.array([[498, 436, 10], [499, 436, 10]])


def _misfit(pixels: np.ndarray) -> Callable[[np.ndarray], float]:
    """Sum of squares of the model of docs/theory/peaks.md#profile, summed pixel by pixel."""
    y, z = pixels[:, 0] - CENTRE, pixels[:, 1] - CENTRE
    radius = np.hypot(y, z)
    eta = [math.copysign(57.2957795130823 * math.acos(b / r), a) for a, b, r in zip(y, z, radius, strict=True)]

    def misfit(x: np.ndarray) -> float:
        total = 0.0
        background, *peaks = x.tolist()
        for r, e, counts in zip(radius.tolist(), eta, pixels[:, 2].tolist(), strict=True):
            model = background
            for a, r0, e0, mu, gauss_r, lorentz_r, gauss_e, lorentz_e in zip(*[iter(peaks)] * 8, strict=True):
                u, v = (r - r0) ** 2, (e - e0) ** 2
                lorentz = 1 / ((1 + u / lorentz_r**2) * (1 + v / lorentz_e**2))
                model += a * (mu * lorentz + (1 - mu) * math.exp(-0.5 * (u / gauss_r**2 + v / gauss_e**2)))
            total += (model - counts) ** 2
        return total

    return misfit


def test_single_peak_of_the_legacy_example():
    radius = math.hypot(1404 - CENTRE, 1856 - CENTRE)
    eta = math.degrees(math.acos((1856 - CENTRE) / radius))
    delta = math.degrees(math.atan(1 / radius))
    assert (radius, eta, eta + delta) == pytest.approx((917.32219, 24.6093698, 24.6718296))
    start = np.array([5, 7206, radius, eta, 0.5, 1.02374093, 1.02374093, 0.1, 0.1])
    lower = np.array([0, 3603, radius - 1, eta - delta, 0, 0.01, 0.01, 0.005, 0.005])
    upper = np.array([10, 36030, radius + 1, eta + delta, 1, 8.70418221, 8.70418221, 0.548801814, 0.548801814])
    misfit = _misfit(SINGLE)
    assert misfit(start) == pytest.approx(36023511.4, rel=1e-7)
    x, minimum, evaluations, code = minimise_function(misfit, start, lower, upper)
    # The widths at the start are given to nine digits, hence a tolerance on the end; the path is the same.
    assert (code, evaluations) == (4, 1518)
    assert math.sqrt(minimum) == pytest.approx(5.108236816, rel=1e-5)
    expected = [0.009839838, 7880.712824169, 917.063660624, 24.588451297, 7.43e-7]
    expected += [0.999904340, 2.417726667, 0.062468386, 0.104919729]
    assert x == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_no_progress_past_the_limit_of_evaluations():
    calls = []

    def count(x: np.ndarray) -> float:
        calls.append(x)
        return float(x @ x)

    for limit in (1, 2, 3, 4, 7):
        calls.clear()
        *_, evaluations, code = minimise_function(
            count, np.ones(3), -np.ones(3), np.full(3, 2.0), max_evaluations=limit
        )
        assert (code, evaluations, len(calls)) == (5, limit, limit)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.floats(-0.9, 0.9), min_size=2, max_size=5))
def test_finds_the_minimum_of_a_paraboloid_and_stays_in_bounds(target: list[float]):
    goal = np.array(target)
    n = len(goal)

    def distance(x: np.ndarray) -> float:
        assert np.all(np.abs(x) <= 4)
        return 1.0 + float(np.sum((x - goal) ** 2))

    x, minimum, *_ = minimise_function(distance, np.zeros(n), np.full(n, -4.0), np.full(n, 4.0), 1e-14, 1e-14)
    assert minimum == pytest.approx(1.0, abs=1e-6)
    assert x == pytest.approx(goal, abs=1e-3)


def test_minimum_on_a_bound_and_a_held_coordinate():
    x, minimum, _, _ = minimise_function(
        lambda x: float(np.sum((x - 3.0) ** 2)), np.array([0.0, 0.5]), np.array([-1.0, 0.5]), np.array([1.0, 0.5])
    )
    assert x == pytest.approx([1.0, 0.5], abs=1e-4)
    assert minimum == pytest.approx(4.0 + 6.25, abs=1e-3)
    assert minimise_function(lambda x: 7.0, np.ones(1), np.ones(1), np.ones(1))[1:] == (7.0, 1, 4)


def test_errors_of_the_function_and_of_the_arguments_are_raised():
    def fails(x: np.ndarray) -> float:
        raise ZeroDivisionError("in the objective")

    with pytest.raises(ZeroDivisionError, match="in the objective"):
        minimise_function(fails, np.zeros(2), -np.ones(2), np.ones(2))
    with pytest.raises(ValueError, match="within its bounds"):
        minimise_function(fails, np.full(2, 5.0), -np.ones(2), np.ones(2))
    with pytest.raises(ValueError, match="same length"):
        minimise_function(fails, np.zeros(2), -np.ones(1), np.ones(2))


def test_plateau_of_two_pixels():
    start = [5.0]
    lower, upper = [0.0], [10.0]
    for y, z in PLATEAU[:, :2] - CENTRE:
        rho = math.hypot(y, z)
        phi = math.copysign(57.2957795130823 * math.acos(z / rho), y)
        delta = 57.2957795130823 * math.atan(1 / rho)
        start += [10, rho, phi, 0.5, 0.1, 0.1, 0.1, 0.1]
        lower += [5, rho - 1, phi - delta, 0, 0.01, 0.01, 0.005, 0.005]
        upper += [50, rho + 1, phi + delta, 1]
        upper += [0.0] * 4
    radii, etas = np.array(start[2::8]), np.array(start[3::8])
    width_r = np.ptp(radii) / 2 + 1
    width_eta = np.ptp(etas) / 2 + 57.2957795130823 * math.atan(2 / radii.sum())
    upper[5:9] = upper[13:17] = [2 * width_r] * 2 + [2 * width_eta] * 2
    assert start[2:4] + start[10:12] == pytest.approx([786.111951, -138.196983, 785.445733, -138.25136], abs=1e-6)
    x, minimum, evaluations, code = minimise_function(
        _misfit(PLATEAU), np.array(start), np.array(lower), np.array(upper)
    )
    assert (code, evaluations) == (4, 387)
    assert math.sqrt(minimum) == pytest.approx(0.004207817, rel=1e-6)
    expected = [7.104728706, 9.254910712, 786.303318613, -138.198857709, 0.574684365]
    expected += [0.108117227, 0.121477086, 0.099997288, 0.096441287, 9.518714269, 785.667049827, -138.238426171]
    expected += [0.681911875, 0.147450591, 0.140802547, 0.108203860, 0.108280285]
    assert x == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize(("distance", "code"), [(0.0, 4), (1e-16, -1), (1e-13, -1), (3e-13, 3)])
def test_a_start_within_rounding_of_its_bound_has_no_first_step(distance: float, code: int) -> None:
    """The refinement's second run can start there; the legacy program keeps what the first one found."""

    def valley(x: np.ndarray) -> float:
        return (x[0] - 0.5) ** 2 + (x[1] - 0.7) ** 2

    start = np.array([0.3, 1.0 - distance])
    best, minimum, evaluations, found = minimise_function(valley, start, np.zeros(2), np.ones(2))
    assert found == code
    if code == -1:
        assert evaluations == 2 and minimum == valley(best) < valley(start)
