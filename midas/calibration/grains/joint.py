"""Joint least squares of all grains and the instrument (docs/theory/geometry_from_grains.md#solver)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from midas._ext.calibrate.joint import Joint
from midas.calibration.grains.classes import Classes, loss_of, weights_of
from midas.calibration.grains.gauge import Constraints, Convention, agreed, constraints_of
from midas.calibration.grains.state import Free, State

Array = NDArray[np.float64]

#: damping at the start and at least, its factors after a success and a failure, failures in a row
_DAMPING, _LEAST_DAMPING, _SUCCESS, _FAILURE, _TRIES = 1e-3, 1e-9, 0.1, 10.0, 8
#: a fit ends when its cost falls by less than this part twice in a row; one of which only the loss counts, by this
ENOUGH, ROUGH = 1e-6, 1e-4
#: a cost per spot that is rounding
_NOTHING = 1e-12
#: scales are found anew in the first iterations, then at every fourth one
_EARLY, _EVERY = 6, 4
#: of the reduced system, once its diagonal is 1: directions below it do not move
_RCOND = 1e-13
#: smallest eigenvalue of a grain's matrix with a unit diagonal that is not rounding
_OPEN = 1e-13
#: grains whose sums are reduced at a time
_PART = 1024


@dataclass(frozen=True)
class Problem:
    """Spots of grains, and what is known beside them.

    Parameters
    ----------
    kernel : the spots
    classes : which share a scale
    convention : of what they cannot tell
    threads : of the kernel
    """

    kernel: Joint
    classes: Classes
    convention: Convention
    threads: int = 1

    def excess(self, free: Free) -> float:
        """n / (n - parameters)."""
        n = 3 * self.kernel.spots
        return n / max(n - self.unknowns(free), 0.1 * n)

    def unknowns(self, free: Free) -> int:
        """Numbers that a fit finds."""
        return self.convention.unknowns * self.kernel.grains + len(free)

    def residuals(self, state: State) -> Array:
        """(3, n): radial, tangential (µm), omega (degrees)."""
        return self.kernel.residuals(*state.arguments(), threads=self.threads)

    def sums(self, state: State, free: Free, weights: Array) -> Sums:
        """Of the normal equations, with the unknowns that the grains have."""
        k, m = self.convention.unknowns, len(free)
        a, b, gradient, n, n_gradient = self.kernel.normal_equations(
            *state.arguments(), free.columns, free.panel_columns, m, np.ascontiguousarray(weights), self.threads
        )
        return Sums(a[:, :k, :k], b[:, :k], gradient[:, :k], n, n_gradient)


@dataclass(frozen=True)
class Sums:
    """Weighted products of derivatives and residuals; `a`, `b`, `gradient` per grain, the others of the instruments."""

    a: Array
    b: Array
    gradient: Array
    n: Array
    n_gradient: Array

    def damped(self, damping: float) -> Sums:
        """With larger diagonals."""
        a, n = self.a.copy(), self.n.copy()
        np.einsum("gii->gi", a)[:] *= 1 + damping
        np.einsum("ii->i", n)[:] *= 1 + damping
        return Sums(a, self.b, self.gradient, n, self.n_gradient)


@dataclass(frozen=True)
class Reduced:
    """The system of the instruments alone, once the grains are expressed by it, scaled to a unit diagonal.

    Parameters
    ----------
    matrix : (m + q, m + q)
    right : (m + q,)
    scale : (m + q,); the unknowns are `scale` times those of the system
    """

    matrix: Array
    right: Array
    scale: Array

    def inverse(self) -> Array:
        """Of the matrix before it was scaled; directions that are open count as not moving."""
        scaled = np.linalg.pinv(self.matrix, rcond=_RCOND, hermitian=True)
        return np.asarray(self.scale[:, None] * scaled * self.scale, np.float64)

    def solution(self) -> Array:
        """(m + q,)."""
        left, values, right = np.linalg.svd(self.matrix)
        kept = values > _RCOND * values.max(initial=0.0)
        inverse = np.where(kept, 1 / np.where(kept, values, 1.0), 0.0)
        return np.asarray(self.scale * (right.T @ (inverse * (left.T @ self.right))), np.float64)


def _parts(grains: int) -> Iterator[slice]:
    for start in range(0, grains, _PART):
        yield slice(start, min(start + _PART, grains))


def reduced(sums: Sums, constraints: Constraints) -> tuple[Reduced, Array, Array]:
    """The Schur complement.

    Returns
    -------
    The system, A⁻¹ [B, Cᵀ] (g, k, m + q) and A⁻¹ a (g, k)
    """
    m, q = len(sums.n_gradient), len(constraints)
    matrix, right = np.zeros((m + q, m + q)), np.zeros(m + q)
    matrix[:m, :m], right[:m] = sums.n, -sums.n_gradient
    matrix[range(m, m + q), range(m, m + q)], right[m:] = -constraints.variance, -constraints.value
    size = np.zeros(m + q)
    size[:m] = np.diag(sums.n)
    coupled = np.concatenate([sums.b, constraints.rows.transpose(1, 2, 0)], axis=2)
    response, own = np.empty_like(coupled), np.empty_like(sums.gradient)
    for part in _parts(len(coupled)):
        both = np.concatenate([coupled[part], sums.gradient[part, :, None]], axis=2)
        solved = _solved(sums.a[part], both)
        response[part], own[part] = solved[:, :, :-1], solved[:, :, -1]
        products = np.matmul(coupled[part].swapaxes(1, 2), solved).sum(axis=0)
        matrix -= products[:, :-1]
        right += products[:, -1]
        size[m:] += np.diag(products)[m:]
    size[m:] += constraints.variance
    scale = 1 / np.sqrt(np.where(size > 0, size, 1.0))
    return Reduced(scale[:, None] * matrix * scale, scale * right, scale), response, own


def singular(a: Array) -> NDArray[np.bool_]:
    """(g,) grains whose spots leave one of their unknowns open."""
    size = np.sqrt(np.maximum(np.einsum("gii->gi", a), 1e-300))
    return np.asarray(np.linalg.eigvalsh(a / size[:, :, None] / size[:, None, :])[:, 0] < _OPEN, np.bool_)


def _solved(a: Array, right: Array) -> Array:
    """A⁻¹ of each grain times `right`; zeros, so that they neither move nor tell anything, for singular ones."""
    try:
        return np.asarray(np.linalg.solve(a, right), np.float64)
    except np.linalg.LinAlgError:
        out, sound = np.zeros_like(right), ~singular(a)
        out[sound] = np.linalg.solve(a[sound], right[sound])
        return out


def step_of(sums: Sums, constraints: Constraints) -> tuple[Array, Array]:
    """The step of the instruments (m,) and of the grains (g, k)."""
    system, response, own = reduced(sums, constraints)
    x = system.solution()
    return x[: len(sums.n_gradient)], -(own + response @ x)


@dataclass(frozen=True)
class Fit:
    """Where a fit ended.

    Parameters
    ----------
    state, free : instruments and grains, and what of the instruments was free
    residuals, scales : (3, n)
    converged : whether it ended by itself
    log : (iterations, 3 + m): cost, damping, whether the step was taken, and the free numbers
    """

    state: State
    free: Free
    residuals: Array
    scales: Array
    converged: bool
    log: Array = field(repr=False)

    @property
    def iterations(self) -> int:
        """Jacobians."""
        return len(self.log)


def fit(problem: Problem, state: State, free: Free, iterations: int = 40, enough: float = ENOUGH) -> Fit:
    """Levenberg–Marquardt with Cauchy's loss, from a state that is first brought to the conventions."""
    state = agreed(problem.convention, free, state)
    residuals, excess = problem.residuals(state), problem.excess(free)
    scales, damping, quiet, converged = problem.classes.scales(residuals, excess), _DAMPING, 0, False
    log: list[Array] = []
    for iteration in range(iterations):
        if iteration < _EARLY or iteration % _EVERY == 0:
            scales = problem.classes.scales(residuals, excess)
        cost = _cost(problem, free, state, residuals / scales)
        weights = weights_of(residuals / scales) / scales**2
        sums, constraints = problem.sums(state, free, weights), constraints_of(problem.convention, free, state)
        taken, gain = None, 0.0
        for _ in range(_TRIES):
            taken = _tried(problem, state, free, sums.damped(damping), constraints, scales, cost)
            if taken is not None:
                state, residuals, gain = taken[0], taken[1], cost - taken[2]
                break
            damping *= _FAILURE
        log.append(np.array([cost, damping, taken is not None, *free.values(state)]))
        damping = max(_SUCCESS * damping, _LEAST_DAMPING) if taken is not None else damping
        quiet = quiet + 1 if gain <= enough * cost else 0
        converged = quiet > 1 or taken is None or cost <= _NOTHING * residuals.shape[1]
        if converged:
            break
    scales = problem.classes.scales(residuals, excess)
    return Fit(state, free, residuals, scales, converged, np.array(log))


