"""Cholesky factorisation A = UᵀU of a symmetric matrix, row by row, and the solution of A x = b with it.

Each element is reduced by the products of earlier rows in their order, so the digits do not depend on how a compiler
arranges the loops; the innermost ones run along rows and vectorise.
"""
import numpy as np

from libc.math cimport sqrt
from libc.stddef cimport size_t


cdef bint cholesky(double* a, int n, bint by_reciprocal) noexcept nogil:
    """U in the upper triangle of `a` (n × n, row-major), in place; False when it is not positive definite.

    Only the upper triangle is read and written. With `by_reciprocal` a row is multiplied by the reciprocal of its
    pivot's root instead of divided by the root. The last bits differ, and a fit that ends when it gains nothing more
    shows them in the sixth decimal: each fit keeps the form that its results have always had.
    """
    cdef int i, j, k
    cdef double factor
    cdef double* pivot
    cdef double* row
    for j in range(n):
        pivot = a + <size_t>j * n
        if not pivot[j] > 0.0:
            return False
        factor = sqrt(pivot[j])
        if by_reciprocal:
            factor = 1.0 / factor
            for k in range(j, n):
                pivot[k] *= factor
        else:
            pivot[j] = factor
            for k in range(j + 1, n):
                pivot[k] /= factor
        for i in range(j + 1, n):
            row = a + <size_t>i * n
            factor = pivot[i]
            for k in range(i, n):
                row[k] -= factor * pivot[k]
    return True


cdef void cholesky_solve(const double* u, int n, double* b) noexcept nogil:
    """b := (UᵀU)⁻¹ b."""
    cdef int j, k
    cdef const double* row
    for j in range(n):
        row = u + <size_t>j * n
        b[j] /= row[j]
        for k in range(j + 1, n):
            b[k] -= row[k] * b[j]
    for j in range(n - 1, -1, -1):
        row = u + <size_t>j * n
        for k in range(j + 1, n):
            b[j] -= row[k] * b[k]
        b[j] /= row[j]


def solve_positive(const double[:, ::1] a, const double[::1] b, bint by_reciprocal=False):
    """The solution of A x = b for a symmetric, positive definite A, and its factor.

    Parameters
    ----------
    a : (n, n) float64, of which only the upper triangle counts
    b : (n,) float64
    by_reciprocal : how rows are scaled, which decides the last bits

    Returns
    -------
    x : (n,) float64
    u : (n, n) float64, upper triangular, A = UᵀU

    Raises
    ------
    ValueError : shapes that do not fit, or a matrix that is not positive definite
    """
    cdef int n = <int>b.shape[0]
    if n < 1 or a.shape[0] != n or a.shape[1] != n:
        raise ValueError("a square matrix, and a number per row")
    factor, solution = np.array(a), np.array(b)
    cdef double[:, ::1] u = factor
    cdef double[::1] x = solution
    if not cholesky(&u[0, 0], n, by_reciprocal):
        raise ValueError("the matrix is not positive definite")
    cholesky_solve(&u[0, 0], n, &x[0])
    return solution, np.triu(factor)
