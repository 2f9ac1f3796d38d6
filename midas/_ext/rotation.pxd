"""3×3 matrices, row-major ``double[9]``, and rotations (spec chapters 05 §4.9, 06 §4.1)."""
from libc.math cimport cos, sin, sqrt

from midas._ext.geometry cimport DEG2RAD


cdef inline void matrix_vector(const double* m, const double* v, double* out) noexcept nogil:
    """out = m v; `out` must not be `v`."""
    out[0] = m[0] * v[0] + m[1] * v[1] + m[2] * v[2]
    out[1] = m[3] * v[0] + m[4] * v[1] + m[5] * v[2]
    out[2] = m[6] * v[0] + m[7] * v[1] + m[8] * v[2]


cdef inline void matrix_product(const double* a, const double* b, double* out) noexcept nogil:
    """out = a b, each sum from left to right; `out` must be neither."""
    cdef int i, j
    for i in range(3):
        for j in range(3):
            out[3 * i + j] = a[3 * i] * b[j] + a[3 * i + 1] * b[3 + j] + a[3 * i + 2] * b[6 + j]


cdef inline void axis_rotation(double x, double y, double z, double angle, double* m) noexcept nogil:
    """Right-handed rotation by `angle` degrees about (x, y, z) of any length; identity for the zero vector."""
    cdef double length2 = x * x + y * y + z * z
    cdef double s, c, t, scale
    if length2 == 0.0:
        m[0] = m[4] = m[8] = 1.0
        m[1] = m[2] = m[3] = m[5] = m[6] = m[7] = 0.0
        return
    scale = 1.0 / sqrt(length2)
    x *= scale
    y *= scale
    z *= scale
    c = cos(DEG2RAD * angle)
    s = sin(DEG2RAD * angle)
    t = 1.0 - c
    m[0] = c + x * x * t
    m[1] = x * y * t - z * s
    m[2] = y * s + x * z * t
    m[3] = z * s + x * y * t
    m[4] = c + y * y * t
    m[5] = -x * s + y * z * t
    m[6] = -y * s + x * z * t
    m[7] = x * s + y * z * t
    m[8] = c + z * z * t
