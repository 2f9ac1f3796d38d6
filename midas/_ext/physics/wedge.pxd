"""The instrument, and how its rotation axis leans: recorded and ideal spots (docs/theory/wedge.md).

The ideal spot is what the same reflection of a grain at the origin would give with an upright axis. Two models:

- exact, the rotation about the leaning axis: both spots have the same two_theta; eta, y, z and omega differ
- the legacy one: omega alone differs, by the same amount

`straightening` and `leaning` are the formula, once; everything that goes from one side to the other calls them.
"""
from libc.math cimport NAN, sqrt

from midas._ext.numerics.elementary cimport atan2, cos, sin
from midas._ext.physics.geometry cimport (
    DEG2RAD, RAD2DEG, eta_of, rotate_z, scattering_of_spot, tilt_matrix, two_theta_of, wrap_omega)


cdef struct Instrument:
    double lsd             # µm
    double wavelength      # Å
    double cos_wedge
    double sin_wedge
    bint exact             # there is a wedge, and spots turn with the axis
    bint tilted            # the surface of the detector is not the plane x = lsd
    double slope_y         # but x = lsd - slope_y y - slope_z z
    double slope_z


cdef struct Turned:
    # The scattering vector of the other side, of the same length; its component along the beam is the same
    double k2
    double k3
    double cos_shift       # of omega_ideal - omega_recorded
    double sin_shift


cdef struct UprightSpot:
    double y_ideal         # µm
    double z_ideal
    double omega_ideal     # degrees, NaN where no rotation without wedge gives the reflection
    double eta
    double two_theta


cdef inline Instrument instrument_of(double lsd, double wavelength, double wedge, bint exact, double tx, double ty,
                                     double tz) noexcept nogil:
    """Lsd (µm), wavelength (Å), wedge (degrees), and which model of it counts.

    Beams from beside the origin know of the detector's tilts (degrees), each of less than 90 degrees.
    """
    cdef Instrument instrument
    cdef double t[9]
    instrument.lsd = lsd
    instrument.wavelength = wavelength
    instrument.cos_wedge = cos(DEG2RAD * wedge)
    instrument.sin_wedge = sin(DEG2RAD * wedge)
    instrument.exact = exact and wedge != 0.0
    tilt_matrix(tx, ty, tz, t)
    instrument.slope_y = t[3] / t[0]
    instrument.slope_z = t[6] / t[0]
    instrument.tilted = instrument.slope_y != 0.0 or instrument.slope_z != 0.0
    return instrument


cdef inline void leaned_position(const Instrument* instrument, double cos_omega, double sin_omega,
                                 const double* position, double* leaned) noexcept nogil:
    """A grain's position in the laboratory: turned by omega, leaned by the wedge.

    See docs/theory/wedge.md#lean-of-a-position.
    """
    cdef double lab[3]
    rotate_z(cos_omega, sin_omega, position, lab)
    leaned[0] = lab[0] * instrument.cos_wedge - lab[2] * instrument.sin_wedge
    leaned[1] = lab[1]
    leaned[2] = lab[0] * instrument.sin_wedge + lab[2] * instrument.cos_wedge


cdef inline double _with_sign(double square, double sign) noexcept nogil:
    return sqrt(square) if sign >= 0.0 else -sqrt(square)


cdef inline void _shift(double k1, double a, double k2_ideal, double k2_recorded, double h, Turned* t) noexcept nogil:
    """The rotation about the axis that takes (a, k2 recorded) to (k1, k2 ideal), both of the squared length `h`."""
    t.cos_shift = (k1 * a + k2_ideal * k2_recorded) / h
    t.sin_shift = (k2_ideal * a - k1 * k2_recorded) / h


cdef inline bint straightening(const Instrument* instrument, const double* k, Turned* t) noexcept nogil:
    """Recorded to ideal, of a laboratory scattering vector `k` of any length.

    False, and no shift, when no rotation about an upright axis brings the vector to the Bragg condition (a spot beside
    a pole). See docs/theory/wedge.md#from-the-recorded-to-the-ideal-spot.
    """
    cdef double a = k[0] * instrument.cos_wedge + k[2] * instrument.sin_wedge
    cdef double h = a * a + k[1] * k[1]
    cdef double root = h - k[0] * k[0]
    t.cos_shift = 1.0
    t.sin_shift = 0.0
    if root < 0.0 or h == 0.0:
        return False
    t.k2 = _with_sign(root, k[1])
    t.k3 = k[2] * instrument.cos_wedge - k[0] * instrument.sin_wedge
    _shift(k[0], a, t.k2, k[1], h, t)
    return True


