"""One spot of a grain in the joint fit of grains and instrument: residuals and derivatives.

The model: docs/theory/geometry_from_grains.md#model; the derivatives: #derivatives of the same page.
"""
from libc.math cimport sqrt

from midas._ext.numerics.elementary cimport atan2, cos, hypot, sin
from midas._ext.physics.diffraction cimport omega_branch
from midas._ext.physics.geometry cimport (
    DEG2RAD, RAD2DEG, PlanePoint, detector_to_ideal, shift_spot, stopped_beam, tilt_matrix, wrap180)
from midas._ext.physics.predict cimport lean_omega, plane_scale_and_slope
from midas._ext.physics.rotation cimport matrix_vector
from midas._ext.physics.slopes cimport (
    distortion_slopes, moved_on_plane, plane_slopes, reflection_slopes, stopped_slopes, straightening_slope,
    tilt_slopes)
from midas._ext.physics.wedge cimport instrument_of, leaned_position

#: a change of strain of 10⁻⁶
cdef double MICRO = 1e-6


cdef void set_instrument(JointInstrument* instrument, const double* numbers, const int* columns) noexcept nogil:
    """What all spots share, of `NUMBERS_OF_INSTRUMENT` numbers; `columns` of parameters, -1 where none is wanted."""
    cdef Detector* d = &instrument.detector
    cdef double tx = numbers[TX], ty = numbers[TX + 1], tz = numbers[TX + 2]
    cdef const double* t = d.tilt
    cdef const double* by
    cdef int i
    d.lsd = numbers[LSD]
    d.y_bc = numbers[Y_BC]
    d.z_bc = numbers[Z_BC]
    d.px = numbers[PX]
    d.rho_d = numbers[RHO_D]
    d.p0 = numbers[P0]
    d.p1 = hypot(numbers[P1C], numbers[P1S])
    d.p2 = numbers[P2]
    d.p3 = RAD2DEG * atan2(numbers[P1S], numbers[P1C])
    tilt_matrix(tx, ty, tz, d.tilt)
    instrument.p1c = numbers[P1C]
    instrument.p1s = numbers[P1S]
    instrument.omega_zero = numbers[OMEGA_ZERO]
    if numbers[EXACT_TILTS] == 0.0:
        tx = ty = tz = 0.0
    instrument.instrument = instrument_of(d.lsd, numbers[WAVELENGTH], numbers[WEDGE], True, tx, ty, tz)
    # An upright axis and an upright detector move within their model, too.
    instrument.instrument.exact = numbers[EXACT_WEDGE] != 0.0
    instrument.instrument.tilted = numbers[EXACT_TILTS] != 0.0
    tilt_slopes(cos(DEG2RAD * numbers[TX]), sin(DEG2RAD * numbers[TX]), t, instrument.by_tilt)
    for i in range(3):
        by = instrument.by_tilt + 9 * i
        instrument.slopes_by_tilt[i] = (by[3] - by[0] * t[3] / t[0]) / t[0]
        instrument.slopes_by_tilt[3 + i] = (by[6] - by[0] * t[6] / t[0]) / t[0]
    for i in range(HARMONICS):
        instrument.wobble[i] = numbers[WOBBLE + i]
    instrument.n_active = 0
    for i in range(PARAMETERS_OF_INSTRUMENT):
        if columns[i] >= 0:
            instrument.active[instrument.n_active] = i
            instrument.columns[instrument.n_active] = columns[i]
            instrument.n_active += 1


cdef inline void _harmonics(double c, double s, double* waves) noexcept nogil:
    """cos and sin of one, two and three times omega."""
    waves[0] = c
    waves[1] = s
    waves[2] = c * c - s * s
    waves[3] = 2.0 * c * s
    waves[4] = waves[2] * c - waves[3] * s
    waves[5] = waves[3] * c + waves[2] * s


cdef inline void _wobble(const JointInstrument* instrument, JointSpot* spot) noexcept nogil:
    """Put the wobble of the stage on the grain's place: y has orders two and three, z one to three."""
    cdef double waves[6]
    cdef const double* y = instrument.wobble
    cdef const double* z = instrument.wobble + 4
    cdef int i, order
    _harmonics(spot.cos_turn, spot.sin_turn, waves)
    spot.wobble_y = spot.wobble_z = 0.0
    for i in range(3):
        order = i + 1
        if i > 0:
            spot.place[1] += y[2 * i - 2] * waves[2 * i] + y[2 * i - 1] * waves[2 * i + 1]
            spot.wobble_y += order * (y[2 * i - 1] * waves[2 * i] - y[2 * i - 2] * waves[2 * i + 1])
        spot.place[2] += z[2 * i] * waves[2 * i] + z[2 * i + 1] * waves[2 * i + 1]
        spot.wobble_z += order * (z[2 * i + 1] * waves[2 * i] - z[2 * i] * waves[2 * i + 1])


