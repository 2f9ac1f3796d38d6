"""The predictor: when a reflection of a grain is recorded, and where the detector sees it.

Simulation, matching, refinement and the door for Python call the same functions: `fires` (whether G ever meets the
diffraction condition, and how far from the beam its spots are), `ideal_spot` (one branch, for a grain at the origin and
an upright axis), `lean_omega` (the omega at which the leaning axis records it) and `displace` (the grain at its place).
`straighten_omega` and `centre` undo the last two for an observed spot, `scattering_of_spot` gives its vector.

The ideal plane is the detector without tilt and distortion; laboratory frame, µm, 1/Å without 2π. The formulas:
docs/theory/geometry.md#predicted-spot and docs/theory/wedge.md#recorded-omega-of-a-predicted-spot.
"""
from libc.math cimport sqrt

from midas._ext.physics.diffraction cimport omega_of, wedge_rotation
from midas._ext.physics.geometry cimport rotate_z, shift_spot, unshift_spot
from midas._ext.physics.wedge cimport Instrument, leaned_position


cdef struct Firing:
    # A reflection that fires: what its two branches share
    double x               # scattering vector G in the sample frame
    double y
    double z
    double v               # |G| sin θ = wavelength |G|²/2: how far G must point upstream
    double h               # x² + y²
    double e               # laboratory y of the turned G on branch +1
    double d_spacing       # 1/|G|, Å
    double sin_theta
    double scale           # `plane_scale`


cdef struct IdealSpot:
    # Of a grain at the origin, upright axis
    double cos_omega
    double sin_omega
    double y               # µm
    double z


cdef inline double plane_scale(double lsd, double sin_theta, double d_spacing) noexcept nogil:
    """µm on the plane per 1/Å of G across the beam: L tan(2θ) / (|G| cos θ) = 2 L sin θ / (|G| cos 2θ)."""
    return 2.0 * lsd * sin_theta * d_spacing / (1.0 - 2.0 * sin_theta * sin_theta)


cdef inline void plane_scale_and_slope(double lsd, double wavelength, double g, double* scale,
                                       double* slope) noexcept nogil:
    """`plane_scale` of |G| = `g`, but for its last bit, and its derivative by |G| over |G|.

    With R = L tan 2θ and ρ = |G| cos θ: dR/d|G| = L λ / (cos θ cos² 2θ), dρ/d|G| = cos θ - |G| sin θ λ / (2 cos θ).
    """
    cdef double sin_theta = 0.5 * wavelength * g
    cdef double cos_theta = sqrt(1.0 - sin_theta * sin_theta)
    cdef double cos_two_theta = 1.0 - 2.0 * sin_theta * sin_theta
    cdef double rho = g * cos_theta
    scale[0] = lsd * 2.0 * sin_theta * cos_theta / cos_two_theta / rho
    slope[0] = (lsd * wavelength / (cos_theta * cos_two_theta * cos_two_theta)
                - scale[0] * (cos_theta - g * sin_theta * wavelength / (2.0 * cos_theta))) / (rho * g)


cdef inline bint fires(const Instrument* instrument, double x, double y, double z, Firing* f) noexcept nogil:
    """Whether G fires at some omega, and forwards (2θ < 90°); then `f` is filled."""
    cdef double g2 = x * x + y * y + z * z
    cdef double root
    f.v = 0.5 * instrument.wavelength * g2
    f.h = x * x + y * y
    root = f.h - f.v * f.v
    if root < 0.0 or f.h == 0.0:
        return False
    f.x = x
    f.y = y
    f.z = z
    f.e = sqrt(root)
    f.d_spacing = 1.0 / sqrt(g2)
    f.sin_theta = f.v * f.d_spacing
    f.scale = plane_scale(instrument.lsd, f.sin_theta, f.d_spacing)
    return f.scale > 0.0


cdef inline double first_branch(double y) noexcept nogil:
    """The branch (+1 or -1, the sign of the spot's y) with the larger cos(omega): the one that lists name first."""
    return 1.0 if y >= 0.0 else -1.0


cdef inline void ideal_spot(const Firing* f, double branch, IdealSpot* spot) noexcept nogil:
    """Rotation angle and spot of one branch, +1 or -1."""
    cdef double e = branch * f.e
    omega_of(f.x, f.y, f.v, f.h, e, &spot.cos_omega, &spot.sin_omega)
    spot.y = f.scale * e
    spot.z = f.scale * f.z


cdef inline void lean_omega(const Instrument* instrument, const double* k, double* cos_omega,
                            double* sin_omega) noexcept nogil:
    """Ideal to recorded omega, in place, of a reflection with the laboratory scattering vector `k` of any length."""
    cdef double c = cos_omega[0], s = sin_omega[0], cos_shift, sin_shift
    if instrument.sin_wedge != 0.0:
        wedge_rotation(k, instrument.cos_wedge, instrument.sin_wedge, &cos_shift, &sin_shift)
        cos_omega[0] = c * cos_shift + s * sin_shift
        sin_omega[0] = s * cos_shift - c * sin_shift


cdef inline void straighten_omega(const Instrument* instrument, const double* k, double* cos_omega,
                                  double* sin_omega) noexcept nogil:
    """Inverse of `lean_omega`: recorded to ideal omega."""
    cdef double c = cos_omega[0], s = sin_omega[0], cos_shift, sin_shift
    if instrument.sin_wedge != 0.0:
        wedge_rotation(k, instrument.cos_wedge, instrument.sin_wedge, &cos_shift, &sin_shift)
        cos_omega[0] = c * cos_shift - s * sin_shift
        sin_omega[0] = s * cos_shift + c * sin_shift


cdef inline double displace(const Instrument* instrument, double cos_omega, double sin_omega, const double* position,
                            double* y, double* z) noexcept nogil:
    """A spot of a grain at the origin, in place, to that of a grain at `position` (sample frame, µm).

    The position turns with the recorded omega and leans with the axis. Returns 1 - X/Lsd, by which the pattern shrinks.
    """
    cdef double leaned[3]
    leaned_position(instrument, cos_omega, sin_omega, position, leaned)
    return shift_spot(instrument.lsd, leaned, y, z)


cdef inline void centre(const Instrument* instrument, double cos_omega, double sin_omega, const double* position,
                        double* y, double* z) noexcept nogil:
    """Inverse of `displace`: an observed spot as if the grain were at the origin."""
    cdef double leaned[3]
    leaned_position(instrument, cos_omega, sin_omega, position, leaned)
    unshift_spot(instrument.lsd, leaned, y, z)


cdef inline void scattering_of_spot(double lsd, double y, double z, double* k) noexcept nogil:
    """Laboratory scattering vector, of length 2 sin θ, of a spot of a grain at the origin.

    The direction of the diffracted ray minus the beam's, without the cancellation in L/|ray| - 1.
    """
    cdef double r2 = y * y + z * z
    cdef double ray = sqrt(lsd * lsd + r2)
    k[0] = -r2 / (ray * (ray + lsd))
    k[1] = y / ray
    k[2] = z / ray
