"""Small dense least squares: normal equations and damped steps inside bounds, for at most `MAX_VARIABLES` variables.

A fit calls `normal_equations` once per Jacobian and `damped_step` once per trial damping. The damping is relative to
the diagonal (Marquardt), so the variables may have any units. See docs/theory/refinement.md#step-inside-the-bounds.
"""
import numpy as np

from libc.math cimport sqrt

from midas._ext.numerics.cholesky cimport cholesky, cholesky_solve

#: if a unit change of a variable changes the weighted residuals by less than 1e-9, it is rounding
cdef double NO_CURVATURE = 1e-18


cdef void normal_equations(const double* jacobian, const double* residuals, Py_ssize_t rows, int n, double* normal,
                           double* gradient) noexcept nogil:
    """JᵀJ (n × n, full) and Jᵀr of a Jacobian stored by columns of `rows` (a multiple of 4, padded with zeros)."""
    cdef int a, b
    for a in range(n):
        gradient[a] = dot(jacobian + a * rows, residuals, rows)
        for b in range(a + 1):
            normal[a * n + b] = dot(jacobian + a * rows, jacobian + b * rows, rows)
            normal[b * n + a] = normal[a * n + b]


cdef bint _solve_free(const double* normal, const double* gradient, const double* scale, const bint* held,
                      double damping, int n, double* step) noexcept nogil:
    """Steps of the variables that are not held, those of the others being what `step` holds; False if singular."""
    cdef double system[MAX_VARIABLES * MAX_VARIABLES]
    cdef double rhs[MAX_VARIABLES]
    cdef int free[MAX_VARIABLES]
    cdef int i, j, m = 0
    for i in range(n):
        if not held[i]:
            free[m] = i
            m += 1
    for i in range(m):
        rhs[i] = -gradient[free[i]]
        for j in range(n):
            if held[j]:
                rhs[i] -= normal[free[i] * n + j] * step[j]
        rhs[i] *= scale[free[i]]
        for j in range(i + 1):
            system[j * m + i] = normal[free[i] * n + free[j]] * scale[free[i]] * scale[free[j]]
        system[i * m + i] += damping
    if not cholesky(system, m, False):
        return False
    cholesky_solve(system, m, rhs)
    for i in range(m):
        step[free[i]] = rhs[i] * scale[free[i]]
    return True


cdef bint damped_step(const double* normal, const double* gradient, const double* x, const double* lower,
                      const double* upper, double damping, int n, double* step) noexcept nogil:
    """Levenberg–Marquardt step inside the box; False when the damped system cannot be solved.

    A variable whose step would leave the box is set to its bound and the rest is solved again with it there, until no
    free variable leaves; a variable without curvature stays.
    """
    cdef double scale[MAX_VARIABLES]
    cdef bint held[MAX_VARIABLES]
    cdef bint again = True
    cdef int i
    cdef double full
    for i in range(n):
        step[i] = 0.0
        # Held from the start: no room, no curvature, or at a bound with the descent pointing outwards.
        held[i] = (not normal[i * n + i] > NO_CURVATURE or (x[i] <= lower[i] and gradient[i] >= 0.0)
                   or (x[i] >= upper[i] and gradient[i] <= 0.0))
        scale[i] = 0.0 if held[i] else 1.0 / sqrt(normal[i * n + i])
    while again:
        again = False
        if not _solve_free(normal, gradient, scale, held, damping, n, step):
            return False
        for i in range(n):
            if held[i]:
                continue
            full = x[i] + step[i]
            if full < lower[i] or full > upper[i]:
                step[i] = (lower[i] if full < lower[i] else upper[i]) - x[i]
                held[i] = True
                again = True
    return True


cdef double predicted_decrease(const double* normal, const double* gradient, const double* step, int n) noexcept nogil:
    """Decrease of half the sum of squares that the quadratic model promises for `step`."""
    cdef double decrease = 0.0, row
    cdef int i, j
    for i in range(n):
        row = 0.0
        for j in range(n):
            row += normal[i * n + j] * step[j]
        decrease -= step[i] * (gradient[i] + 0.5 * row)
    return decrease


def step_in_box(const double[:, ::1] jacobian, const double[::1] residuals, const double[::1] x,
                const double[::1] lower, const double[::1] upper, double damping):
    """One damped step of a least squares fit inside its bounds.

    Parameters
    ----------
    jacobian : (n, m) float64, a row per variable; m a multiple of 4, padded with zeros
    residuals : (m,) float64
    x, lower, upper : (n,) float64, n at most `MAX_VARIABLES`
    damping : relative to the diagonal of JᵀJ

    Returns
    -------
    step : (n,) float64
    decrease : of half the sum of squares, as the quadratic model promises

    Raises
    ------
    ValueError : shapes that do not fit, or a system that cannot be solved
    """
    cdef int n = <int>x.shape[0]
    cdef double normal[MAX_VARIABLES * MAX_VARIABLES]
    cdef double gradient[MAX_VARIABLES]
    if not 1 <= n <= MAX_VARIABLES or not n == jacobian.shape[0] == lower.shape[0] == upper.shape[0]:
        raise ValueError(f"a row and two bounds per variable, of which there are at most {MAX_VARIABLES}")
    if jacobian.shape[1] % 4 or jacobian.shape[1] != residuals.shape[0] or not residuals.shape[0]:
        raise ValueError("a multiple of four residuals, as many as columns")
    step = np.empty(n)
    cdef double[::1] out = step
    normal_equations(&jacobian[0, 0], &residuals[0], residuals.shape[0], n, normal, gradient)
    if not damped_step(normal, gradient, &x[0], &lower[0], &upper[0], damping, n, &out[0]):
        raise ValueError("the damped system is singular")
    return step, predicted_decrease(normal, gradient, &out[0], n)