cdef void predict_spot(const JointInstrument* instrument, const ObservedSpot* observed, const double* ub,
                       const double* position, JointSpot* spot) noexcept nogil:
    """The spot that a grain with U·B `ub` at `position` (sample frame, µm) gives, and what its derivatives need."""
    cdef const Instrument* axis = &instrument.instrument
    cdef double cos_axis = axis.cos_wedge if axis.exact else 1.0
    cdef double sin_axis = axis.sin_wedge if axis.exact else 0.0
    cdef double k[3]
    cdef double g2
    cdef int i
    matrix_vector(ub, observed.hkl, spot.g)
    g2 = spot.g[0] * spot.g[0] + spot.g[1] * spot.g[1] + spot.g[2] * spot.g[2]
    spot.v = 0.5 * axis.wavelength * g2
    spot.v_axis = (spot.v - spot.g[2] * sin_axis) / cos_axis
    omega_branch(spot.g[0], spot.g[1], spot.v_axis, observed.branch, &spot.e, &spot.cos_omega, &spot.sin_omega)
    spot.k3 = spot.g[2] * cos_axis - spot.v_axis * sin_axis
    plane_scale_and_slope(axis.lsd, axis.wavelength, sqrt(g2), &spot.scale, &spot.scale_slope)
    spot.y = spot.y_origin = spot.scale * spot.e
    spot.z = spot.z_origin = spot.scale * spot.k3
    spot.cos_turn = spot.cos_omega
    spot.sin_turn = spot.sin_omega
    if not axis.exact:
        k[0] = -spot.v
        k[1] = spot.e
        k[2] = spot.k3
        lean_omega(axis, k, &spot.cos_turn, &spot.sin_turn)
    leaned_position(axis, spot.cos_turn, spot.sin_turn, position, spot.leaned)
    for i in range(3):
        spot.place[i] = spot.leaned[i]
    _wobble(instrument, spot)
    spot.shrink = shift_spot(axis.lsd, spot.place, &spot.y, &spot.z)
    if axis.tilted:
        spot.stop = stopped_beam(axis.lsd, axis.slope_y, axis.slope_z, spot.place, spot.y, spot.z)
        spot.y += spot.stop.f * spot.stop.across_y
        spot.z += spot.stop.f * spot.stop.across_z


cdef void residual_of(const JointInstrument* instrument, const ObservedSpot* observed, const JointSpot* spot,
                      double* residual) noexcept nogil:
    """Observed minus predicted: along the radius and around it (µm), omega (degrees)."""
    cdef PlanePoint p = detector_to_ideal(&instrument.detector, observed.y_px, observed.z_px)
    cdef double y = p.y_plane - spot.y, z = p.z_plane - spot.z
    residual[0] = y * observed.radial_y + z * observed.radial_z
    residual[1] = z * observed.radial_y - y * observed.radial_z
    residual[2] = wrap180(observed.omega - instrument.omega_zero - RAD2DEG * atan2(spot.sin_turn, spot.cos_turn))


cdef inline void _column(const ObservedSpot* observed, double* rows, int column, double dy, double dz,
                         double domega) noexcept nogil:
    """One column of the three rows, of the derivatives of observed minus predicted; `domega` per radian."""
    rows[column] = dy * observed.radial_y + dz * observed.radial_z
    rows[MOST_COLUMNS + column] = dz * observed.radial_y - dy * observed.radial_z
    rows[2 * MOST_COLUMNS + column] = RAD2DEG * domega


cdef inline void _recorded(const JointInstrument* instrument, const JointSpot* spot, double dy_origin, double dz_origin,
                           const double* dplace, double* dy, double* dz) noexcept nogil:
    """Derivative of the predicted spot when that of a grain at the origin and the grain's place move."""
    cdef const Instrument* axis = &instrument.instrument
    dy[0] = spot.shrink * dy_origin + dplace[1] - spot.y_origin / axis.lsd * dplace[0]
    dz[0] = spot.shrink * dz_origin + dplace[2] - spot.z_origin / axis.lsd * dplace[0]
    if axis.tilted:
        stopped_slopes(axis.slope_y, axis.slope_z, spot.stop.f, spot.stop.shrink, spot.stop.y, spot.stop.z,
                       spot.stop.across_y / spot.stop.reach, spot.stop.across_z / spot.stop.reach, dplace[0],
                       dplace[1], dplace[2], dy, dz)


