"""The predictor: when a reflection of a grain is recorded, and where the detector sees it.

Simulation, matching, refinement and the door for Python call the same functions: `fires` (whether G ever meets the
diffraction condition, and how far from the beam its spots are) for the ideal spots of an upright axis,
`fires_recorded` for those that the leaning axis records, `spot_of_branch` (one branch, for a grain at the origin),
`both_omegas` (its omega on either side) and `displace` (the grain at its place), or `record_branch` for these three.
`centre` and `straighten` undo the last two for an observed spot and give its scattering vector.

The ideal plane is the detector without tilt and distortion; laboratory frame, µm, 1/Å without 2π. The formulas:
docs/theory/geometry.md#predicted-spot and docs/theory/wedge.md#prediction-of-the-recorded-spot.
"""
from libc.math cimport sqrt

from midas._ext.physics.diffraction cimport omega_of
from midas._ext.physics.geometry cimport go_on_to_plane, rotate_z, shift_spot, stop_on_surface, unshift_spot
from midas._ext.physics.wedge cimport (
    Instrument, Turned, leaned_position, straighten_spot, straightening, to_ideal_omega, to_recorded_omega)


cdef struct Firing:
    # A reflection that fires: what its two branches share
    double x               # scattering vector G in the sample frame
    double y
    double z
    double v               # |G| sin θ = wavelength |G|²/2: how far G must point upstream
    double v_axis          # the same at a right angle to the axis; v when that is upright
    double h               # x² + y²
    double e               # laboratory y of the turned G on branch +1
    double k3              # laboratory z of the turned G; z when the axis is upright
    double d_spacing       # 1/|G|, Å
    double sin_theta
    double scale           # `plane_scale`


cdef struct OriginSpot:
    # Of a grain at the origin
    double cos_omega
    double sin_omega
    double y               # µm
    double z


cdef struct BothOmegas:
    double cos_recorded
    double sin_recorded
    double cos_ideal
    double sin_ideal


cdef inline double plane_scale(double lsd, double sin_theta, double d_spacing) noexcept nogil:
    """µm on the plane per 1/Å of G across the beam: L tan(2θ) / (|G| cos θ) = 2 L sin θ / (|G| cos 2θ)."""
    return 2.0 * lsd * sin_theta * d_spacing / (1.0 - 2.0 * sin_theta * sin_theta)


cdef inline void plane_scale_and_slope(double lsd, double wavelength, double g, double* scale,
                                       double* slope) noexcept nogil:
    """`plane_scale` of |G| = `g`, but for its last bit, and its derivative by |G| over |G|.

    Two forms of one number: the last bits of both are in FitBest.bin, so neither can stand for the other.

    With R = L tan 2θ and ρ = |G| cos θ: dR/d|G| = L λ / (cos θ cos² 2θ), dρ/d|G| = cos θ - |G| sin θ λ / (2 cos θ).
    """
    cdef double sin_theta = 0.5 * wavelength * g
    cdef double cos_theta = sqrt(1.0 - sin_theta * sin_theta)
    cdef double cos_two_theta = 1.0 - 2.0 * sin_theta * sin_theta
    cdef double rho = g * cos_theta
    scale[0] = lsd * 2.0 * sin_theta * cos_theta / cos_two_theta / rho
    slope[0] = (lsd * wavelength / (cos_theta * cos_two_theta * cos_two_theta)
                - scale[0] * (cos_theta - g * sin_theta * wavelength / (2.0 * cos_theta))) / (rho * g)


cdef inline bint _fires(const Instrument* instrument, double cos_axis, double sin_axis, double x, double y, double z,
                        Firing* f) noexcept nogil:
    cdef double g2 = x * x + y * y + z * z
    cdef double root
    f.v = 0.5 * instrument.wavelength * g2
    f.v_axis = (f.v - z * sin_axis) / cos_axis
    f.h = x * x + y * y
    root = f.h - f.v_axis * f.v_axis
    if root < 0.0 or f.h == 0.0:
        return False
    f.x = x
    f.y = y
    f.z = z
    f.e = sqrt(root)
    f.k3 = z * cos_axis - f.v_axis * sin_axis
    f.d_spacing = 1.0 / sqrt(g2)
    f.sin_theta = f.v * f.d_spacing
    f.scale = plane_scale(instrument.lsd, f.sin_theta, f.d_spacing)
    return f.scale > 0.0


cdef inline bint fires(const Instrument* instrument, double x, double y, double z, Firing* f) noexcept nogil:
    """Whether G fires at some omega of an upright axis, and forwards (2θ < 90°); then `f` is filled."""
    return _fires(instrument, 1.0, 0.0, x, y, z, f)


cdef inline bint fires_recorded(const Instrument* instrument, double x, double y, double z, Firing* f) noexcept nogil:
    """Whether G fires as the instrument turns it: upright in the legacy model, which moves omega afterwards."""
    if instrument.exact:
        return _fires(instrument, instrument.cos_wedge, instrument.sin_wedge, x, y, z, f)
    return _fires(instrument, 1.0, 0.0, x, y, z, f)


