"""Forward model of one grain's spots, its residuals and their robust sum.

See docs/theory/refinement.md#predicted-spot, docs/theory/refinement.md#residuals and
docs/theory/refinement.md#robust-loss.
"""
from libc.math cimport copysign, sqrt

from midas._ext.numerics.elementary cimport asin
from midas._ext.physics.diffraction cimport omega_branch
from midas._ext.physics.geometry cimport RAD2DEG
from midas._ext.physics.predict cimport displace, lean_omega, plane_scale_and_slope
from midas._ext.refine.grain cimport set_grain
from midas._ext.refine.spots cimport column


cdef void _predict_reflections(FitSpots* s, const Grain* grain, const Instrument* instrument) noexcept nogil:
    """G, the rotation angle and the spot of a grain at the origin, without trigonometry.

    On the side of the recorded spots when the wedge is exact, else on that of the ideal ones.
    """
    cdef column h = s.h, k = s.k, l = s.l, branch = s.branch, gx = s.gx, gy = s.gy, gz = s.gz, e = s.e
    cdef column cos_omega = s.cos_omega, sin_omega = s.sin_omega, scale = s.scale, slope = s.scale_slope
    cdef column y_origin = s.y_origin, z_origin = s.z_origin
    cdef double lsd = instrument.lsd, wavelength = instrument.wavelength
    cdef double cos_axis = instrument.cos_wedge if instrument.exact else 1.0
    cdef double sin_axis = instrument.sin_wedge if instrument.exact else 0.0
    cdef double inverse_cos = 1.0 / cos_axis
    cdef double u0 = grain.ub[0], u1 = grain.ub[1], u2 = grain.ub[2], u3 = grain.ub[3], u4 = grain.ub[4]
    cdef double u5 = grain.ub[5], u6 = grain.ub[6], u7 = grain.ub[7], u8 = grain.ub[8]
    cdef double x, y, z, g2, v_axis, scale_i, slope_i, e_i, c_i, s_i
    cdef Py_ssize_t i
    for i in range(s.padded):
        x = u0 * h[i] + u1 * k[i] + u2 * l[i]
        y = u3 * h[i] + u4 * k[i] + u5 * l[i]
        z = u6 * h[i] + u7 * k[i] + u8 * l[i]
        g2 = x * x + y * y + z * z
        v_axis = (0.5 * wavelength * g2 - z * sin_axis) * inverse_cos
        omega_branch(x, y, v_axis, branch[i], &e_i, &c_i, &s_i)
        plane_scale_and_slope(lsd, wavelength, sqrt(g2), &scale_i, &slope_i)
        gx[i] = x
        gy[i] = y
        gz[i] = z
        e[i] = e_i
        cos_omega[i] = c_i
        sin_omega[i] = s_i
        scale[i] = scale_i
        slope[i] = slope_i
        y_origin[i] = scale_i * e_i
        z_origin[i] = scale_i * (z * cos_axis - v_axis * sin_axis)


cdef inline void _turn_by_prediction(FitSpots* s, const Instrument* instrument) noexcept nogil:
    """The position turns with the omega that would be recorded; the legacy model takes its correction back for it."""
    cdef double k[3]
    cdef Py_ssize_t i
    for i in range(s.padded):
        s.cos_turn[i] = s.cos_omega[i]
        s.sin_turn[i] = s.sin_omega[i]
        if not instrument.exact:
            k[0] = s.gx[i] * s.cos_omega[i] - s.gy[i] * s.sin_omega[i]
            k[1] = s.e[i]
            k[2] = s.gz[i]
            lean_omega(instrument, k, &s.cos_turn[i], &s.sin_turn[i])


cdef inline double _small_angle(double cosine, double sine) noexcept nogil:
    """The angle in degrees of a cosine and sine, one arcsine."""
    cdef double angle = asin(min(max(sine, -1.0), 1.0))
    if cosine < 0.0:
        angle = copysign(3.141592653589793, sine) - angle
    return RAD2DEG * angle


