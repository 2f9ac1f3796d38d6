"""Robust fit of a block of a grain's variables: re-weighted Gauss–Newton, damped, inside bounds.

See docs/theory/refinement.md#solver.
"""
from libc.math cimport isfinite

from midas._ext.numerics.least_squares cimport MAX_VARIABLES, damped_step, normal_equations, predicted_decrease
from midas._ext.refine.jacobian cimport jacobian
from midas._ext.refine.model cimport residuals, weigh


cdef inline double _cost(FitSpots* spots, Grain* grain, const Instrument* instrument, const Loss* loss, int objective,
                         const double* x) noexcept nogil:
    """The robust sum at x."""
    residuals(spots, grain, x, instrument, objective)
    return weigh(spots, loss, objective)


cdef int minimise(const VariableBlock* block, FitSpots* spots, Grain* grain, const Instrument* instrument,
                  const Loss* loss, int max_iterations, double* x) noexcept nogil:
    """Lower the cost over the free variables of x for one epsilon; returns the number of Jacobians.

    The damping starts at 1e-3 and is divided by 10 after a success, multiplied by 10 after a failure. Ends when a step
    gains less than 1e-6 of the cost, or when no step gains anything.
    """
    cdef double normal[MAX_VARIABLES * MAX_VARIABLES]
    cdef double gradient[MAX_VARIABLES]
    cdef double step[MAX_VARIABLES]
    cdef double trial[VARIABLES]
    cdef double damping = 1e-3
    cdef double current, lowered = 0.0
    cdef int i, iteration, n = block.stop - block.first, first = block.first
    cdef bint improved
    current = _cost(spots, grain, instrument, loss, block.objective, x)
    if not isfinite(current):
        return 0
    for iteration in range(max_iterations):
        jacobian(spots, grain, x, instrument, block.objective, block.first, block.stop)
        normal_equations(spots.jacobian, spots.residual, 3 * spots.padded, n, normal, gradient)
        improved = False
        while damping < 1e8:
            if damped_step(normal, gradient, x + first, block.lower + first, block.upper + first, damping, n, step):
                if predicted_decrease(normal, gradient, step, n) <= 1e-14 * current:
                    break
                for i in range(VARIABLES):
                    trial[i] = x[i]
                for i in range(n):
                    trial[first + i] = min(max(x[first + i] + step[i], block.lower[first + i]), block.upper[first + i])
                lowered = _cost(spots, grain, instrument, loss, block.objective, trial)
                if lowered < current:
                    improved = True
                    break
            damping *= 10.0
        if not improved:
            return iteration + 1
        for i in range(n):
            x[first + i] = trial[first + i]
        damping = max(0.1 * damping, 1e-9)
        if current - lowered <= 1e-6 * current:
            return iteration + 1
        current = lowered
    return max_iterations
