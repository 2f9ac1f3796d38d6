"""Misorientations for Python: arrays in, arrays out; see `midas.experiment.orientation`."""
import numpy as np

from libc.math cimport sqrt

from midas._ext.numerics.elementary cimport atan2
from midas._ext.physics.geometry cimport RAD2DEG


cdef double _misorientation(const double* p, const double* q, const double* operators, Py_ssize_t count) noexcept nogil:
    cdef double r[4]
    cdef double v[3]
    cdef double scalar
    cdef Py_ssize_t k
    relative_rotation(p, q, r)
    k = nearest_operator(r, operators, count, &scalar)
    vector_part(r, operators + 4 * k, v)
    return RAD2DEG * 2.0 * atan2(sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]), scalar)


def misorientations(const double[:, ::1] p, const double[:, ::1] q, const double[:, ::1] operators):
    """Smallest rotation angle between pairs of orientations modulo symmetry.

    Parameters
    ----------
    p, q : (n, 4) float64, unit quaternions
    operators : (k, 4) float64, proper rotations of the crystal, a group

    Returns
    -------
    (n,) float64, degrees

    Raises
    ------
    ValueError : shapes that do not fit.
    """
    cdef Py_ssize_t n = p.shape[0], i
    if not p.shape[1] == q.shape[1] == operators.shape[1] == 4 or q.shape[0] != n or operators.shape[0] < 1:
        raise ValueError("pairs of quaternions, and quaternions as operators")
    out = np.empty(n)
    cdef double[::1] angles = out
    with nogil:
        for i in range(n):
            angles[i] = _misorientation(&p[i, 0], &q[i, 0], &operators[0, 0], operators.shape[0])
    return out
