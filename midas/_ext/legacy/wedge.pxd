"""The wedge correction of a recorded spot in the legacy arithmetic (docs/theory/wedge.md#quadratic-form).

Products and sums run in the order of that page: the last bits of omega decide which spots at the limit of a range
are accepted, and which way the simplex of the staged refinement goes.
"""
from libc.math cimport NAN, copysign, fabs, fmod, sqrt

from midas._ext.numerics.elementary cimport atan2, cos, sin
from midas._ext.physics.geometry cimport DEG2RAD, RAD2DEG, eta_of, ring_radius_of, two_theta_of, wrap180, wrap_omega
from midas._ext.physics.lattice cimport theta_of
from midas._ext.physics.wedge cimport Instrument, UprightSpot, upright_spot

cdef extern from *:
    """
    /* Two omegas closer than this (degrees) are the same solution of the wedge equation. */
    #define MIDAS_SAME_OMEGA 1e-6
    """
    const double SAME_OMEGA "MIDAS_SAME_OMEGA"


cdef inline bint wedge_omega_shift(const double* k, double cos_wedge, double sin_wedge, double* shift) noexcept nogil:
    """Degrees to add to an omega recorded with the wedge to get the omega without it, in closed form.

    See docs/theory/wedge.md#change-of-omega.

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


cdef struct Reflection:
    double k[3]            # scattering vector in the laboratory, 1/Å
    double eta_plane       # degrees
    double ds              # its length by Bragg's law


cdef inline Reflection reflection_of(const Instrument* instrument, double y_plane, double z_plane) noexcept nogil:
    """Scattering vector of a spot of a grain at the origin, each product from left to right."""
    cdef Reflection r
    cdef double theta = two_theta_of(sqrt(y_plane * y_plane + z_plane * z_plane), instrument.lsd) / 2.0
    cdef double sin_theta = sin(DEG2RAD * theta), cos_theta = cos(DEG2RAD * theta)
    r.eta_plane = eta_of(y_plane, z_plane)
    r.ds = 2.0 * sin_theta / instrument.wavelength
    r.k[0] = -r.ds * sin_theta
    r.k[1] = -r.ds * cos_theta * sin(DEG2RAD * r.eta_plane)
    r.k[2] = r.ds * cos_theta * cos(DEG2RAD * r.eta_plane)
    return r


cdef enum OutOfRange:
    # What becomes of a root of a sine or cosine beyond ±1
    CLAMP_ONE              # the first such root of the pair is clamped
    ZERO_ALL               # it is replaced by 0, so that the wrong omega can win: the legacy refinement


cdef inline void _quadratic_pair(double b, double c, double a, int rule, double* first, double* second) noexcept nogil:
    """Roots of a s² + b s + c for a sine or cosine, zeros without real ones."""
    cdef double root = b * b - 4.0 * a * c
    if root < 0.0:
        first[0] = second[0] = 0.0
        return
    root = sqrt(root)
    first[0] = (-b - root) / (2.0 * a)
    second[0] = (-b + root) / (2.0 * a)
    if rule == ZERO_ALL:
        first[0] = first[0] if fabs(first[0]) <= 1.0 else 0.0
        second[0] = second[0] if fabs(second[0]) <= 1.0 else 0.0
    elif fabs(first[0]) > 1.0:
        first[0] = copysign(1.0, first[0])
    elif fabs(second[0]) > 1.0:
        second[0] = copysign(1.0, second[0])


cdef inline double _distance_to_candidate(double* candidate, double omega) noexcept nogil:
    cdef double distance = fabs(candidate[0] - omega)
    if fabs(distance - 360.0) < 0.1:
        candidate[0] = -candidate[0]
        return 0.0
    return distance


cdef inline double _quadratic_omega(double g1, double g2, double a, double omega, int rule) noexcept nogil:
    """Solution of g1 cos - g2 sin = a next to `omega`, degrees, in the legacy arithmetic.

    Its rounding noise decides which spots at the limit of an omega range are accepted; it loses the right solution
    across ±180, so the caller compares it with the closed form.
    """
    cdef double norm = g1 * g1 + g2 * g2
    cdef double s1, s2, c1, c2, first, second, to_first, to_second
    _quadratic_pair(2.0 * a * g2, a * a - g1 * g1, norm, rule, &s1, &s2)
    _quadratic_pair(-2.0 * a * g1, a * a - g2 * g2, norm, rule, &c1, &c2)
    if fabs(s1 * s1 + c1 * c1 - 1.0) < fabs(s1 * s1 + c2 * c2 - 1.0):
        first = RAD2DEG * atan2(s1, c1)
        second = RAD2DEG * atan2(s2, c2)
    else:
        first = RAD2DEG * atan2(s1, c2)
        second = RAD2DEG * atan2(s2, c1)
    to_first = _distance_to_candidate(&first, omega)
    to_second = _distance_to_candidate(&second, omega)
    return first if to_first < to_second else second


cdef inline double legacy_omega_without_wedge(const Instrument* instrument, const Reflection* r, double omega, int rule,
                                              double* g_length) noexcept nogil:
    """Omega (degrees) at which the reflection would fire with no wedge, by the quadratic: sometimes the wrong one."""
    cdef double a = r.k[0] * instrument.cos_wedge + r.k[2] * instrument.sin_wedge
    cdef double b = r.k[1]
    cdef double c = r.k[2] * instrument.cos_wedge - r.k[0] * instrument.sin_wedge
    cdef double cos_omega = cos(DEG2RAD * omega), sin_omega = sin(DEG2RAD * omega)
    cdef double g1 = a * cos_omega + b * sin_omega
    cdef double g2 = b * cos_omega - a * sin_omega
    cdef double length = sqrt(g1 * g1 + g2 * g2 + c * c)
    g1 = g1 * r.ds / length
    g2 = g2 * r.ds / length
    c = c * r.ds / length
    length = sqrt(g1 * g1 + g2 * g2 + c * c)
    g_length[0] = length
    return _quadratic_omega(g1, g2, -(length * length * instrument.wavelength) / 2.0, omega, rule)


cdef inline bint _is_same_omega(double a, double b) noexcept nogil:
    return fabs(fmod(fabs(a - b) + 180.0, 360.0) - 180.0) < SAME_OMEGA


cdef inline double omega_without_wedge(const Instrument* instrument, const Reflection* r, double omega,
                                       double* g_length) noexcept nogil:
    """Omega (degrees) at which the reflection would fire with no wedge; NaN if it never would."""
    cdef double shift
    cdef double legacy = legacy_omega_without_wedge(instrument, r, omega, CLAMP_ONE, g_length)
    if not wedge_omega_shift(r.k, instrument.cos_wedge, instrument.sin_wedge, &shift):
        return NAN
    return legacy if _is_same_omega(legacy, omega + shift) else wrap_omega(omega + shift)


cdef inline bint legacy_loses_spot(const Instrument* instrument, double y, double z, double omega) noexcept nogil:
    """Whether the legacy refinement takes the other solution: at omegas of exactly 0, ±90 and ±180.

    See docs/theory/wedge.md#lost-spots-of-the-legacy-refinement.
    """
    cdef double g_length, shift, legacy
    cdef Reflection reflection = reflection_of(instrument, y, z)
    wedge_omega_shift(reflection.k, instrument.cos_wedge, instrument.sin_wedge, &shift)
    legacy = legacy_omega_without_wedge(instrument, &reflection, omega, ZERO_ALL, &g_length)
    return not _is_same_omega(legacy, omega + shift)


cdef inline UprightSpot without_wedge(const Instrument* instrument, double y_plane, double z_plane,
                                      double omega_recorded) noexcept nogil:
    """A spot as it would be without wedge: by the exact model, or such that but for rounding omega alone changes."""
    cdef UprightSpot spot
    cdef double g_length, radius
    cdef Reflection reflection
    if instrument.exact:
        return upright_spot(instrument, y_plane, z_plane, omega_recorded)
    reflection = reflection_of(instrument, y_plane, z_plane)
    spot.omega_ideal = omega_without_wedge(instrument, &reflection, omega_recorded, &g_length)
    radius = ring_radius_of(2.0 * theta_of(instrument.wavelength * g_length / 2.0), instrument.lsd)
    spot.eta = eta_of(reflection.k[1], reflection.k[2])
    spot.y_ideal = -radius * sin(DEG2RAD * spot.eta)
    spot.z_ideal = radius * cos(DEG2RAD * spot.eta)
    spot.two_theta = two_theta_of(radius, instrument.lsd)
    return spot
