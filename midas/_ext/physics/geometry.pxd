"""Directions, detector geometry and the shift of a spot by the grain's position (docs/theory/geometry.md).

Laboratory frame: x along the beam, z up, y to the left looking downstream; µm and degrees. Every formula of the suite's
geometry stands here once; the kernels cimport it.
"""
from libc.math cimport fabs, floor, fmod, sqrt

from midas._ext.numerics.elementary cimport acos, atan, cos, sin, sincos, tan

cdef extern from *:
    """
    /* Fifteen digits, not pi/180: they decide the last printed digits of the legacy tables. */
    #define MIDAS_DEG2RAD 0.0174532925199433
    #define MIDAS_RAD2DEG 57.2957795130823
    """
    const double DEG2RAD "MIDAS_DEG2RAD"
    const double RAD2DEG "MIDAS_RAD2DEG"


cdef struct Detector:
    double lsd             # sample to detector, µm
    double y_bc            # beam centre, px
    double z_bc
    double px              # pixel size, µm
    double rho_d           # normalisation radius of the distortion, µm
    double p0              # two-fold, four-fold and isotropic distortion
    double p1
    double p2
    double p3              # phase of the four-fold term, degrees
    double tilt[9]         # Rx(tx) Ry(ty) Rz(tz), row-major


cdef struct PlanePoint:
    double y_plane         # on the untilted, undistorted plane, µm
    double z_plane
    double radius          # distance from the beam centre, µm
    double eta_plane       # degrees


cdef inline double eta_of(double y, double z) noexcept nogil:
    """Azimuth in (-180, 180]: 0 at +z, +90 at -y. NaN at the beam centre."""
    cdef double eta = RAD2DEG * acos(z / sqrt(y * y + z * z))
    return -eta if y > 0 else eta


cdef inline double wrap180(double angle) noexcept nogil:
    """`angle` (degrees, |angle| < 900) reduced to [-180, 180)."""
    while angle >= 180.0:
        angle -= 360.0
    while angle < -180.0:
        angle += 360.0
    return angle


cdef inline double wrap_eta(double angle) noexcept nogil:
    """`angle` (degrees, of any size) reduced to (-180, 180], as eta and the angles of the refinement's records are."""
    if -180.0 < angle <= 180.0:
        return angle
    angle = fmod(angle, 360.0)
    if angle > 180.0:
        return angle - 360.0
    return angle + 360.0 if angle <= -180.0 else angle


cdef inline double wrap_omega(double omega) noexcept nogil:
    """Whole turns back or forth into [-180, 180]; both ends stay, the tables may hold either."""
    if omega < -180.0:
        omega += 360.0
    elif omega > 180.0:
        omega -= 360.0
    return omega if fabs(omega) <= 180.0 else omega - 360.0 * floor((omega + 180.0) / 360.0)


cdef inline void tilt_matrix(double tx, double ty, double tz, double* t) noexcept nogil:
    """Rx(tx)·(Ry(ty)·Rz(tz)), row-major, angles in degrees."""
    cdef double cx = cos(DEG2RAD * tx), sx = sin(DEG2RAD * tx)
    cdef double cy = cos(DEG2RAD * ty), sy = sin(DEG2RAD * ty)
    cdef double cz = cos(DEG2RAD * tz), sz = sin(DEG2RAD * tz)
    cdef double m[9]
    cdef int j
    m[0] = cy * cz
    m[1] = -cy * sz
    m[2] = sy
    m[3] = sz
    m[4] = cz
    m[5] = 0.0
    m[6] = -sy * cz
    m[7] = sy * sz
    m[8] = cy
    for j in range(3):
        t[j] = m[j]
        t[3 + j] = cx * m[3 + j] - sx * m[6 + j]
        t[6 + j] = sx * m[3 + j] + cx * m[6 + j]


cdef inline Detector unpack_detector(const double[::1] packed) noexcept nogil:
    """The `Detector` of the 12 numbers that `midas.experiment.detector.DetectorGeometry.packed` lays out."""
    cdef Detector d
    d.lsd = packed[0]
    d.y_bc = packed[1]
    d.z_bc = packed[2]
    d.px = packed[3]
    d.rho_d = packed[4]
    d.p0 = packed[5]
    d.p1 = packed[6]
    d.p2 = packed[7]
    d.p3 = packed[8]
    tilt_matrix(packed[9], packed[10], packed[11], d.tilt)
    return d