cdef inline double first_branch(double y) noexcept nogil:
    """The branch (+1 or -1, the sign of the spot's y) with the larger cos(omega): the one that lists name first."""
    return 1.0 if y >= 0.0 else -1.0


cdef inline void spot_of_branch(const Firing* f, double branch, OriginSpot* spot) noexcept nogil:
    """Rotation angle and spot of one branch, +1 or -1."""
    cdef double e = branch * f.e
    omega_of(f.x, f.y, f.v_axis, f.h, e, &spot.cos_omega, &spot.sin_omega)
    spot.y = f.scale * e
    spot.z = f.scale * f.k3


cdef inline void lean_omega(const Instrument* instrument, const double* k, double* cos_omega,
                            double* sin_omega) noexcept nogil:
    """Ideal to recorded omega of the legacy model, in place, of a reflection with the laboratory vector `k`."""
    cdef Turned t
    if instrument.sin_wedge != 0.0:
        straightening(instrument, k, &t)
        to_recorded_omega(&t, cos_omega, sin_omega)


cdef inline void straighten_omega(const Instrument* instrument, const double* k, double* cos_omega,
                                  double* sin_omega) noexcept nogil:
    """Recorded to ideal omega of either model, in place; where there is no ideal spot, omega stays."""
    cdef Turned t
    if instrument.sin_wedge != 0.0:
        straightening(instrument, k, &t)
        to_ideal_omega(&t, cos_omega, sin_omega)


cdef inline void both_omegas(const Instrument* instrument, const double* k, const OriginSpot* spot,
                             BothOmegas* omegas) noexcept nogil:
    """Both omegas of a spot of `fires_recorded` with the laboratory scattering vector `k` of any length."""
    omegas.cos_recorded = omegas.cos_ideal = spot.cos_omega
    omegas.sin_recorded = omegas.sin_ideal = spot.sin_omega
    if instrument.exact:
        straighten_omega(instrument, k, &omegas.cos_ideal, &omegas.sin_ideal)
    else:
        lean_omega(instrument, k, &omegas.cos_recorded, &omegas.sin_recorded)


cdef inline bint straighten(const Instrument* instrument, const double* k, double* y, double* z, double* cos_omega,
                            double* sin_omega, double* g) noexcept nogil:
    """A recorded spot of a grain at the origin, in place, to the ideal one, and its vector in the sample frame.

    `k` is the laboratory scattering vector of the spot; `g` has its length. False when there is no ideal spot: the spot
    is then left as it is, and `g` is right nevertheless.
    """
    if not instrument.exact:
        straighten_omega(instrument, k, cos_omega, sin_omega)
        rotate_z(cos_omega[0], -sin_omega[0], k, g)
        return True
    g[0] = k[0] * instrument.cos_wedge + k[2] * instrument.sin_wedge
    g[1] = k[1]
    g[2] = k[2] * instrument.cos_wedge - k[0] * instrument.sin_wedge
    rotate_z(cos_omega[0], -sin_omega[0], g, g)
    return straighten_spot(instrument, y, z, cos_omega, sin_omega)


cdef inline double displace(const Instrument* instrument, double cos_omega, double sin_omega, const double* position,
                            double* y, double* z) noexcept nogil:
    """A spot of a grain at the origin, in place, to that of a grain at `position` (sample frame, µm).

    The position turns with the recorded omega and leans with the axis. Returns 1 - X/Lsd, by which the pattern shrinks
    on the plane.
    """
    cdef double leaned[3]
    cdef double shrink
    leaned_position(instrument, cos_omega, sin_omega, position, leaned)
    shrink = shift_spot(instrument.lsd, leaned, y, z)
    if instrument.tilted:
        stop_on_surface(instrument.lsd, instrument.slope_y, instrument.slope_z, leaned, y, z)
    return shrink


cdef inline void record_branch(const Instrument* instrument, const Firing* f, double branch, const double* position,
                               OriginSpot* spot, BothOmegas* omegas) noexcept nogil:
    """Spot and omegas of one branch of `fires_recorded`, +1 or -1, for a grain at `position` (sample frame, µm)."""
    cdef double[3] k
    spot_of_branch(f, branch, spot)
    k[0] = -f.v
    k[1] = branch * f.e
    k[2] = f.k3
    both_omegas(instrument, k, spot, omegas)
    displace(instrument, omegas.cos_recorded, omegas.sin_recorded, position, &spot.y, &spot.z)


cdef inline void centre(const Instrument* instrument, double cos_omega, double sin_omega, const double* position,
                        double* y, double* z) noexcept nogil:
    """Inverse of `displace`: an observed spot as if the grain were at the origin."""
    cdef double leaned[3]
    leaned_position(instrument, cos_omega, sin_omega, position, leaned)
    if instrument.tilted:
        go_on_to_plane(instrument.lsd, instrument.slope_y, instrument.slope_z, leaned, y, z)
    unshift_spot(instrument.lsd, leaned, y, z)
