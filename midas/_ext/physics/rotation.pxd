"""3×3 matrices, row-major ``double[9]``, and rotations (docs/theory/geometry.md#rotation-about-an-axis)."""
from libc.math cimport fabs, sqrt

from midas._ext.numerics.elementary cimport atan2, sincos
from midas._ext.physics.geometry cimport DEG2RAD, RAD2DEG


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
    sincos(DEG2RAD * angle, &s, &c)
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


cdef inline void cross_matrix(const double* v, double* m) noexcept nogil:
    """[v]×: the matrix whose product with a vector w is v × w."""
    m[0] = m[4] = m[8] = 0.0
    m[1] = -v[2]
    m[2] = v[1]
    m[3] = v[2]
    m[5] = -v[0]
    m[6] = -v[1]
    m[7] = v[0]


cdef inline void euler_matrix(const double* angles, double* m) noexcept nogil:
    """Bunge angles (phi1, Phi, phi2) in degrees to Rz(phi1) Rx(Phi) Rz(phi2)."""
    cdef double cp, sp, cf, sf, ct, st
    sincos(DEG2RAD * angles[0], &sp, &cp)
    sincos(DEG2RAD * angles[1], &sf, &cf)
    sincos(DEG2RAD * angles[2], &st, &ct)
    m[0] = ct * cp - st * cf * sp
    m[1] = -ct * cf * sp - st * cp
    m[2] = sf * sp
    m[3] = ct * sp + st * cf * cp
    m[4] = ct * cf * cp - st * sp
    m[5] = -sf * cp
    m[6] = st * sf
    m[7] = ct * sf
    m[8] = cf


cdef inline void matrix_euler(const double* m, double* angles) noexcept nogil:
    """Bunge angles in degrees of a rotation; Phi in [0, 180], and phi1 = 0 where only phi1 ± phi2 is defined."""
    cdef double sin_phi = sqrt(m[2] * m[2] + m[5] * m[5])
    angles[1] = RAD2DEG * atan2(sin_phi, m[8])
    if sin_phi < 1e-12:
        angles[0] = 0.0
        angles[2] = RAD2DEG * atan2(m[3] if m[8] > 0.0 else -m[3], m[0])
    else:
        angles[0] = RAD2DEG * atan2(m[2], -m[5])
        angles[2] = RAD2DEG * atan2(m[6], m[7])


cdef inline void orthonormalise(double* m) noexcept nogil:
    """The rotation nearest to a matrix that is one up to print rounding: Newton's iteration for the polar factor.

    A matrix that is one already, to the rounding of a double, stays as it is.
    """
    cdef double inverse_transpose[9]
    cdef double determinant, change
    cdef int i, _step
    for _step in range(20):
        inverse_transpose[0] = m[4] * m[8] - m[5] * m[7]
        inverse_transpose[1] = m[5] * m[6] - m[3] * m[8]
        inverse_transpose[2] = m[3] * m[7] - m[4] * m[6]
        inverse_transpose[3] = m[2] * m[7] - m[1] * m[8]
        inverse_transpose[4] = m[0] * m[8] - m[2] * m[6]
        inverse_transpose[5] = m[1] * m[6] - m[0] * m[7]
        inverse_transpose[6] = m[1] * m[5] - m[2] * m[4]
        inverse_transpose[7] = m[2] * m[3] - m[0] * m[5]
        inverse_transpose[8] = m[0] * m[4] - m[1] * m[3]
        determinant = m[0] * inverse_transpose[0] + m[1] * inverse_transpose[1] + m[2] * inverse_transpose[2]
        if determinant == 0.0:
            return
        change = 0.0
        for i in range(9):
            inverse_transpose[i] = 0.5 * (m[i] + inverse_transpose[i] / determinant)
            change += fabs(inverse_transpose[i] - m[i])
        if change < 1e-14:
            return
        for i in range(9):
            m[i] = inverse_transpose[i]