cdef inline void _turned_place(const JointInstrument* instrument, const JointSpot* spot, double domega,
                               double* dplace) noexcept nogil:
    """How the grain's place moves when the recorded omega does."""
    cdef double cw = instrument.instrument.cos_wedge, sw = instrument.instrument.sin_wedge
    cdef double dx = -spot.leaned[1] * domega
    dplace[0] = dx * cw
    dplace[1] = (spot.leaned[0] * cw + spot.leaned[2] * sw + spot.wobble_y) * domega
    dplace[2] = dx * sw + spot.wobble_z * domega


cdef inline double _recorded_omega(const JointInstrument* instrument, const JointSpot* spot, double domega, double dv,
                                   double de, double dk3, double dwedge) noexcept nogil:
    """The derivative of the recorded omega, of that of `cos_omega` and of the laboratory vector."""
    cdef double k[3]
    if instrument.instrument.exact:
        return domega
    k[0] = -spot.v
    k[1] = spot.e
    k[2] = spot.k3
    return domega - straightening_slope(&instrument.instrument, k, -dv, de, dk3, dwedge)


cdef inline void _by_g(const JointInstrument* instrument, const JointSpot* spot, double* by_g) noexcept nogil:
    """Derivatives of the predicted y, z and omega by the three components of G: a row each."""
    cdef const Instrument* axis = &instrument.instrument
    cdef double cos_axis = axis.cos_wedge if axis.exact else 1.0
    cdef double sin_axis = axis.sin_wedge if axis.exact else 0.0
    cdef double dplace[3]
    cdef double gdg = 0.0, domega = 0.0, de = 0.0, dk3 = 0.0, dscale
    cdef int i
    for i in range(3):
        reflection_slopes(axis.wavelength, sin_axis, cos_axis, 1.0 / cos_axis, spot.g[0], spot.g[1], spot.g[2],
                          spot.v_axis, spot.e, spot.cos_omega, spot.sin_omega, i == 0, i == 1, i == 2, &gdg, &domega,
                          &de, &dk3)
        domega = _recorded_omega(instrument, spot, domega, axis.wavelength * gdg, de, dk3, 0.0)
        dscale = spot.scale_slope * gdg
        _turned_place(instrument, spot, domega, dplace)
        _recorded(instrument, spot, spot.e * dscale + spot.scale * de, spot.k3 * dscale + spot.scale * dk3, dplace,
                  &by_g[i], &by_g[3 + i])
        by_g[6 + i] = domega


cdef inline void _g_column(const ObservedSpot* observed, const double* by_g, double dx, double dy, double dz,
                           double unit, int column, double* rows) noexcept nogil:
    """The column of a variable of which `unit` changes G by (dx, dy, dz)."""
    _column(observed, rows, column, -unit * (by_g[0] * dx + by_g[1] * dy + by_g[2] * dz),
            -unit * (by_g[3] * dx + by_g[4] * dy + by_g[5] * dz), -unit * (by_g[6] * dx + by_g[7] * dy + by_g[8] * dz))


cdef inline void _grain_columns(const JointInstrument* instrument, const ObservedSpot* observed,
                                const JointSpot* spot, double* rows) noexcept nogil:
    """Position (µm), rotation vector (degrees), strain (10⁻⁶): all in the sample frame."""
    cdef double by_g[9]
    cdef double axis[3]
    cdef double dplace[3]
    cdef double dy = 0.0, dz = 0.0
    cdef double x = spot.g[0], y = spot.g[1], z = spot.g[2]
    cdef int i
    for i in range(3):
        axis[0] = i == 0
        axis[1] = i == 1
        axis[2] = i == 2
        leaned_position(&instrument.instrument, spot.cos_turn, spot.sin_turn, axis, dplace)
        _recorded(instrument, spot, 0.0, 0.0, dplace, &dy, &dz)
        _column(observed, rows, i, -dy, -dz, 0.0)
    _by_g(instrument, spot, by_g)
    _g_column(observed, by_g, 0.0, -z, y, DEG2RAD, 3, rows)
    _g_column(observed, by_g, z, 0.0, -x, DEG2RAD, 4, rows)
    _g_column(observed, by_g, -y, x, 0.0, DEG2RAD, 5, rows)
    _g_column(observed, by_g, -x, 0.0, 0.0, MICRO, 6, rows)
    _g_column(observed, by_g, 0.0, -y, 0.0, MICRO, 7, rows)
    _g_column(observed, by_g, 0.0, 0.0, -z, MICRO, 8, rows)
    _g_column(observed, by_g, 0.0, -z, -y, MICRO, 9, rows)
    _g_column(observed, by_g, -z, 0.0, -x, MICRO, 10, rows)
    _g_column(observed, by_g, -y, -x, 0.0, MICRO, 11, rows)


