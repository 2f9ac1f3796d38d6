"""The diffraction condition and the wedge (spec chapters 05 §4.4, 06 §4.2, 08 §4.3 and 04 §4.3).

A reflection G = (x, y, z) in the sample frame fires at the rotation angles omega with

    -x cos(omega) + y sin(omega) = v,    v = |G| sin(theta) = wavelength |G|² / 2.
"""
from libc.math cimport acos, atan2, fabs, sin, sqrt

from midas._ext.physics.geometry cimport DEG2RAD, RAD2DEG, wrap180


cdef inline void omega_of(double x, double y, double v, double h, double e, double* cos_omega,
                          double* sin_omega) noexcept nogil:
    """The angle that turns (x, y) to the laboratory (-v, e), where h = x² + y² = v² + e².

    cos = (y e - x v)/h, sin = (y v + x e)/h: no trigonometry, and no special case near y = 0. Both signs of
    e = ±sqrt(h - v²) fire; the larger cosine belongs to the e that has the sign of y.
    """
    cos_omega[0] = (y * e - x * v) / h
    sin_omega[0] = (y * v + x * e) / h


cdef inline void omega_branch(double x, double y, double v, double sign, double* e, double* cos_omega,
                              double* sin_omega) noexcept nogil:
    """The solution whose laboratory y has the sign of `sign` (+1 or -1), for loops over spots: no branches.

    A reflection that does not fire is kept at the nearest one that does (e stays away from 0), so that a fit in
    progress sees a finite, continuous spot.
    """
    cdef double h = x * x + y * y
    cdef double root = h - v * v
    cdef double floor = 1e-8 * h
    root = root if root > floor else floor
    e[0] = sign * sqrt(root)
    omega_of(x, y, v, h, e[0], cos_omega, sin_omega)


cdef inline double _omega_of_cosine(double x, double y, double v, double cosine) noexcept nogil:
    cdef double omega = acos(cosine)
    cdef double plus = fabs(-x * cosine + y * sin(omega) - v)
    cdef double minus = fabs(-x * cosine + y * sin(-omega) - v)
    return RAD2DEG * (omega if plus < minus else -omega)


cdef inline int legacy_omegas(double x, double y, double v, double* omega) noexcept nogil:
    """Legacy arithmetic of the same condition: 0, 1 or 2 angles in degrees, larger cosine first (05 §4.4).

    For |y| < 1e-4 Å⁻¹ it ignores y, which misplaces omega by up to 0.02 degrees. For the indexer, whose records must
    equal the legacy ones, and for the row-by-row comparison of the simulator.
    """
    cdef double a, b, c, discriminant, root, cosine
    cdef int n = 0
    if fabs(y) < 1e-4:
        if x != 0.0:
            cosine = -v / x
            if fabs(cosine) <= 1.0:
                omega[0] = RAD2DEG * acos(cosine)
                omega[1] = -omega[0]
                n = 2
        return n
    a = 1.0 + (x * x) / (y * y)
    b = (2.0 * v * x) / (y * y)
    c = (v * v) / (y * y) - 1.0
    discriminant = b * b - 4.0 * a * c
    if discriminant < 0.0:
        return 0
    root = sqrt(discriminant)
    cosine = (-b + root) / (2.0 * a)
    if fabs(cosine) <= 1.0:
        omega[n] = _omega_of_cosine(x, y, v, cosine)
        n += 1
    cosine = (-b - root) / (2.0 * a)
    if fabs(cosine) <= 1.0:
        omega[n] = _omega_of_cosine(x, y, v, cosine)
        n += 1
    return n


cdef inline void scattering_direction(double sin_theta, double cos_theta, double sin_eta, double cos_eta,
                                      double* k) noexcept nogil:
    """Unit scattering vector in the laboratory of a spot at (theta, eta): (-sinθ, -cosθ sinη, cosθ cosη)."""
    k[0] = -sin_theta
    k[1] = -cos_theta * sin_eta
    k[2] = cos_theta * cos_eta


cdef inline bint wedge_rotation(const double* k, double cos_wedge, double sin_wedge, double* cos_shift,
                                double* sin_shift) noexcept nogil:
    """`wedge_omega_shift` as a cosine and a sine, without trigonometry; the identity where it has no solution."""
    cdef double a = k[0] * cos_wedge + k[2] * sin_wedge
    cdef double h = a * a + k[1] * k[1]
    cdef double root = h - k[0] * k[0]
    cdef double k2n
    cos_shift[0] = 1.0
    sin_shift[0] = 0.0
    if root < 0.0 or h == 0.0:
        return False
    k2n = sqrt(root) if k[1] >= 0.0 else -sqrt(root)
    cos_shift[0] = (k[0] * a + k2n * k[1]) / h
    sin_shift[0] = (k2n * a - k[0] * k[1]) / h
    return True


cdef inline bint wedge_omega_shift(const double* k, double cos_wedge, double sin_wedge, double* shift) noexcept nogil:
    """Degrees to add to an omega recorded with the wedge to get the omega without it (04 §4.3, closed form).

    `k` is a laboratory scattering vector of any length. False, and a shift of 0, when no rotation without wedge brings
    the vector to the Bragg condition (a spot beside the pole).
    """
    cdef double a = k[0] * cos_wedge + k[2] * sin_wedge
    cdef double root = a * a + k[1] * k[1] - k[0] * k[0]
    cdef double k2n
    if root < 0.0:
        shift[0] = 0.0
        return False
    k2n = sqrt(root) if k[1] >= 0.0 else -sqrt(root)
    shift[0] = wrap180(RAD2DEG * (atan2(k2n, k[0]) - atan2(k[1], a)))
    return True
