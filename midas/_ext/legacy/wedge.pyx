"""The wedge correction of a spot and its shift to the rotation axis in the legacy arithmetic (04 §4.3, 06 §4.4).

Products and sums run in the order of the legacy programs: the last bits of omega decide which spots at the limit of a
range are accepted, and which way the simplex of the staged refinement goes. The exact forms are in
`midas._ext.physics`; the setup compares with them, because the quadratic here loses the right solution at times.
"""
from libc.math cimport NAN, asin, atan2, copysign, cos, fabs, fmod, sin, sqrt, tan

from midas._ext.physics.diffraction cimport wedge_omega_shift
from midas._ext.physics.geometry cimport DEG2RAD, RAD2DEG, eta_of, two_theta_of
from midas._ext.physics.wedge cimport leaned_position, wrap_omega

#: two omegas closer than this (degrees) are the same solution of the wedge equation
cdef double SAME_OMEGA = 1e-6


cdef struct SpotVector:
    double k[3]            # scattering vector in the laboratory, 1/Å
    double eta             # degrees
    double ds              # its length by Bragg's law


cdef inline SpotVector _spot_vector(const Instrument* instrument, double y, double z) noexcept nogil:
    """Scattering vector of a spot at (y, z) on the ideal plane, each product from left to right."""
    cdef SpotVector r
    cdef double theta = two_theta_of(sqrt(y * y + z * z), instrument.lsd) / 2.0
    cdef double sin_theta = sin(DEG2RAD * theta), cos_theta = cos(DEG2RAD * theta)
    r.eta = eta_of(y, z)
    r.ds = 2.0 * sin_theta / instrument.wavelength
    r.k[0] = -r.ds * sin_theta
    r.k[1] = -r.ds * cos_theta * sin(DEG2RAD * r.eta)
    r.k[2] = r.ds * cos_theta * cos(DEG2RAD * r.eta)
    return r


cdef enum OutOfRange:
    # What becomes of a root of a sine or cosine beyond ±1
    CLAMP_ONE              # the first such root of the pair is clamped (04 §4.3)
    ZERO_ALL               # it is replaced by 0, so that the wrong omega can win (06 §8 D4)


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
    """Solution of g1 cos - g2 sin = a next to `omega`, degrees, in the legacy arithmetic (chapter 04 §4.3).

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


cdef inline double _quadratic_omega_ideal(const Instrument* instrument, const SpotVector* r, double omega_recorded,
                                          int rule, double* g_length) noexcept nogil:
    """Omega (degrees) at which the reflection would fire with no wedge, by the quadratic: sometimes the wrong one."""
    cdef double a = r.k[0] * instrument.cos_wedge + r.k[2] * instrument.sin_wedge
    cdef double b = r.k[1]
    cdef double c = r.k[2] * instrument.cos_wedge - r.k[0] * instrument.sin_wedge
    cdef double cos_omega = cos(DEG2RAD * omega_recorded), sin_omega = sin(DEG2RAD * omega_recorded)
    cdef double g1 = a * cos_omega + b * sin_omega
    cdef double g2 = b * cos_omega - a * sin_omega
    cdef double length = sqrt(g1 * g1 + g2 * g2 + c * c)
    g1 = g1 * r.ds / length
    g2 = g2 * r.ds / length
    c = c * r.ds / length
    length = sqrt(g1 * g1 + g2 * g2 + c * c)
    g_length[0] = length
    return _quadratic_omega(g1, g2, -(length * length * instrument.wavelength) / 2.0, omega_recorded, rule)


cdef inline bint _is_same_omega(double a, double b) noexcept nogil:
    return fabs(fmod(fabs(a - b) + 180.0, 360.0) - 180.0) < SAME_OMEGA


cdef inline double _omega_ideal(const Instrument* instrument, const SpotVector* r, double omega_recorded,
                                double* g_length) noexcept nogil:
    """Omega (degrees) at which the reflection would fire with no wedge; NaN if it never would."""
    cdef double shift
    cdef double legacy = _quadratic_omega_ideal(instrument, r, omega_recorded, CLAMP_ONE, g_length)
    if not wedge_omega_shift(r.k, instrument.cos_wedge, instrument.sin_wedge, &shift):
        return NAN
    return legacy if _is_same_omega(legacy, omega_recorded + shift) else wrap_omega(omega_recorded + shift)


cdef inline void _unshift_by_ray(double lsd, const double* grain, double* y, double* z) noexcept nogil:
    """`unshift_spot` of the geometry along the unit vector of the ray."""
    cdef double u = lsd - grain[0], v = y[0] - grain[1], w = z[0] - grain[2]
    cdef double length = sqrt(u * u + v * v + w * w)
    cdef double along
    u /= length
    v /= length
    w /= length
    along = grain[0] / u
    y[0] = y[0] - (grain[1] - along * v)
    z[0] = z[0] - (grain[2] - along * w)


cdef void centre_by_ray(const Instrument* instrument, double cos_omega, double sin_omega, const double* position,
                        double* y, double* z) noexcept nogil:
    """Where a spot, in place, would be if its grain were at the origin, rounded as the legacy refinement rounds it."""
    cdef double leaned[3]
    leaned_position(instrument, cos_omega, sin_omega, position, leaned)
    _unshift_by_ray(instrument.lsd, leaned, y, z)


cdef bint loses_spot(const Instrument* instrument, double y, double z, double omega_recorded) noexcept nogil:
    """Whether the legacy refinement takes the other solution: at omegas of exactly 0, ±90 and ±180 (06 §8 D4).

    `y`, `z` is the spot of a grain at the origin, µm.
    """
    cdef double g_length, shift, legacy
    cdef SpotVector vector = _spot_vector(instrument, y, z)
    wedge_omega_shift(vector.k, instrument.cos_wedge, instrument.sin_wedge, &shift)
    legacy = _quadratic_omega_ideal(instrument, &vector, omega_recorded, ZERO_ALL, &g_length)
    return not _is_same_omega(legacy, omega_recorded + shift)


cdef WedgeFree without_wedge(const Instrument* instrument, double y_plane, double z_plane,
                             double omega_recorded) noexcept nogil:
    """A spot of the plane as it would be without wedge; but for rounding, omega alone changes."""
    cdef WedgeFree spot
    cdef double g_length, radius
    cdef SpotVector vector = _spot_vector(instrument, y_plane, z_plane)
    spot.omega_ideal = _omega_ideal(instrument, &vector, omega_recorded, &g_length)
    radius = instrument.lsd * tan(DEG2RAD * (2.0 * RAD2DEG * asin(instrument.wavelength * g_length / 2.0)))
    spot.eta = eta_of(vector.k[1], vector.k[2])
    spot.y_ideal = -radius * sin(DEG2RAD * spot.eta)
    spot.z_ideal = radius * cos(DEG2RAD * spot.eta)
    spot.two_theta = two_theta_of(radius, instrument.lsd)
    return spot