cdef inline bint leaning(const Instrument* instrument, const double* k, Turned* t) noexcept nogil:
    """Ideal to recorded, the inverse of `straightening`; False when the reflection never fires on the leaning axis.

    See docs/theory/wedge.md#from-the-ideal-to-the-recorded-spot.
    """
    cdef double a = (k[0] + k[2] * instrument.sin_wedge) / instrument.cos_wedge
    cdef double h = k[0] * k[0] + k[1] * k[1]
    cdef double root = h - a * a
    if root < 0.0 or h == 0.0:
        return False
    t.k2 = _with_sign(root, k[1])
    t.k3 = k[2] * instrument.cos_wedge + a * instrument.sin_wedge
    _shift(k[0], a, k[1], t.k2, h, t)
    return True


cdef inline void to_ideal_omega(const Turned* t, double* cos_omega, double* sin_omega) noexcept nogil:
    """Recorded to ideal omega, in place."""
    cdef double c = cos_omega[0], s = sin_omega[0]
    cos_omega[0] = c * t.cos_shift - s * t.sin_shift
    sin_omega[0] = s * t.cos_shift + c * t.sin_shift


cdef inline void to_recorded_omega(const Turned* t, double* cos_omega, double* sin_omega) noexcept nogil:
    """Ideal to recorded omega, in place."""
    cdef double c = cos_omega[0], s = sin_omega[0]
    cos_omega[0] = c * t.cos_shift + s * t.sin_shift
    sin_omega[0] = s * t.cos_shift - c * t.sin_shift


cdef inline void _move(const double* k, const Turned* t, double* y, double* z) noexcept nogil:
    """The spot of `k`, in place, to that of the turned vector: the distance from the beam is the same."""
    cdef double scale = sqrt((y[0] * y[0] + z[0] * z[0]) / (k[1] * k[1] + k[2] * k[2]))
    y[0] = scale * t.k2
    z[0] = scale * t.k3


cdef inline bint straighten_spot(const Instrument* instrument, double* y, double* z, double* cos_omega,
                                 double* sin_omega) noexcept nogil:
    """A recorded spot of a grain at the origin (µm on the plane), in place, to the ideal one of the exact model.

    False, and nothing changed, when there is none.
    """
    cdef double k[3]
    cdef Turned t
    scattering_of_spot(instrument.lsd, y[0], z[0], k)
    if not straightening(instrument, k, &t):
        return False
    _move(k, &t, y, z)
    to_ideal_omega(&t, cos_omega, sin_omega)
    return True


cdef inline bint lean_spot(const Instrument* instrument, double* y, double* z, double* cos_omega,
                           double* sin_omega) noexcept nogil:
    """Inverse of `straighten_spot`: an ideal spot to the one that the leaning axis records."""
    cdef double k[3]
    cdef Turned t
    scattering_of_spot(instrument.lsd, y[0], z[0], k)
    if not leaning(instrument, k, &t):
        return False
    _move(k, &t, y, z)
    to_recorded_omega(&t, cos_omega, sin_omega)
    return True


cdef inline UprightSpot upright_spot(const Instrument* instrument, double y_plane, double z_plane,
                                     double omega_recorded) noexcept nogil:
    """`straighten_spot` for tables: angles in degrees."""
    cdef UprightSpot spot
    cdef double k[3]
    cdef Turned t
    scattering_of_spot(instrument.lsd, y_plane, z_plane, k)
    spot.y_ideal = y_plane
    spot.z_ideal = z_plane
    spot.omega_ideal = NAN
    if straightening(instrument, k, &t):
        _move(k, &t, &spot.y_ideal, &spot.z_ideal)
        spot.omega_ideal = wrap_omega(omega_recorded + RAD2DEG * atan2(t.sin_shift, t.cos_shift))
    spot.eta = eta_of(spot.y_ideal, spot.z_ideal)
    spot.two_theta = two_theta_of(sqrt(y_plane * y_plane + z_plane * z_plane), instrument.lsd)
    return spot