cdef void _spot_residuals(FitSpots* s, const double* x, const Instrument* instrument) noexcept nogil:
    """Predicted minus observed detector position, the grain's position turned by ``turn``."""
    cdef column y = s.y_plane, z = s.z_plane, cos_turn = s.cos_turn, sin_turn = s.sin_turn, shrink = s.shrink
    cdef column y_origin = s.y_origin, z_origin = s.z_origin
    cdef column dy = s.residual, dz = s.residual + s.padded
    cdef Instrument local = instrument[0]
    cdef double position[3]
    cdef double spot_y, spot_z
    cdef Py_ssize_t i
    for i in range(3):
        position[i] = x[i]
    for i in range(s.padded):
        spot_y = y_origin[i]
        spot_z = z_origin[i]
        shrink[i] = displace(&local, cos_turn[i], sin_turn[i], position, &spot_y, &spot_z)
        dy[i] = spot_y - y[i]
        dz[i] = spot_z - z[i]


cdef void residuals(FitSpots* s, Grain* grain, const double* x, const Instrument* instrument,
                    int objective) noexcept nogil:
    """Unweighted residuals of the variables `x` in the three columns; leaves what `jacobian` needs."""
    cdef Py_ssize_t i, m = s.padded
    cdef double g
    set_grain(grain, x)
    _predict_reflections(s, grain, instrument)
    if objective == SPOT_AND_OMEGA:
        _turn_by_prediction(s, instrument)
        _spot_residuals(s, x, instrument)
        for i in range(m):
            s.residual[2 * m + i] = _small_angle(s.cos_turn[i] * s.cos_recorded[i] + s.sin_turn[i] * s.sin_recorded[i],
                                                 s.sin_turn[i] * s.cos_recorded[i] - s.cos_turn[i] * s.sin_recorded[i])
    elif objective == SPOT:
        for i in range(m):
            s.cos_turn[i] = s.cos_recorded[i]
            s.sin_turn[i] = s.sin_recorded[i]
        _spot_residuals(s, x, instrument)
    else:
        for i in range(m):
            g = sqrt(s.gx[i] * s.gx[i] + s.gy[i] * s.gy[i] + s.gz[i] * s.gz[i])
            s.residual[i] = RAD2DEG * (s.gx[i] / g - s.direction[0][i])
            s.residual[m + i] = RAD2DEG * (s.gy[i] / g - s.direction[1][i])
            s.residual[2 * m + i] = RAD2DEG * (s.gz[i] / g - s.direction[2][i])


cdef double weigh(FitSpots* s, const Loss* loss, int objective) noexcept nogil:
    """The robust sum; sets the square roots of the weights, already divided by sigma, so that rows scale by them."""
    cdef Py_ssize_t i, m = s.padded
    cdef double inverse_spot, inverse_omega = 1.0 / loss.sigma_omega
    cdef double a, b, c, term, total = 0.0
    for i in range(s.n):
        inverse_spot = s.certainty[i] / loss.sigma_spot
        a = s.residual[i] * inverse_spot
        b = s.residual[m + i] * inverse_spot
        c = s.residual[2 * m + i] * inverse_spot if objective == DIRECTION else 0.0
        term = sqrt(a * a + b * b + c * c + loss.epsilon_spot * loss.epsilon_spot)
        s.weight_spot[i] = inverse_spot / sqrt(term)
        total += term
        s.weight_omega[i] = 0.0
        if objective == SPOT_AND_OMEGA:
            a = s.residual[2 * m + i] * inverse_omega
            term = sqrt(a * a + loss.epsilon_omega * loss.epsilon_omega)
            s.weight_omega[i] = inverse_omega / sqrt(term)
            total += term
    for i in range(s.n, m):
        s.weight_spot[i] = 0.0
        s.weight_omega[i] = 0.0
    return total