cdef inline void _by_lsd(const JointInstrument* instrument, const JointSpot* spot, double* dy,
                         double* dz) noexcept nogil:
    """Predicted y and z by Lsd; no omega."""
    cdef const Instrument* axis = &instrument.instrument
    cdef double dplace[3]
    cdef double direct_y, direct_z, df
    dplace[0] = dplace[1] = dplace[2] = 0.0
    # The crossing: y_origin grows with Lsd, and the pattern shrinks less.
    direct_y = spot.y_origin * spot.place[0] / (axis.lsd * axis.lsd)
    direct_z = spot.z_origin * spot.place[0] / (axis.lsd * axis.lsd)
    _recorded(instrument, spot, spot.y_origin / axis.lsd + direct_y / spot.shrink,
              spot.z_origin / axis.lsd + direct_z / spot.shrink, dplace, dy, dz)
    if axis.tilted:
        df = -spot.stop.f * (1.0 - spot.stop.before / axis.lsd * spot.place[0]) / spot.stop.reach
        dy[0] += spot.stop.across_y * df + spot.stop.f * spot.place[0] * spot.stop.y / axis.lsd
        dz[0] += spot.stop.across_z * df + spot.stop.f * spot.place[0] * spot.stop.z / axis.lsd


cdef inline double _by_wedge(const JointInstrument* instrument, const JointSpot* spot, double* dy,
                             double* dz) noexcept nogil:
    """Predicted y and z by the wedge in radians; returns omega's derivative."""
    cdef const Instrument* axis = &instrument.instrument
    cdef double dplace[3]
    cdef double dv_axis = 0.0, domega = 0.0, de = 0.0, dk3 = 0.0
    if axis.exact:
        dv_axis = (spot.v * axis.sin_wedge - spot.g[2]) / (axis.cos_wedge * axis.cos_wedge)
        de = -spot.v_axis * dv_axis / spot.e
        domega = dv_axis / spot.e
        dk3 = (-axis.sin_wedge * dv_axis - spot.v_axis * axis.cos_wedge - spot.g[2] * axis.sin_wedge)
    domega = _recorded_omega(instrument, spot, domega, 0.0, 0.0, 0.0, 1.0)
    _turned_place(instrument, spot, domega, dplace)
    dplace[0] -= spot.leaned[2]
    dplace[2] += spot.leaned[0]
    _recorded(instrument, spot, spot.scale * de, spot.scale * dk3, dplace, dy, dz)
    return domega


cdef inline double _by_wavelength(const JointInstrument* instrument, const JointSpot* spot, double* dy,
                                  double* dz) noexcept nogil:
    """Predicted y and z by the wavelength; returns omega's derivative."""
    cdef const Instrument* axis = &instrument.instrument
    cdef double cos_axis = axis.cos_wedge if axis.exact else 1.0
    cdef double sin_axis = axis.sin_wedge if axis.exact else 0.0
    cdef double dplace[3]
    cdef double dv = spot.v / axis.wavelength, bend = axis.wavelength * spot.v
    cdef double dv_axis = dv / cos_axis
    cdef double de = -spot.v_axis * dv_axis / spot.e, dk3 = -sin_axis * dv_axis, domega = dv_axis / spot.e
    cdef double dscale = spot.scale / axis.wavelength * (1.0 + bend) / (1.0 - bend)
    domega = _recorded_omega(instrument, spot, domega, dv, de, dk3, 0.0)
    _turned_place(instrument, spot, domega, dplace)
    _recorded(instrument, spot, spot.e * dscale + spot.scale * de, spot.k3 * dscale + spot.scale * dk3, dplace, dy,
              dz)
    return domega


cdef inline void _by_tilt(const JointInstrument* instrument, const JointSpot* spot, int tilt, double* dy,
                          double* dz) noexcept nogil:
    """Observed minus predicted y and z by a tilt, per degree."""
    cdef const Instrument* axis = &instrument.instrument
    cdef const double* by = instrument.by_tilt + 9 * tilt
    cdef double yc = spot.pixel.yc, zc = spot.pixel.zc, by_y, by_z, dbefore, df
    moved_on_plane(&spot.pixel, 0.0, by[1] * yc + by[2] * zc, by[4] * yc + by[5] * zc, by[7] * yc + by[8] * zc, dy, dz)
    if axis.tilted:
        by_y = instrument.slopes_by_tilt[tilt]
        by_z = instrument.slopes_by_tilt[3 + tilt]
        dbefore = axis.lsd * (by_y * spot.stop.y + by_z * spot.stop.z)
        df = (spot.stop.shrink * dbefore
              + spot.stop.f * (by_y * spot.place[1] + by_z * spot.place[2])) / spot.stop.reach
        dy[0] -= spot.stop.across_y * df
        dz[0] -= spot.stop.across_z * df


