"""Robust least squares for models of any kind: scaled Levenberg-Marquardt with Cauchy weights.

Bounds, priors and linear constraints; the covariance counts what the residuals scatter, not what they were expected to.
See docs/theory/calibration.md#robust-least-squares.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas._ext.numerics.cholesky import solve_positive
from midas._ext.numerics.normal_matrix import normal_matrix
from midas.experiment.noise import robust_spread

Array = NDArray[np.float64]
#: residuals over their expected size, and their Jacobian, at the variables
Model = Callable[[Array], tuple[Array, Array]]

#: residuals of this many scales count half
CUT = 3.0
#: the fit ends when a step is shorter than this part of a standard uncertainty
CONVERGED = 1e-4
MOST_STEPS = 100
#: the scale of residuals never counts as less: numbers that obey the model exactly have none
LEAST_SCALE = 1e-3
#: eigenvalues below this part of the largest are this part of it: their direction is not known at all
_LEAST_EIGENVALUE = 1e-15
_FIRST_DAMPING, _MOST_DAMPING, _LEAST_DAMPING = 1e-4, 1e8, 1e-10


@dataclass(frozen=True)
class Limits:
    """What is known of the variables beforehand.

    Parameters
    ----------
    lower, upper : (f,)
    prior : (f,), middle of a normal prior
    prior_sigma : (f,), its width; inf for none
    constraints : (c, f), combinations of the variables that keep the value they start with
    nuisance : (f,) bool, variables that do not count in the condition: what the others are known to is judged with
        these eliminated
    """

    lower: Array
    upper: Array
    prior: Array
    prior_sigma: Array
    constraints: Array
    nuisance: NDArray[np.bool_] | None = None

    @classmethod
    def none(cls, variables: int) -> Limits:
        """Everything is possible."""
        wide = np.full(variables, np.inf)
        return cls(-wide, wide, np.zeros(variables), wide, np.empty((0, variables)))


@dataclass(frozen=True)
class RobustFit:
    """What was found.

    Parameters
    ----------
    value : (f,)
    covariance : (f, f), as the residuals scatter; 0 in the directions of constraints
    on_bound : (f,) bool
    residuals, weights : (n,), weights between 0 and 1
    scale : robust width of the residuals; 1 when they are as large as expected
    condition : of the normal matrix with columns of unit length, within the constraints, without nuisance variables
    inflation : (f,), how much larger each variance is for the others being free; 1 for nuisance variables
    steps : how many
    converged : False when the steps ran out
    """

    value: Array
    covariance: Array
    on_bound: NDArray[np.bool_]
    residuals: Array
    weights: Array
    scale: float
    condition: float
    inflation: Array
    steps: int
    converged: bool


def robust_fit(model: Model, start: Array, limits: Limits | None = None) -> RobustFit:
    """The variables with the smallest Cauchy loss of the residuals.

    Parameters
    ----------
    model : residuals (n,) and their Jacobian (n, f)
    start : (f,), within the bounds
    """
    limits = limits or Limits.none(len(start))
    x = np.clip(np.asarray(start, np.float64), limits.lower, limits.upper)
    residuals, jacobian = _evaluated(model, x)
    damping, steps, converged = _FIRST_DAMPING, 0, False
    while steps < MOST_STEPS and not converged:
        steps += 1
        scale = scale_of(residuals)
        normal, downhill = _equations(residuals, jacobian, scale, x, limits)
        loss = _loss(residuals, scale, x, limits)
        while True:
            step = _bounded_step(normal, downhill, damping, x, limits)
            # In units of uncertainties, squared: the predicted gain and the length of the step are the same there.
            if step @ normal @ step < CONVERGED**2 or damping > _MOST_DAMPING:
                converged = damping <= 1.0
                break
            tried = np.clip(x + step, limits.lower, limits.upper)
            new = _evaluated(model, tried)
            if _loss(new[0], scale, tried, limits) <= loss:
                x, (residuals, jacobian) = tried, new
                damping = max(0.1 * damping, _LEAST_DAMPING)
                break
            damping *= 10.0
        if damping > _MOST_DAMPING:
            break
    return _result(x, residuals, jacobian, limits, steps, converged)


def scale_of(residuals: Array) -> float:
    """Robust width about 0."""
    return max(robust_spread(residuals, 0.0), LEAST_SCALE) if len(residuals) else 1.0


def cauchy_weights(residuals: Array, scale: float) -> Array:
    """Between 0 and 1; a half at `CUT` scales."""
    return 1.0 / (1.0 + (residuals / (CUT * scale)) ** 2)


def downhill(residuals: Array, jacobian: Array) -> Array:
    """How much the likelihood of the residuals grows with each variable: 0 where a fit without priors ends."""
    scale = scale_of(residuals)
    return -normal_matrix(jacobian, cauchy_weights(residuals, scale) / scale**2, residuals)[1]


def information(residuals: Array, jacobian: Array, limits: Limits) -> Array:
    """Inverse covariance of the variables, constraints aside.

    An M-estimator's: the scatter of the weighted residuals over the mean slope of the loss, with Huber's correction
    for the number of variables.
    """
    n, f = jacobian.shape
    scale = scale_of(residuals)
    weights = cauchy_weights(residuals, scale)
    slope = weights**2 * (1.0 - (residuals / (CUT * scale)) ** 2)
    mean = max(float(np.mean(slope)), 1e-3) if n else 1.0
    correction = 1.0 + f / n * float(np.var(slope)) / mean**2 if n else 1.0
    spread = correction * np.sqrt(np.sum((weights * residuals) ** 2) / max(n - f, 1)) / mean
    normal, _ = normal_matrix(jacobian, np.ones(n), residuals)
    return np.asarray(normal / max(spread, LEAST_SCALE) ** 2 + np.diag(limits.prior_sigma**-2.0))


def conditioning(residuals: Array, jacobian: Array, limits: Limits) -> tuple[float, Array]:
    """Condition of the normal matrix and inflation of the variances, as in `RobustFit`."""
    values, vectors, _ = scaled_eigensystem(information(residuals, jacobian, limits), limits.constraints)
    return _conditioning(values, vectors, limits.nuisance)


def _conditioning(values: Array, vectors: Array, nuisance: NDArray[np.bool_] | None) -> tuple[float, Array]:
    if nuisance is None or not nuisance.any() or nuisance.all():
        return float(values[-1] / values[0]), np.sum(vectors**2 / values, axis=1)
    half = vectors[~nuisance] / np.sqrt(values)
    kept, directions, _ = scaled_eigensystem(np.linalg.inv(half @ half.T), np.empty((0, len(half))))
    inflation = np.ones(len(vectors))
    inflation[~nuisance] = np.sum(directions**2 / kept, axis=1)
    return float(kept[-1] / kept[0]), inflation


def scaled_eigensystem(normal: NDArray[np.floating], constraints: Array) -> tuple[Array, Array, Array]:
    """Of a normal matrix with columns of unit length, within the constraints.

    Returns
    -------
    eigenvalues : (m,), ascending, none below 1e-15 of the largest
    vectors : (f, m), in the scaled variables
    length : (f,), of the columns
    """
    length = np.sqrt(np.diag(normal))
    length[length == 0.0] = 1.0
    within = null_space(constraints / length)
    values, vectors = np.linalg.eigh(within.T @ (normal / np.outer(length, length)) @ within)
    return np.maximum(values, _LEAST_EIGENVALUE * values[-1]), within @ vectors, length


def null_space(constraints: Array) -> Array:
    """(f, m) orthonormal columns that the constraints leave free."""
    if not len(constraints):
        return np.eye(constraints.shape[1])
    _, sizes, rows = np.linalg.svd(constraints)
    rank = int(np.sum(sizes > 1e-12 * sizes[0]))
    return np.asarray(rows[rank:].T)


def _evaluated(model: Model, x: Array) -> tuple[Array, Array]:
    residuals, jacobian = model(x)
    return np.ascontiguousarray(residuals, np.float64), np.ascontiguousarray(jacobian, np.float64)


def _equations(residuals: Array, jacobian: Array, scale: float, x: Array, limits: Limits) -> tuple[Array, Array]:
    """Normal matrix and direction of descent, residuals in units of their scale."""
    weights = cauchy_weights(residuals, scale) / scale**2
    normal, gradient = normal_matrix(jacobian, weights, residuals)
    certainty = limits.prior_sigma**-2.0
    return normal + np.diag(certainty), -gradient - certainty * (x - limits.prior)


def _loss(residuals: Array, scale: float, x: Array, limits: Limits) -> float:
    """Twice the negative logarithm of the likelihood; inf where the model has no number."""
    ratio = residuals / (CUT * scale)
    loss = CUT**2 * np.sum(np.log1p(ratio**2)) + np.sum(((x - limits.prior) / limits.prior_sigma) ** 2)
    return float(loss) if np.isfinite(loss) else np.inf


def _bounded_step(normal: Array, downhill: Array, damping: float, x: Array, limits: Limits) -> Array:
    """The damped step; a variable that would cross a bound stops on it, and the others make the best of that."""
    length = np.sqrt(np.diag(normal))
    length[length == 0.0] = 1.0
    h = normal / np.outer(length, length) + damping * np.eye(len(x))
    g, rows = downhill / length, limits.constraints / length
    lower, upper = (limits.lower - x) * length, (limits.upper - x) * length
    held = ((lower >= 0.0) & (g < 0.0)) | ((upper <= 0.0) & (g > 0.0)) | (lower == upper)
    step = np.zeros(len(x))
    for _ in range(len(x) + 1):
        free = ~held
        if not free.any():
            break
        left = -rows[:, held] @ step[held]
        step[free] = _constrained(
            h[np.ix_(free, free)], g[free] - h[np.ix_(free, held)] @ step[held], rows[:, free], left
        )
        beyond = free & ((step < lower) | (step > upper))
        if not beyond.any():
            break
        step[beyond] = np.clip(step[beyond], lower[beyond], upper[beyond])
        held = held | beyond
    return np.asarray(step / length)


def _constrained(h: Array, g: Array, rows: Array, values: Array) -> Array:
    """The x with rows x = values that minimises x h x / 2 - g x."""
    x, _ = solve_positive(h, g)
    if not len(rows):
        return x
    inverse = np.column_stack([solve_positive(h, row)[0] for row in np.ascontiguousarray(rows)])
    return np.asarray(x - inverse @ np.linalg.lstsq(rows @ inverse, rows @ x - values, rcond=None)[0])


def _result(x: Array, residuals: Array, jacobian: Array, limits: Limits, steps: int, converged: bool) -> RobustFit:
    values, vectors, length = scaled_eigensystem(information(residuals, jacobian, limits), limits.constraints)
    half = vectors / np.sqrt(values) / length[:, None]
    scale = scale_of(residuals)
    condition, inflation = _conditioning(values, vectors, limits.nuisance)
    return RobustFit(
        value=x,
        covariance=half @ half.T,
        on_bound=(x <= limits.lower) | (x >= limits.upper),
        residuals=residuals,
        weights=cauchy_weights(residuals, scale),
        scale=scale,
        condition=condition,
        inflation=inflation,
        steps=steps,
        converged=converged,
    )
