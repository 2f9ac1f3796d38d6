"""Robust least squares on models whose answer is known (docs/theory/calibration.md#robust-least-squares)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from midas.experiment.robust_fit import CUT, LEAST_SCALE, Limits, Model, robust_fit

RANDOM = np.random.default_rng(2)
DESIGN = RANDOM.normal(size=(400, 4)) * [1.0, 1e-3, 1e4, 1.0]
TRUTH = np.array([2.0, 500.0, -1e-4, 3.0])
NOISE = RANDOM.normal(size=400)


def line(design: np.ndarray = DESIGN, noise: np.ndarray = NOISE) -> Model:
    return lambda x: (design @ (x - TRUTH) + noise, design)


def exponential(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Three numbers that hang together, not linear: 2 exp(-0.5 t) + 1."""
    t = np.linspace(0, 8, 60)
    decay = np.exp(-x[1] * t)
    return x[0] * decay + x[2] - (2 * np.exp(-0.5 * t) + 1), np.column_stack([decay, -x[0] * t * decay, np.ones(60)])


def test_variables_of_any_size_are_found() -> None:
    fit = robust_fit(line(), np.zeros(4))
    assert fit.converged and not fit.on_bound.any()
    assert np.all(np.abs(fit.value - TRUTH) < 4 * np.sqrt(np.diag(fit.covariance)))
    plain = np.sqrt(np.diag(np.linalg.inv(DESIGN.T @ DESIGN)))
    np.testing.assert_allclose(np.sqrt(np.diag(fit.covariance)), plain, rtol=0.12)
    assert fit.condition < 2 and np.all(fit.inflation < 1.2)


def test_a_model_that_is_not_linear_is_solved_to_the_end() -> None:
    fit = robust_fit(exponential, np.array([0.3, 2.0, 0.0]))
    assert fit.converged
    np.testing.assert_allclose(fit.value, [2, 0.5, 1], atol=1e-6)
    assert fit.scale == LEAST_SCALE, "numbers without any noise"


def test_outliers_hardly_count() -> None:
    noise = NOISE.copy()
    noise[:40] += 300.0
    fit = robust_fit(line(noise=noise), np.zeros(4))
    clean = robust_fit(line(DESIGN[40:], NOISE[40:]), np.zeros(4))
    assert np.all(np.abs(fit.value - clean.value) < 0.35 * np.sqrt(np.diag(clean.covariance)))
    assert fit.weights[:40].max() < 0.01


def test_on_a_bound_the_others_make_the_best_of_it() -> None:
    design = DESIGN.copy()
    design[:, 3] = design[:, 0] + 0.1 * DESIGN[:, 3]
    limits = replace(Limits.none(4), upper=np.array([1.5, np.inf, np.inf, np.inf]))
    fit = robust_fit(line(design), np.array([1.0, 0.0, 0.0, 0.0]), limits)
    assert fit.value[0] == 1.5 and fit.on_bound.tolist() == [True, False, False, False]
    held = robust_fit(
        lambda x: (design[:, 1:] @ x + line(design)(np.array([1.5, 0, 0, 0]))[0], design[:, 1:]), np.zeros(3)
    )
    np.testing.assert_allclose(fit.value[1:], held.value, rtol=1e-3)

    def loss(x: np.ndarray) -> float:
        return float(np.sum(np.log1p((line(design)(x)[0] / (CUT * fit.scale)) ** 2)))

    for step in (1e-2, -1e-2):
        assert loss(fit.value) < loss(fit.value + [0, 0, 0, step])
    assert loss(fit.value - [1e-2, 0, 0, 0]) > loss(fit.value)


def test_constraints_keep_what_the_start_has() -> None:
    limits = replace(Limits.none(4), constraints=np.array([[1.0, 0.0, 0.0, 1.0]]))
    fit = robust_fit(line(), np.array([1.0, 0.0, 0.0, 2.0]), limits)
    assert fit.value[0] + fit.value[3] == pytest.approx(3.0, abs=1e-12)
    assert np.allclose(limits.constraints @ fit.covariance, 0, atol=1e-15)
    bounded = replace(limits, upper=np.array([0.5, np.inf, np.inf, np.inf]))
    fit = robust_fit(line(), np.array([0.0, 0.0, 0.0, 3.0]), bounded)
    assert fit.value[0] == 0.5 and fit.value[3] == pytest.approx(2.5, abs=1e-12)


def test_a_prior_holds_what_nothing_else_does() -> None:
    design = DESIGN.copy()
    design[:, 1] = 0.0
    prior = replace(Limits.none(4), prior=np.full(4, 7.0), prior_sigma=np.array([np.inf, 2.0, np.inf, np.inf]))
    fit = robust_fit(line(design), np.zeros(4), prior)
    assert fit.value[1] == pytest.approx(7.0) and fit.covariance[1, 1] == pytest.approx(4.0)


def test_nuisance_is_eliminated_before_the_condition_is_judged() -> None:
    design = DESIGN.copy()
    design[:, 3] = DESIGN[:, 0] + 1e-4 * DESIGN[:, 3]
    limits = replace(Limits.none(4), nuisance=np.array([False, False, False, True]))
    seen, hidden = (robust_fit(line(design), np.zeros(4), given) for given in (None, limits))
    assert np.array_equal(seen.covariance, hidden.covariance)
    assert seen.condition > 1e7
    # Of two that look alike one is nuisance: the other is known badly, which its variance says, and no more.
    eliminated = np.linalg.inv(hidden.covariance[:3, :3])
    length = np.sqrt(np.diag(eliminated))
    assert hidden.condition == pytest.approx(np.linalg.cond(eliminated / np.outer(length, length)), rel=1e-6)
    assert hidden.condition < 2 and hidden.inflation[3] == 1