cdef inline void _by_pixel(const JointInstrument* instrument, const JointSpot* spot, int axis, double* dy,
                           double* dz) noexcept nogil:
    """Observed y and z by y_px (`axis` 0) or z_px (1)."""
    cdef const double* t = instrument.detector.tilt
    cdef double px = -instrument.detector.px if axis == 0 else instrument.detector.px
    moved_on_plane(&spot.pixel, 0.0, px * t[1 + axis], px * t[4 + axis], px * t[7 + axis], dy, dz)


cdef inline void _by_distortion(const JointInstrument* instrument, const JointSpot* spot, int parameter, double* dy,
                                double* dz) noexcept nogil:
    """Observed y and z by p0, p1c, p1s or p2."""
    cdef double df[4]
    distortion_slopes(instrument.detector.rho_d, spot.pixel.y, spot.pixel.z, df)
    dy[0] = spot.pixel.y * df[parameter - P0]
    dz[0] = spot.pixel.z * df[parameter - P0]


cdef inline void _by_wobble(const JointInstrument* instrument, const JointSpot* spot, int term, double* dy,
                            double* dz) noexcept nogil:
    """Predicted y and z by a term of the wobble."""
    cdef double waves[6]
    cdef double dplace[3]
    dplace[0] = dplace[1] = dplace[2] = 0.0
    _harmonics(spot.cos_turn, spot.sin_turn, waves)
    if term < 4:
        dplace[1] = waves[2 + term]
    else:
        dplace[2] = waves[term - 4]
    _recorded(instrument, spot, 0.0, 0.0, dplace, dy, dz)


cdef inline double _instrument_slopes(const JointInstrument* instrument, const JointSpot* spot, int parameter,
                                      double* dy, double* dz) noexcept nogil:
    """Observed minus predicted y and z by a parameter of the instrument; returns omega's derivative, radians."""
    cdef double domega = 0.0, y = 0.0, z = 0.0
    dy[0] = dz[0] = 0.0
    if parameter == LSD:
        _by_lsd(instrument, spot, &y, &z)
        moved_on_plane(&spot.pixel, 1.0, 0.0, 0.0, 0.0, dy, dz)
        dy[0] -= y
        dz[0] -= z
    elif parameter == Y_BC or parameter == Z_BC:
        _by_pixel(instrument, spot, parameter - Y_BC, &y, &z)
        dy[0] = -y
        dz[0] = -z
    elif parameter < P0:
        _by_tilt(instrument, spot, parameter - TX, dy, dz)
    elif parameter < WEDGE:
        _by_distortion(instrument, spot, parameter, dy, dz)
    elif parameter == OMEGA_ZERO:
        domega = -DEG2RAD
    elif parameter < WOBBLE:
        if parameter == WEDGE:
            domega = -DEG2RAD * _by_wedge(instrument, spot, &y, &z)
            y *= DEG2RAD
            z *= DEG2RAD
        else:
            domega = -_by_wavelength(instrument, spot, &y, &z)
        dy[0] = -y
        dz[0] = -z
    else:
        _by_wobble(instrument, spot, parameter - WOBBLE, &y, &z)
        dy[0] = -y
        dz[0] = -z
    return domega


cdef void rows_of(const JointInstrument* instrument, const ObservedSpot* observed, JointSpot* spot, bint on_panel,
                  double* rows) noexcept nogil:
    """Derivatives of the three residuals, three rows of `MOST_COLUMNS`: grain, active parameters, panel.

    `predict_spot` must have run.
    """
    cdef double dy = 0.0, dz = 0.0, domega
    cdef int i
    _grain_columns(instrument, observed, spot, rows)
    if instrument.n_active == 0 and not on_panel:
        return
    plane_slopes(&instrument.detector, instrument.p1c, instrument.p1s, observed.y_px, observed.z_px, &spot.pixel)
    for i in range(instrument.n_active):
        domega = _instrument_slopes(instrument, spot, instrument.active[i], &dy, &dz)
        _column(observed, rows, OF_GRAIN + i, dy, dz, domega)
    if on_panel:
        for i in range(2):
            _by_pixel(instrument, spot, i, &dy, &dz)
            _column(observed, rows, OF_GRAIN + instrument.n_active + i, dy, dz, 0.0)