cdef inline double distortion_factor(const Detector* d, double radius, double eta) noexcept nogil:
    """Factor on the radius: 1 + p0ρ²cos 2η_T + p1ρ⁴cos(4η_T + p3) + p2ρ², ρ = radius/RhoD, η_T = 90 - η."""
    cdef double rho = radius / d.rho_d
    cdef double rho2 = rho * rho
    cdef double eta_t = 90.0 - eta
    return (d.p0 * rho2 * cos(DEG2RAD * (2.0 * eta_t)) + d.p1 * (rho2 * rho2) * cos(DEG2RAD * (4.0 * eta_t + d.p3))
            + d.p2 * rho2 + 1.0)


cdef inline double projected_radius(const Detector* d, double y_px, double z_px, double* y, double* z) noexcept nogil:
    """Pixel to the untilted plane, still distorted: radius (µm), and (y, z) in its direction."""
    cdef double yc = -(y_px - d.y_bc) * d.px
    cdef double zc = (z_px - d.z_bc) * d.px
    cdef double vx = d.tilt[1] * yc + d.tilt[2] * zc
    y[0] = d.tilt[4] * yc + d.tilt[5] * zc
    z[0] = d.tilt[7] * yc + d.tilt[8] * zc
    return (d.lsd / (d.lsd + vx)) * sqrt(y[0] * y[0] + z[0] * z[0])


cdef inline PlanePoint detector_to_ideal(const Detector* d, double y_px, double z_px) noexcept nogil:
    """Pixel (after the image transformation) to the ideal plane: tilt, projection, distortion.

    See docs/theory/geometry.md#detector-transform.
    """
    cdef double vy = 0.0, vz = 0.0
    cdef double radius = projected_radius(d, y_px, z_px, &vy, &vz)
    cdef double sine, cosine
    cdef PlanePoint p
    p.eta_plane = eta_of(vy, vz)
    p.radius = radius * distortion_factor(d, radius, p.eta_plane)
    sincos(DEG2RAD * p.eta_plane, &sine, &cosine)
    p.y_plane = -p.radius * sine
    p.z_plane = p.radius * cosine
    return p


cdef inline void ideal_to_detector(const Detector* d, double y, double z, double* y_px, double* z_px) noexcept nogil:
    """Inverse of `detector_to_ideal`: a point of the ideal plane (µm) to the pixel that sees it.

    The distortion leaves the azimuth alone, so undoing it is Newton's method for the radius; undoing the projection on
    the tilted plane is a linear system.
    """
    cdef double corrected = sqrt(y * y + z * z)
    cdef double radius = corrected
    cdef double eta_t, rho2, two_fold, four_fold, step, scale, a, b, c, e, determinant
    if corrected > 0.0:
        eta_t = 90.0 - eta_of(y, z)
        two_fold = d.p0 * cos(DEG2RAD * (2.0 * eta_t)) + d.p2
        four_fold = d.p1 * cos(DEG2RAD * (4.0 * eta_t + d.p3))
        for _ in range(50):
            rho2 = (radius / d.rho_d) * (radius / d.rho_d)
            step = radius * (1.0 + rho2 * (two_fold + rho2 * four_fold)) - corrected
            step /= 1.0 + rho2 * (3.0 * two_fold + 5.0 * rho2 * four_fold)
            radius -= step
            if fabs(step) <= 1e-15 * corrected:
                break
        scale = radius / corrected
        y *= scale
        z *= scale
    a = d.tilt[4] * d.lsd - d.tilt[1] * y
    b = d.tilt[5] * d.lsd - d.tilt[2] * y
    c = d.tilt[7] * d.lsd - d.tilt[1] * z
    e = d.tilt[8] * d.lsd - d.tilt[2] * z
    determinant = a * e - b * c
    y_px[0] = d.y_bc - d.lsd * (y * e - z * b) / determinant / d.px
    z_px[0] = d.z_bc + d.lsd * (z * a - y * c) / determinant / d.px


cdef inline double two_theta_radians(double radius, double lsd) noexcept nogil:
    """2θ in radians of a radius on the ideal plane."""
    return atan(radius / lsd)


cdef inline double two_theta_of(double radius, double lsd) noexcept nogil:
    """2θ in degrees of a radius on the ideal plane."""
    return RAD2DEG * two_theta_radians(radius, lsd)


