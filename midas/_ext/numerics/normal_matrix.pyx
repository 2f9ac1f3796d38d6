"""Normal equations of many observations that each know few of the variables."""
import numpy as np


def normal_matrix(const double[:, ::1] jacobian, const double[::1] weights, const double[::1] residuals):
    """Sums over the rows, in their order: the same bytes whatever the machine's threads.

    Parameters
    ----------
    jacobian : (n, f) float64; columns that are 0 in a row cost nothing there
    weights, residuals : (n,) float64

    Returns
    -------
    normal : (f, f) float64, Jᵀ W J
    gradient : (f,) float64, Jᵀ W r

    Raises
    ------
    ValueError : when the lengths differ
    """
    cdef Py_ssize_t n = jacobian.shape[0], f = jacobian.shape[1], row, i, k, count
    cdef double weighted
    if weights.shape[0] != n or residuals.shape[0] != n:
        raise ValueError("one weight and one residual per row")
    normal, gradient, columns = np.zeros((f, f)), np.zeros(f), np.empty(f, np.intp)
    cdef double[:, ::1] h = normal
    cdef double[::1] g = gradient
    cdef Py_ssize_t[::1] filled = columns
    with nogil:
        for row in range(n):
            count = 0
            for i in range(f):
                if jacobian[row, i] != 0.0:
                    filled[count] = i
                    count += 1
            for i in range(count):
                weighted = weights[row] * jacobian[row, filled[i]]
                g[filled[i]] += weighted * residuals[row]
                for k in range(i + 1):
                    h[filled[i], filled[k]] += weighted * jacobian[row, filled[k]]
        for i in range(f):
            for k in range(i):
                h[k, i] = h[i, k]
    return normal, gradient
