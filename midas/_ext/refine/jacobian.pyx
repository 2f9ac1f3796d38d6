"""Analytic derivatives of the residuals by the twelve variables (docs/theory/refinement.md#jacobian)."""
from libc.math cimport sqrt

from midas._ext.physics.geometry cimport RAD2DEG, StoppedBeam, stopped_beam
from midas._ext.physics.slopes cimport reflection_slopes, stopped_slopes
from midas._ext.physics.wedge cimport leaned_position
from midas._ext.refine.grain cimport ORIENTATION, derivative_matrices
from midas._ext.refine.model cimport DIRECTION, SPOT_AND_OMEGA
from midas._ext.refine.spots cimport column


cdef void _stop_beams(FitSpots* s, const double* x, const Instrument* instrument) noexcept nogil:
    """Where a tilted detector stops the beams of a grain at x: what all variables share."""
    cdef Instrument local = instrument[0]
    cdef StoppedBeam b
    cdef double place[3]
    cdef Py_ssize_t i
    for i in range(s.padded):
        leaned_position(&local, s.cos_turn[i], s.sin_turn[i], x, place)
        b = stopped_beam(local.lsd, local.slope_y, local.slope_z, place, s.shrink[i] * s.y_origin[i] + place[1],
                         s.shrink[i] * s.z_origin[i] + place[2])
        s.stop_f[i] = b.f
        s.stop_shrink[i] = b.shrink
        s.stop_y[i] = b.y
        s.stop_z[i] = b.z
        s.across_y[i] = b.across_y / b.reach
        s.across_z[i] = b.across_z / b.reach


cdef inline void _position_columns(FitSpots* s, const Instrument* instrument, int variable, bint tilted,
                                   double* out) noexcept nogil:
    """Weighted derivatives by one coordinate of the position: columns of the turn, leaned by the wedge.

    `tilted` is what the instrument says; a constant of the call, so that upright detectors have loops without it.
    """
    cdef Py_ssize_t i, m = s.padded
    cdef column cos_turn = s.cos_turn, sin_turn = s.sin_turn, weight = s.weight_spot
    cdef column y_origin = s.y_origin, z_origin = s.z_origin
    cdef column dy = out, dz = out + m, dw = out + 2 * m
    cdef double cw = instrument.cos_wedge, sw = instrument.sin_wedge, lsd = instrument.lsd
    cdef double ax = 1.0 if variable == 0 else 0.0
    cdef double ay = 1.0 if variable == 1 else 0.0
    cdef double az = 1.0 if variable == 2 else 0.0
    cdef double lab_x, lab_y, ratio, slope_y, slope_z
    cdef column f = s.stop_f, stop_shrink = s.stop_shrink, stop_y = s.stop_y, stop_z = s.stop_z
    cdef column across_y = s.across_y, across_z = s.across_z
    cdef double by = instrument.slope_y, bz = instrument.slope_z
    for i in range(m):
        lab_x = ax * cos_turn[i] - ay * sin_turn[i]
        lab_y = ax * sin_turn[i] + ay * cos_turn[i]
        ratio = (lab_x * cw - az * sw) / lsd
        slope_y = lab_y - y_origin[i] * ratio
        slope_z = lab_x * sw + az * cw - z_origin[i] * ratio
        if tilted:
            stopped_slopes(by, bz, f[i], stop_shrink[i], stop_y[i], stop_z[i], across_y[i], across_z[i],
                           lab_x * cw - az * sw, lab_y, lab_x * sw + az * cw, &slope_y, &slope_z)
        dy[i] = weight[i] * slope_y
        dz[i] = weight[i] * slope_z
        dw[i] = 0.0


