"""Damped steps inside bounds against numpy and scipy (docs/theory/refinement.md#step-inside-the-bounds)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import lsq_linear

from midas._ext.numerics.least_squares import step_in_box


def problem(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 40)), rng.normal(size=40)


@given(st.integers(1, 12), st.integers(0, 2**32 - 1), st.sampled_from([0.0, 1e-3, 1.0]))
def test_free_steps_are_those_of_the_normal_equations(n: int, seed: int, damping: float) -> None:
    jacobian, residuals = problem(n, seed)
    free = np.full(n, np.inf)
    step, decrease = step_in_box(jacobian, residuals, np.zeros(n), -free, free, damping)
    normal = jacobian @ jacobian.T
    expected = np.linalg.solve(normal + damping * np.diag(normal.diagonal()), -jacobian @ residuals)
    np.testing.assert_allclose(step, expected, rtol=1e-9, atol=1e-12)
    rest = residuals + step @ jacobian
    assert decrease == pytest.approx((residuals @ residuals - rest @ rest) / 2, abs=1e-10)


@pytest.mark.parametrize("seed", range(20))
def test_a_variable_that_would_leave_stands_at_its_bound(seed: int) -> None:
    jacobian, residuals = problem(2, seed)
    jacobian[1] -= jacobian[0] * (jacobian[0] @ jacobian[1]) / (jacobian[0] @ jacobian[0])  # so the order is no matter
    bound = np.full(2, 0.05)
    step, _ = step_in_box(jacobian, residuals, np.zeros(2), -bound, bound, 0.0)
    expected = lsq_linear(jacobian.T, -residuals, (-bound, bound), tol=1e-14).x
    np.testing.assert_allclose(step, expected, atol=1e-6)
    assert (np.abs(step) <= bound).all()


def test_what_cannot_move_stays() -> None:
    jacobian, residuals = problem(3, 1)
    jacobian[1] = 0.0  # no curvature
    x, lower, upper = np.zeros(3), np.array([0.0, -1.0, -9.0]), np.array([0.0, 1.0, 9.0])  # and no room for the first
    step, _ = step_in_box(jacobian, residuals, x, lower, upper, 0.0)
    assert step[:2].tolist() == [0.0, 0.0]
    assert step[2] == pytest.approx(-(jacobian[2] @ residuals) / (jacobian[2] @ jacobian[2]), rel=1e-12)


def test_singular_systems_and_shapes_that_do_not_fit_are_refused() -> None:
    jacobian, residuals, free = np.ones((2, 4)), np.ones(4), np.full(2, np.inf)
    with pytest.raises(ValueError, match="singular"):
        step_in_box(jacobian, residuals, np.zeros(2), -free, free, 0.0)
    with pytest.raises(ValueError, match="bounds per variable"):
        step_in_box(jacobian, residuals, np.zeros(1), -free, free, 0.0)
    with pytest.raises(ValueError, match="multiple of four"):
        step_in_box(np.ones((2, 3)), np.ones(3), np.zeros(2), -free, free, 0.0)
