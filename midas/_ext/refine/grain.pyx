"""The grain that a fit tries (docs/theory/refinement.md#variables).

Twelve variables describe it: position (µm), three orientation parameters (degrees) and the cell (Å, degrees).
"""
from libc.math cimport sqrt

from midas._ext.physics.geometry cimport DEG2RAD
from midas._ext.physics.lattice cimport reciprocal_basis
from midas._ext.physics.rotation cimport axis_rotation, cross_matrix, euler_matrix, matrix_product


cdef void set_grain(Grain* grain, const double* x) noexcept nogil:
    """U, B and U·B of the variables."""
    cdef double turn[9]
    cdef const double* t = x + ORIENTATION
    if grain.parameterisation == EULER:
        euler_matrix(t, grain.u)
    else:
        axis_rotation(t[0], t[1], t[2], sqrt(t[0] * t[0] + t[1] * t[1] + t[2] * t[2]), turn)
        matrix_product(turn, grain.base, grain.u)
    reciprocal_basis(x + CELL, grain.b)
    matrix_product(grain.u, grain.b, grain.ub)


cdef inline void _orientation_axes(const Grain* grain, const double* x, double* axes) noexcept nogil:
    """Three axes a_k (one after the other) with dU/dt_k = [a_k]×·U per degree.

    Euler angles turn about z, the line of nodes and the crystal's z; a rotation vector about the columns of the left
    Jacobian I + (1 - cos f)/f² [t]× + (f - sin f)/f³ [t]×².
    """
    cdef const double* t = x + ORIENTATION
    cdef double cross[9]
    cdef double square[9]
    cdef double radians[3]
    cdef double f2, first, second
    cdef int i, j
    if grain.parameterisation == EULER:
        axes[0] = axes[1] = axes[5] = 0.0
        axes[2] = DEG2RAD
        # The line of nodes is (cos phi1, sin phi1, 0), the crystal's z the last column of U.
        axis_rotation(0.0, 0.0, 1.0, t[0], cross)
        axes[3] = DEG2RAD * cross[0]
        axes[4] = DEG2RAD * cross[3]
        for i in range(3):
            axes[6 + i] = DEG2RAD * grain.u[3 * i + 2]
        return
    f2 = 0.0
    for i in range(3):
        radians[i] = DEG2RAD * t[i]
        f2 += radians[i] * radians[i]
    # Series: the rotation stays below a few degrees, where they are exact to rounding and the quotients are not.
    first = 0.5 - f2 / 24.0 * (1.0 - f2 / 30.0)
    second = 1.0 / 6.0 - f2 / 120.0 * (1.0 - f2 / 42.0)
    cross_matrix(radians, cross)
    matrix_product(cross, cross, square)
    for i in range(3):
        for j in range(3):
            axes[3 * j + i] = DEG2RAD * ((1.0 if i == j else 0.0) + first * cross[3 * i + j]
                                         + second * square[3 * i + j])


cdef void derivative_matrices(const Grain* grain, const double* x, double* matrices) noexcept nogil:
    """dG = M_k·(h, k, l) per unit of variable k = 3 … 11: nine 3×3 matrices, the cell's by central differences of B."""
    cdef double axes[9]
    cdef double generator[9]
    cdef double cell[6]
    cdef double plus[9]
    cdef double minus[9]
    cdef double step
    cdef int i, k
    _orientation_axes(grain, x, axes)
    for k in range(3):
        cross_matrix(axes + 3 * k, generator)
        matrix_product(generator, grain.ub, matrices + 9 * k)
    for i in range(6):
        cell[i] = x[CELL + i]
    for k in range(6):
        step = 1e-5 * cell[k]
        cell[k] = x[CELL + k] + step
        reciprocal_basis(cell, plus)
        cell[k] = x[CELL + k] - step
        reciprocal_basis(cell, minus)
        cell[k] = x[CELL + k]
        for i in range(9):
            plus[i] = (plus[i] - minus[i]) / (2.0 * step)
        matrix_product(grain.u, plus, matrices + 9 * (3 + k))