def _tried(
    problem: Problem, state: State, free: Free, sums: Sums, constraints: Constraints, scales: Array, cost: float
) -> tuple[State, Array, float] | None:
    """State, residuals and cost after a step; None when it does not gain."""
    try:
        trial = free.moved(state, *step_of(sums, constraints))
    except np.linalg.LinAlgError:
        return None
    residuals = problem.residuals(trial)
    lowered = _cost(problem, free, trial, residuals / scales)
    return (trial, residuals, lowered) if lowered < cost else None


def _cost(problem: Problem, free: Free, state: State, u: Array) -> float:
    """The loss of all spots, and of a mean strain that is known to so much."""
    cost = float(loss_of(u).sum())
    if isinstance(problem.convention.trust, str):
        return cost
    constraints = constraints_of(problem.convention, free, state)
    soft = constraints.variance > 0
    return cost + float(0.5 * np.sum(constraints.value[soft] ** 2 / constraints.variance[soft]))


@dataclass(frozen=True)
class Information:
    """What the spots tell at the end of a fit.

    Parameters
    ----------
    sums : with the inverse variances as weights, of inliers
    variance : (3, n)
    inlier : (3, n) bool
    covariance : (m, m) of the free numbers, under the conventions
    own : (g, k, k) of each grain with the geometry as it is; NaN where its spots leave something open
    response : (g, k, m + q) A⁻¹ [B, Cᵀ]
    system : the reduced system with the conventions
    open : (m, m) the reduced matrix without them
    open_response : (g, k, m) A⁻¹ B
    """

    sums: Sums
    variance: Array
    inlier: NDArray[np.bool_]
    covariance: Array
    own: Array
    response: Array
    system: Reduced
    open: Array
    open_response: Array


def information_of(problem: Problem, found: Fit) -> Information:
    """Covariances of a fit's result (docs/theory/geometry_from_grains.md#covariance)."""
    excess = problem.excess(found.free)
    variance, inlier = problem.classes.variances(found.residuals, found.scales, excess)
    sums = problem.sums(found.state, found.free, np.where(inlier, 1 / variance, 0.0))
    constraints = constraints_of(problem.convention, found.free, found.state)
    system, response, _ = reduced(sums, constraints)
    m = len(found.free)
    covariance = system.inverse()[:m, :m]
    k = problem.convention.unknowns
    none = Constraints(np.empty((0, len(sums.a), k)), np.empty(0), np.empty(0))
    bare, open_response, _ = reduced(sums, none)
    matrix = bare.matrix / bare.scale[:, None] / bare.scale
    sound, own = ~singular(sums.a), np.full_like(sums.a, np.nan)
    own[sound] = np.linalg.inv(sums.a[sound])
    return Information(sums, variance, inlier, covariance, own, response, system, matrix, open_response)