cdef inline double ring_radius_of(double two_theta, double lsd) noexcept nogil:
    """Radius on the ideal plane of a 2θ in degrees."""
    return lsd * tan(DEG2RAD * two_theta)


cdef inline void rotate_z(double cos_omega, double sin_omega, const double* v, double* out) noexcept nogil:
    """Sample to laboratory: right-handed rotation of `v` about +z; `out` may be `v`."""
    cdef double x = v[0] * cos_omega - v[1] * sin_omega
    out[1] = v[0] * sin_omega + v[1] * cos_omega
    out[0] = x
    out[2] = v[2]


cdef inline double shift_spot(double lsd, const double* grain, double* y, double* z) noexcept nogil:
    """Where the spot (y, z) of a grain at the origin lands for a grain at `grain` (laboratory frame, µm).

    Returns the factor 1 - X/Lsd on its distance from the beam.
    """
    cdef double f = 1.0 - grain[0] / lsd
    y[0] = y[0] * f + grain[1]
    z[0] = z[0] * f + grain[2]
    return f


cdef inline void unshift_spot(double lsd, const double* grain, double* y, double* z) noexcept nogil:
    """Inverse of `shift_spot`: the spot as if the grain were at the origin."""
    cdef double q = lsd / (lsd - grain[0])
    y[0] = q * (y[0] - grain[1])
    z[0] = q * (z[0] - grain[2])


cdef struct StoppedBeam:
    # A beam that a tilted detector stops beside the plane, and what moves its spot when the beam or the grain moves
    double before          # how far the surface stands before the plane at the crossing, over Lsd
    double f               # part of the way back
    double shrink          # 1 - f X / Lsd
    double y               # crossing of the plane over Lsd
    double z
    double across_y        # (Y - X y / Lsd, Z - X z / Lsd)
    double across_z
    double reach           # from the grain to the surface, along x where that is not tilted, µm


cdef inline StoppedBeam stopped_beam(double lsd, double slope_y, double slope_z, const double* grain, double y,
                                     double z) noexcept nogil:
    """The beam from `grain` (laboratory frame, µm) that crosses the plane at (y, z).

    The detector's surface is x = Lsd - slope_y y - slope_z z. See docs/theory/geometry.md#beams-on-a-tilted-detector.
    """
    cdef StoppedBeam b
    cdef double before = slope_y * y + slope_z * z
    b.y = y / lsd
    b.z = z / lsd
    b.before = before / lsd
    b.reach = lsd - grain[0] - slope_y * grain[1] - slope_z * grain[2] + b.before * grain[0]
    b.f = before / b.reach
    b.shrink = 1.0 - b.f * grain[0] / lsd
    b.across_y = grain[1] - grain[0] * b.y
    b.across_z = grain[2] - grain[0] * b.z
    return b


cdef inline void stop_on_surface(double lsd, double slope_y, double slope_z, const double* grain, double* y,
                                 double* z) noexcept nogil:
    """A crossing of the plane, in place, to where a tilted detector sees the beam: in line with the origin."""
    cdef StoppedBeam b = stopped_beam(lsd, slope_y, slope_z, grain, y[0], z[0])
    y[0] = y[0] + b.f * b.across_y
    z[0] = z[0] + b.f * b.across_z


cdef inline void go_on_to_plane(double lsd, double slope_y, double slope_z, const double* grain, double* y,
                                double* z) noexcept nogil:
    """Inverse of `stop_on_surface`: where the plane would have been crossed."""
    cdef double f = (slope_y * y[0] + slope_z * z[0]) / (lsd - grain[0])
    cdef double shrink = 1.0 - f * grain[0] / lsd
    y[0] = (y[0] - f * grain[1]) / shrink
    z[0] = (z[0] - f * grain[2]) / shrink


cdef inline void scattering_of_spot(double lsd, double y, double z, double* k) noexcept nogil:
    """Laboratory scattering vector, of length 2 sin θ, of a spot of a grain at the origin.

    The direction of the diffracted ray minus the beam's, without the cancellation in L/|ray| - 1.
    """
    cdef double r2 = y * y + z * z
    cdef double ray = sqrt(lsd * lsd + r2)
    k[0] = -r2 / (ray * (ray + lsd))
    k[1] = y / ray
    k[2] = z / ray