cdef inline void _reflection_columns(FitSpots* s, const double* x, const Instrument* instrument, bint forward,
                                     const double* matrix, bint tilted, double* out) noexcept nogil:
    """Weighted derivatives by a variable that moves G by dG = matrix·(h, k, l).

    With an upright axis in the legacy model. `forward`: the position turns with the predicted omega, and omega is a
    residual.
    """
    cdef Py_ssize_t i, m = s.padded
    cdef column h = s.h, k = s.k, l = s.l, gx = s.gx, gy = s.gy, gz = s.gz, e = s.e, cos_omega = s.cos_omega
    cdef column sin_omega = s.sin_omega, scale = s.scale, slope = s.scale_slope, shrink = s.shrink
    cdef column cos_turn = s.cos_turn, sin_turn = s.sin_turn, y_origin = s.y_origin, z_origin = s.z_origin
    cdef column weight_spot = s.weight_spot, weight_omega = s.weight_omega
    cdef column out_y = out, out_z = out + m, out_omega = out + 2 * m
    cdef double m0 = matrix[0], m1 = matrix[1], m2 = matrix[2], m3 = matrix[3], m4 = matrix[4]
    cdef double m5 = matrix[5], m6 = matrix[6], m7 = matrix[7], m8 = matrix[8]
    cdef double px = x[0], py = x[1], cw = instrument.cos_wedge, sw = instrument.sin_wedge
    cdef double inverse_lsd = 1.0 / instrument.lsd, wavelength = instrument.wavelength
    cdef double cos_axis = cw if instrument.exact else 1.0, sin_axis = sw if instrument.exact else 0.0
    cdef double inverse_cos = 1.0 / cos_axis
    cdef double follow = 1.0 if forward else 0.0
    cdef double dx, dy, dz, v, k3, dscale, lab_x, lab_y, turned, slope_y, slope_z
    cdef double gdg = 0.0, domega = 0.0, de = 0.0, dk3 = 0.0
    cdef column f = s.stop_f, stop_shrink = s.stop_shrink, stop_y = s.stop_y, stop_z = s.stop_z
    cdef column across_y = s.across_y, across_z = s.across_z
    cdef double by = instrument.slope_y, bz = instrument.slope_z
    for i in range(m):
        dx = m0 * h[i] + m1 * k[i] + m2 * l[i]
        dy = m3 * h[i] + m4 * k[i] + m5 * l[i]
        dz = m6 * h[i] + m7 * k[i] + m8 * l[i]
        v = (0.5 * wavelength * (gx[i] * gx[i] + gy[i] * gy[i] + gz[i] * gz[i]) - gz[i] * sin_axis) * inverse_cos
        k3 = gz[i] * cos_axis - v * sin_axis
        reflection_slopes(wavelength, sin_axis, cos_axis, inverse_cos, gx[i], gy[i], gz[i], v, e[i], cos_omega[i],
                          sin_omega[i], dx, dy, dz, &gdg, &domega, &de, &dk3)
        dscale = slope[i] * gdg
        turned = follow * domega
        lab_x = px * cos_turn[i] - py * sin_turn[i]
        lab_y = px * sin_turn[i] + py * cos_turn[i]
        slope_y = (shrink[i] * (e[i] * dscale + scale[i] * de)
                   + turned * (lab_x + y_origin[i] * lab_y * cw * inverse_lsd))
        slope_z = (shrink[i] * (k3 * dscale + scale[i] * dk3)
                   + turned * (z_origin[i] * lab_y * cw * inverse_lsd - lab_y * sw))
        if tilted:
            stopped_slopes(by, bz, f[i], stop_shrink[i], stop_y[i], stop_z[i], across_y[i], across_z[i],
                           -turned * lab_y * cw, turned * lab_x, -turned * lab_y * sw, &slope_y, &slope_z)
        out_y[i] = weight_spot[i] * slope_y
        out_z[i] = weight_spot[i] * slope_z
        out_omega[i] = weight_omega[i] * RAD2DEG * turned


cdef void _direction_columns(FitSpots* s, const double* matrix, double* out) noexcept nogil:
    """Weighted derivatives of the unit vector G/|G| in degrees."""
    cdef Py_ssize_t i, m = s.padded
    cdef double dx, dy, dz, g2, g, along
    for i in range(m):
        dx = matrix[0] * s.h[i] + matrix[1] * s.k[i] + matrix[2] * s.l[i]
        dy = matrix[3] * s.h[i] + matrix[4] * s.k[i] + matrix[5] * s.l[i]
        dz = matrix[6] * s.h[i] + matrix[7] * s.k[i] + matrix[8] * s.l[i]
        g2 = s.gx[i] * s.gx[i] + s.gy[i] * s.gy[i] + s.gz[i] * s.gz[i]
        g = RAD2DEG * s.weight_spot[i] / sqrt(g2)
        along = (s.gx[i] * dx + s.gy[i] * dy + s.gz[i] * dz) / g2
        out[i] = g * (dx - s.gx[i] * along)
        out[m + i] = g * (dy - s.gy[i] * along)
        out[2 * m + i] = g * (dz - s.gz[i] * along)


cdef void jacobian(FitSpots* s, const Grain* grain, const double* x, const Instrument* instrument, int objective,
                   int first, int stop) noexcept nogil:
    """Weighted Jacobian of the variables first … stop - 1, one block of three columns each, and weighted residuals.

    `residuals` and `weigh` must have run for `x`. The residuals are overwritten.
    """
    cdef double matrices[81]
    cdef Py_ssize_t i, m = s.padded
    cdef int variable
    cdef double* out = s.jacobian
    if stop > ORIENTATION:
        derivative_matrices(grain, x, matrices)
    if instrument.tilted and objective != DIRECTION:
        _stop_beams(s, x, instrument)
    for variable in range(first, stop):
        if variable < ORIENTATION and instrument.tilted:
            _position_columns(s, instrument, variable, True, out)
        elif variable < ORIENTATION:
            _position_columns(s, instrument, variable, False, out)
        elif objective == DIRECTION:
            _direction_columns(s, matrices + 9 * (variable - ORIENTATION), out)
        elif instrument.tilted:
            _reflection_columns(s, x, instrument, objective == SPOT_AND_OMEGA,
                                matrices + 9 * (variable - ORIENTATION), True, out)
        else:
            _reflection_columns(s, x, instrument, objective == SPOT_AND_OMEGA,
                                matrices + 9 * (variable - ORIENTATION), False, out)
        out += 3 * m
    for i in range(m):
        s.residual[i] *= s.weight_spot[i]
        s.residual[m + i] *= s.weight_spot[i]
        if objective == DIRECTION:
            s.residual[2 * m + i] *= s.weight_spot[i]
        elif objective == SPOT_AND_OMEGA:
            s.residual[2 * m + i] *= s.weight_omega[i]
        else:
            s.residual[2 * m + i] = 0.0
