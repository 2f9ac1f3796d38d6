"""Derivatives of what the predictor and the detector transform compute; radians where an angle is differentiated.

The formulas: docs/theory/geometry_from_grains.md#derivatives.
"""
from midas._ext.physics.geometry cimport DEG2RAD, Detector
from midas._ext.physics.wedge cimport Instrument, Turned, straightening


cdef inline void reflection_slopes(double wavelength, double sin_axis, double cos_axis, double inverse_cos, double gx,
                                   double gy, double gz, double v_axis, double e, double cos_omega, double sin_omega,
                                   double dx, double dy, double dz, double* gdg, double* domega, double* de,
                                   double* dk3) noexcept nogil:
    """What a change (dx, dy, dz) of G does to omega and to the laboratory vector (-v, e, k3) of the turned G.

    Also G·dG, of which everything that depends on the length of G is a multiple.
    """
    cdef double dv
    gdg[0] = gx * dx + gy * dy + gz * dz
    dv = (wavelength * gdg[0] - dz * sin_axis) * inverse_cos
    dk3[0] = dz * cos_axis - dv * sin_axis
    domega[0] = (dv + dx * cos_omega - dy * sin_omega) / e
    de[0] = dx * sin_omega + dy * cos_omega - v_axis * domega[0]


cdef inline void stopped_slopes(double slope_y, double slope_z, double f, double shrink, double y, double z,
                                double across_y, double across_z, double dx_grain, double dy_grain, double dz_grain,
                                double* dy, double* dz) noexcept nogil:
    """Derivatives of a crossing of the plane, in place, to those of where a tilted detector stops the beam.

    `f` and `shrink` as in `StoppedBeam`, the crossing (y, z) over Lsd, `across` over the reach.
    See docs/theory/geometry.md#beams-on-a-tilted-detector.
    """
    cdef double df = (shrink * (slope_y * dy[0] + slope_z * dz[0])
                      + f * ((1.0 - slope_y * y - slope_z * z) * dx_grain + slope_y * dy_grain + slope_z * dz_grain))
    dy[0] = shrink * dy[0] + f * (dy_grain - y * dx_grain) + across_y * df
    dz[0] = shrink * dz[0] + f * (dz_grain - z * dx_grain) + across_z * df


cdef inline double straightening_slope(const Instrument* instrument, const double* k, double dk1, double dk2,
                                       double dk3, double dwedge) noexcept nogil:
    """Derivative of omega_ideal - omega_recorded of an ideal laboratory vector `k`; 0 where that has no ideal spot."""
    cdef Turned t
    cdef double a, da, h, dk2_ideal
    if not straightening(instrument, k, &t):
        return 0.0
    a = k[0] * instrument.cos_wedge + k[2] * instrument.sin_wedge
    h = a * a + k[1] * k[1]
    da = (dk1 * instrument.cos_wedge + dk3 * instrument.sin_wedge
          + (k[2] * instrument.cos_wedge - k[0] * instrument.sin_wedge) * dwedge)
    dk2_ideal = (a * da + k[1] * dk2 - k[0] * dk1) / t.k2
    return (k[0] * dk2_ideal - t.k2 * dk1 - a * dk2 + k[1] * da) / h


cdef inline void tilt_slopes(double cos_tx, double sin_tx, const double* t, double* by_tilt) noexcept nogil:
    """Derivatives per degree of the tilt matrix `t` by tx, ty and tz: three matrices, one after the other.

    dT/dtx = [x]× T, dT/dty = [Rx y]× T, dT/dtz = T [z]×.
    """
    cdef int j
    for j in range(3):
        by_tilt[j] = 0.0
        by_tilt[3 + j] = -DEG2RAD * t[6 + j]
        by_tilt[6 + j] = DEG2RAD * t[3 + j]
        by_tilt[9 + j] = DEG2RAD * (cos_tx * t[6 + j] - sin_tx * t[3 + j])
        by_tilt[12 + j] = DEG2RAD * sin_tx * t[j]
        by_tilt[15 + j] = -DEG2RAD * cos_tx * t[j]
        by_tilt[18 + 3 * j] = DEG2RAD * t[3 * j + 1]
        by_tilt[19 + 3 * j] = -DEG2RAD * t[3 * j]
        by_tilt[20 + 3 * j] = 0.0


cdef struct PlaneSlopes:
    # Of one pixel: what moves its point of the plane
    double yc              # from the beam centre on the detector, µm
    double zc
    double[3] v            # the same, tilted
    double q               # Lsd / (Lsd + v_x)
    double reach           # Lsd + v_x
    double y               # of the plane before distortion
    double z
    double f               # factor of the distortion, and its derivatives by y and z
    double f_y
    double f_z


cdef inline void plane_slopes(const Detector* d, double p1c, double p1s, double y_px, double z_px,
                              PlaneSlopes* s) noexcept nogil:
    """Everything that `moved_on_plane` needs of one pixel.

    The distortion as a polynomial: ρ²cos 2η_T = (y² - z²)/RhoD², ρ⁴cos 4η_T = (y⁴ - 6y²z² + z⁴)/RhoD⁴ and
    -ρ⁴sin 4η_T = 4yz(y² - z²)/RhoD⁴; `p1c` and `p1s` are p1 cos p3 and p1 sin p3.
    """
    cdef double y, z, square = 1.0 / (d.rho_d * d.rho_d)
    cdef double fourth = square * square
    cdef int i
    s.yc = -(y_px - d.y_bc) * d.px
    s.zc = (z_px - d.z_bc) * d.px
    for i in range(3):
        s.v[i] = d.tilt[3 * i + 1] * s.yc + d.tilt[3 * i + 2] * s.zc
    s.reach = d.lsd + s.v[0]
    s.q = d.lsd / s.reach
    y = s.y = s.q * s.v[1]
    z = s.z = s.q * s.v[2]
    s.f = (1.0 + square * (d.p0 * (y * y - z * z) + d.p2 * (y * y + z * z))
           + fourth * (p1c * (y * y * y * y - 6.0 * y * y * z * z + z * z * z * z)
                       + p1s * 4.0 * y * z * (y * y - z * z)))
    s.f_y = (square * 2.0 * y * (d.p2 + d.p0)
             + fourth * (p1c * 4.0 * y * (y * y - 3.0 * z * z) + p1s * 4.0 * z * (3.0 * y * y - z * z)))
    s.f_z = (square * 2.0 * z * (d.p2 - d.p0)
             + fourth * (p1c * 4.0 * z * (z * z - 3.0 * y * y) + p1s * 4.0 * y * (y * y - 3.0 * z * z)))


cdef inline void moved_on_plane(const PlaneSlopes* s, double dlsd, double dv1, double dv2, double dv3, double* dy,
                                double* dz) noexcept nogil:
    """Derivative of the point of the plane when Lsd and the tilted vector change."""
    cdef double dq = ((1.0 - s.q) * dlsd - s.q * dv1) / s.reach
    cdef double dy_bare = s.q * dv2 + s.v[1] * dq
    cdef double dz_bare = s.q * dv3 + s.v[2] * dq
    cdef double df = s.f_y * dy_bare + s.f_z * dz_bare
    dy[0] = s.f * dy_bare + s.y * df
    dz[0] = s.f * dz_bare + s.z * df
