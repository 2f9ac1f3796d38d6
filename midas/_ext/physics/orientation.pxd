"""Orientations as unit quaternions, scalar first, and what crystal symmetry makes of them.

See docs/theory/grains.md#misorientation.

An orientation maps crystal to sample; its equivalents are q S for the proper rotations S of the crystal.
"""
from libc.math cimport fabs


cdef inline void relative_rotation(const double* p, const double* q, double* r) noexcept nogil:
    """r = conj(p) q."""
    r[0] = p[0] * q[0] + p[1] * q[1] + p[2] * q[2] + p[3] * q[3]
    r[1] = p[0] * q[1] - p[1] * q[0] - p[2] * q[3] + p[3] * q[2]
    r[2] = p[0] * q[2] + p[1] * q[3] - p[2] * q[0] - p[3] * q[1]
    r[3] = p[0] * q[3] - p[1] * q[2] + p[2] * q[1] - p[3] * q[0]


cdef inline Py_ssize_t nearest_operator(const double* r, const double* operators, Py_ssize_t count,
                                        double* largest) noexcept nogil:
    """The operator S with the largest |Re(r S)|, the first of equals, and that number: cos(half misorientation)."""
    cdef Py_ssize_t k, best = 0
    cdef double scalar
    cdef const double* s = operators
    largest[0] = -1.0
    for k in range(count):
        scalar = fabs(r[0] * s[0] - r[1] * s[1] - r[2] * s[2] - r[3] * s[3])
        if scalar > largest[0]:
            largest[0] = scalar
            best = k
        s += 4
    return best


cdef inline void vector_part(const double* r, const double* s, double* v) noexcept nogil:
    """Im(r S)."""
    v[0] = r[0] * s[1] + r[1] * s[0] + r[2] * s[3] - r[3] * s[2]
    v[1] = r[0] * s[2] - r[1] * s[3] + r[2] * s[0] + r[3] * s[1]
    v[2] = r[0] * s[3] + r[1] * s[2] - r[2] * s[1] + r[3] * s[0]
