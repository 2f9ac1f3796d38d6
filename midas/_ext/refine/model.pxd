"""Forward model of one grain's spots, its residuals and its Jacobian (spec chapter 06 §4.2-4.6 and §10.3).

Twelve variables describe a grain: position (µm), three orientation parameters (degrees) and the cell (Å, degrees). Per
spot everything is a column, so that the loops vectorise; the columns are padded to a multiple of four with weight 0.
"""
from libc.math cimport asin, copysign, sqrt

from midas._ext.physics.diffraction cimport omega_branch
from midas._ext.physics.geometry cimport DEG2RAD, RAD2DEG
from midas._ext.physics.lattice cimport reciprocal_basis
from midas._ext.physics.predict cimport displace, lean_omega, plane_scale_and_slope
from midas._ext.physics.rotation cimport axis_rotation, cross_matrix, euler_matrix, matrix_product
from midas._ext.physics.wedge cimport Instrument

cdef extern from *:
    """
    /* A column that nothing else in its loop overlaps. */
    typedef double *restrict midas_column;
    """
    ctypedef double* column "midas_column"

cdef enum:
    POSITION = 0           # first variable of each group
    ORIENTATION = 3
    CELL = 6
    VARIABLES = 12

cdef enum Objective:
    SPOT_AND_OMEGA         # detector distance and omega, position turned by the predicted omega (§10.3)
    SPOT                   # detector distance alone, position turned by the observed omega (§4.6 S_r)
    DIRECTION              # difference of the unit scattering vectors in degrees (§4.6 S_a)

cdef enum Parameterisation:
    ROTATION_VECTOR        # U = exp([t]×)·base
    EULER                  # Bunge angles; base is not used


cdef struct Loss:
    # Terms sqrt(r²/sigma² + epsilon²); sigma_spot in µm (degrees for DIRECTION), sigma_omega in degrees.
    double sigma_spot
    double epsilon_spot
    double sigma_omega
    double epsilon_omega


cdef struct Grain:
    int parameterisation
    double base[9]
    double u[9]
    double b[9]
    double ub[9]


cdef struct Spots:
    Py_ssize_t n
    Py_ssize_t padded
    # What was observed: detector (µm), cosine and sine of the recorded omega, unit direction (DIRECTION only)
    double* y
    double* z
    double* cos_omega
    double* sin_omega
    double* direction[3]
    # The reflection each spot was matched with: indices (h, k, m = l) and branch (sign of the laboratory y)
    double* h
    double* k
    double* m
    double* sign
    # Predicted: G, lab y of the rotated G, its omega (without wedge), the omega that turns the position
    double* gx
    double* gy
    double* gz
    double* e
    double* cos_calc
    double* sin_calc
    double* cos_turn
    double* sin_turn
    double* scale          # detector radius over sqrt(e² + gz²), and its derivative by |G| over |G|
    double* scale_slope
    double* y_origin       # spot of a grain at the origin
    double* z_origin
    double* shrink         # 1 - X / Lsd of the turned position
    # Residuals (calculated - observed) in three columns, and the weights of spot and omega terms
    double* residual
    double* weight_spot
    double* weight_omega
    # (variables, 3 rows of `padded`) weighted Jacobian
    double* jacobian

cdef enum:
    SPOT_COLUMNS = 29 + 3 * VARIABLES


cdef inline double* lay_out_spots(Spots* s, Py_ssize_t capacity, double* buffer) noexcept nogil:
    """Carve the columns for `capacity` (a multiple of 4) spots out of `buffer`; returns what follows them."""
    cdef double** members[26]
    cdef int i
    members[0] = &s.y
    members[1] = &s.z
    members[2] = &s.cos_omega
    members[3] = &s.sin_omega
    members[4] = &s.h
    members[5] = &s.k
    members[6] = &s.m
    members[7] = &s.sign
    members[8] = &s.gx
    members[9] = &s.gy
    members[10] = &s.gz
    members[11] = &s.e
    members[12] = &s.cos_calc
    members[13] = &s.sin_calc
    members[14] = &s.cos_turn
    members[15] = &s.sin_turn
    members[16] = &s.scale
    members[17] = &s.scale_slope
    members[18] = &s.y_origin
    members[19] = &s.z_origin
    members[20] = &s.shrink
    members[21] = &s.weight_spot
    members[22] = &s.weight_omega
    members[23] = &s.direction[0]
    members[24] = &s.direction[1]
    members[25] = &s.direction[2]
    for i in range(26):
        members[i][0] = buffer
        buffer += capacity
    s.residual = buffer
    buffer += 3 * capacity
    s.jacobian = buffer
    return buffer + 3 * VARIABLES * capacity


cdef inline void pad_spots(Spots* s) noexcept nogil:
    """Fill the spots after the last one with a copy of it, so that they are finite; they get weight 0."""
    cdef Py_ssize_t i, last = s.n - 1
    s.padded = (s.n + 3) // 4 * 4
    for i in range(s.n, s.padded):
        s.y[i] = s.y[last]
        s.z[i] = s.z[last]
        s.cos_omega[i] = s.cos_omega[last]
        s.sin_omega[i] = s.sin_omega[last]
        s.h[i] = s.h[last]
        s.k[i] = s.k[last]
        s.m[i] = s.m[last]
        s.sign[i] = s.sign[last]
        s.direction[0][i] = s.direction[0][last]
        s.direction[1][i] = s.direction[1][last]
        s.direction[2][i] = s.direction[2][last]


cdef inline void set_grain(Grain* grain, const double* x) noexcept nogil:
    """U, B and U·B of the variables."""
    cdef double turn[9]
    cdef const double* t = x + ORIENTATION
    if grain.parameterisation == EULER:
        euler_matrix(t, grain.u)
    else:
        axis_rotation(t[0], t[1], t[2], sqrt(t[0] * t[0] + t[1] * t[1] + t[2] * t[2]), turn)
        matrix_product(turn, grain.base, grain.u)
    reciprocal_basis(x + CELL, grain.b)
    matrix_product(grain.u, grain.b, grain.ub)


cdef inline void orientation_axes(const Grain* grain, const double* x, double* axes) noexcept nogil:
    """Three axes a_k (one after the other) with dU/dt_k = [a_k]×·U per degree.

    Euler angles turn about z, the line of nodes and the crystal's z; a rotation vector about the columns of the left
    Jacobian I + (1 - cos f)/f² [t]× + (f - sin f)/f³ [t]×².
    """
    cdef const double* t = x + ORIENTATION
    cdef double cross[9]
    cdef double square[9]
    cdef double radians[3]
    cdef double f2, first, second
    cdef int i, j
    if grain.parameterisation == EULER:
        axes[0] = axes[1] = axes[5] = 0.0
        axes[2] = DEG2RAD
        # The line of nodes is (cos psi, sin psi, 0), the crystal's z the last column of U.
        radians[0] = 0.0
        axis_rotation(0.0, 0.0, 1.0, t[0], cross)
        axes[3] = DEG2RAD * cross[0]
        axes[4] = DEG2RAD * cross[3]
        for i in range(3):
            axes[6 + i] = DEG2RAD * grain.u[3 * i + 2]
        return
    f2 = 0.0
    for i in range(3):
        radians[i] = DEG2RAD * t[i]
        f2 += radians[i] * radians[i]
    # Series: the rotation stays below a few degrees, where they are exact to rounding and the quotients are not.
    first = 0.5 - f2 / 24.0 * (1.0 - f2 / 30.0)
    second = 1.0 / 6.0 - f2 / 120.0 * (1.0 - f2 / 42.0)
    cross_matrix(radians, cross)
    matrix_product(cross, cross, square)
    for i in range(3):
        for j in range(3):
            axes[3 * j + i] = DEG2RAD * ((1.0 if i == j else 0.0) + first * cross[3 * i + j]
                                         + second * square[3 * i + j])


cdef inline void derivative_matrices(const Grain* grain, const double* x, double* matrices) noexcept nogil:
    """dG = M_k·(h, k, l) per unit of variable k = 3 … 11: nine 3×3 matrices, the cell's by central differences of B."""
    cdef double axes[9]
    cdef double generator[9]
    cdef double cell[6]
    cdef double plus[9]
    cdef double minus[9]
    cdef double step
    cdef int i, k
    orientation_axes(grain, x, axes)
    for k in range(3):
        cross_matrix(axes + 3 * k, generator)
        matrix_product(generator, grain.ub, matrices + 9 * k)
    for i in range(6):
        cell[i] = x[CELL + i]
    for k in range(6):
        step = 1e-5 * cell[k]
        cell[k] = x[CELL + k] + step
        reciprocal_basis(cell, plus)
        cell[k] = x[CELL + k] - step
        reciprocal_basis(cell, minus)
        cell[k] = x[CELL + k]
        for i in range(9):
            plus[i] = (plus[i] - minus[i]) / (2.0 * step)
        matrix_product(grain.u, plus, matrices + 9 * (3 + k))


cdef inline void predict_reflections(Spots* s, const Grain* grain, const Instrument* instrument) noexcept nogil:
    """G, the rotation angle and the spot of a grain at the origin, without trigonometry."""
    cdef column h = s.h, k = s.k, l3 = s.m, sign = s.sign, gx = s.gx, gy = s.gy, gz = s.gz, e = s.e
    cdef column cos_calc = s.cos_calc, sin_calc = s.sin_calc, scale = s.scale, slope = s.scale_slope
    cdef column y_origin = s.y_origin, z_origin = s.z_origin
    cdef double lsd = instrument.lsd, wavelength = instrument.wavelength
    cdef double u0 = grain.ub[0], u1 = grain.ub[1], u2 = grain.ub[2], u3 = grain.ub[3], u4 = grain.ub[4]
    cdef double u5 = grain.ub[5], u6 = grain.ub[6], u7 = grain.ub[7], u8 = grain.ub[8]
    cdef double x, y, z, g2, scale_i, slope_i, e_i, c_i, s_i
    cdef Py_ssize_t i
    for i in range(s.padded):
        x = u0 * h[i] + u1 * k[i] + u2 * l3[i]
        y = u3 * h[i] + u4 * k[i] + u5 * l3[i]
        z = u6 * h[i] + u7 * k[i] + u8 * l3[i]
        g2 = x * x + y * y + z * z
        omega_branch(x, y, 0.5 * wavelength * g2, sign[i], &e_i, &c_i, &s_i)
        plane_scale_and_slope(lsd, wavelength, sqrt(g2), &scale_i, &slope_i)
        gx[i] = x
        gy[i] = y
        gz[i] = z
        e[i] = e_i
        cos_calc[i] = c_i
        sin_calc[i] = s_i
        scale[i] = scale_i
        slope[i] = slope_i
        y_origin[i] = scale_i * e_i
        z_origin[i] = scale_i * z


cdef inline void recorded_omega(Spots* s, const Instrument* instrument) noexcept nogil:
    """The omega that would be recorded: the predicted one with the wedge correction taken back."""
    cdef double k[3]
    cdef Py_ssize_t i
    for i in range(s.padded):
        k[0] = s.gx[i] * s.cos_calc[i] - s.gy[i] * s.sin_calc[i]
        k[1] = s.e[i]
        k[2] = s.gz[i]
        s.cos_turn[i] = s.cos_calc[i]
        s.sin_turn[i] = s.sin_calc[i]
        lean_omega(instrument, k, &s.cos_turn[i], &s.sin_turn[i])


cdef inline double small_angle(double cosine, double sine) noexcept nogil:
    """The angle in degrees of a cosine and sine, one arcsine."""
    cdef double angle = asin(min(max(sine, -1.0), 1.0))
    if cosine < 0.0:
        angle = copysign(3.141592653589793, sine) - angle
    return RAD2DEG * angle


cdef inline void spot_residuals(Spots* s, const double* x, const Instrument* instrument) noexcept nogil:
    """Calculated minus observed detector position, the grain's position turned by ``turn``."""
    cdef column y = s.y, z = s.z, cos_turn = s.cos_turn, sin_turn = s.sin_turn, shrink = s.shrink
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


cdef inline void residuals(Spots* s, Grain* grain, const double* x, const Instrument* instrument,
                           int objective) noexcept nogil:
    """Unweighted residuals of the variables `x` in the three columns; leaves what `jacobian` needs."""
    cdef Py_ssize_t i, m = s.padded
    cdef double g
    set_grain(grain, x)
    predict_reflections(s, grain, instrument)
    if objective == SPOT_AND_OMEGA:
        recorded_omega(s, instrument)
        spot_residuals(s, x, instrument)
        for i in range(m):
            s.residual[2 * m + i] = small_angle(s.cos_turn[i] * s.cos_omega[i] + s.sin_turn[i] * s.sin_omega[i],
                                                s.sin_turn[i] * s.cos_omega[i] - s.cos_turn[i] * s.sin_omega[i])
    elif objective == SPOT:
        for i in range(m):
            s.cos_turn[i] = s.cos_omega[i]
            s.sin_turn[i] = s.sin_omega[i]
        spot_residuals(s, x, instrument)
    else:
        for i in range(m):
            g = sqrt(s.gx[i] * s.gx[i] + s.gy[i] * s.gy[i] + s.gz[i] * s.gz[i])
            s.residual[i] = RAD2DEG * (s.gx[i] / g - s.direction[0][i])
            s.residual[m + i] = RAD2DEG * (s.gy[i] / g - s.direction[1][i])
            s.residual[2 * m + i] = RAD2DEG * (s.gz[i] / g - s.direction[2][i])


cdef inline double weigh(Spots* s, const Loss* loss, int objective) noexcept nogil:
    """The robust sum; sets the square roots of the weights, already divided by sigma, so that rows scale by them."""
    cdef Py_ssize_t i, m = s.padded
    cdef double inverse_spot = 1.0 / loss.sigma_spot, inverse_omega = 1.0 / loss.sigma_omega
    cdef double a, b, c, term, total = 0.0
    for i in range(s.n):
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


cdef inline void position_columns(Spots* s, const Instrument* instrument, int variable, double* out) noexcept nogil:
    """Weighted derivatives by one coordinate of the position: columns of the turn, leaned by the wedge."""
    cdef Py_ssize_t i, m = s.padded
    cdef column cos_turn = s.cos_turn, sin_turn = s.sin_turn, weight = s.weight_spot
    cdef column y_origin = s.y_origin, z_origin = s.z_origin
    cdef column dy = out, dz = out + m, dw = out + 2 * m
    cdef double cw = instrument.cos_wedge, sw = instrument.sin_wedge, lsd = instrument.lsd
    cdef double ax = 1.0 if variable == 0 else 0.0
    cdef double ay = 1.0 if variable == 1 else 0.0
    cdef double az = 1.0 if variable == 2 else 0.0
    cdef double lab_x, lab_y, ratio
    for i in range(m):
        lab_x = ax * cos_turn[i] - ay * sin_turn[i]
        lab_y = ax * sin_turn[i] + ay * cos_turn[i]
        ratio = (lab_x * cw - az * sw) / lsd
        dy[i] = weight[i] * (lab_y - y_origin[i] * ratio)
        dz[i] = weight[i] * (lab_x * sw + az * cw - z_origin[i] * ratio)
        dw[i] = 0.0


cdef inline void reflection_columns(Spots* s, const double* x, const Instrument* instrument, bint forward,
                                    const double* matrix, double* out) noexcept nogil:
    """Weighted derivatives by a variable that moves G by dG = matrix·(h, k, l).

    With dv = λ G·dG: dω = (dv + dGx cos ω - dGy sin ω)/e and de = dGx sin ω + dGy cos ω - v dω. `forward`: the
    position turns with the predicted omega, and omega is a residual.
    """
    cdef Py_ssize_t i, m = s.padded
    cdef column h = s.h, k = s.k, l3 = s.m, gx = s.gx, gy = s.gy, gz = s.gz, e = s.e, cos_calc = s.cos_calc
    cdef column sin_calc = s.sin_calc, scale = s.scale, slope = s.scale_slope, shrink = s.shrink
    cdef column cos_turn = s.cos_turn, sin_turn = s.sin_turn, y_origin = s.y_origin, z_origin = s.z_origin
    cdef column weight_spot = s.weight_spot, weight_omega = s.weight_omega
    cdef column out_y = out, out_z = out + m, out_omega = out + 2 * m
    cdef double m0 = matrix[0], m1 = matrix[1], m2 = matrix[2], m3 = matrix[3], m4 = matrix[4]
    cdef double m5 = matrix[5], m6 = matrix[6], m7 = matrix[7], m8 = matrix[8]
    cdef double px = x[0], py = x[1], cw = instrument.cos_wedge, sw = instrument.sin_wedge
    cdef double inverse_lsd = 1.0 / instrument.lsd, wavelength = instrument.wavelength
    cdef double follow = 1.0 if forward else 0.0
    cdef double dx, dy, dz, gdg, v, domega, de, dscale, lab_x, lab_y, turned
    for i in range(m):
        dx = m0 * h[i] + m1 * k[i] + m2 * l3[i]
        dy = m3 * h[i] + m4 * k[i] + m5 * l3[i]
        dz = m6 * h[i] + m7 * k[i] + m8 * l3[i]
        gdg = gx[i] * dx + gy[i] * dy + gz[i] * dz
        v = 0.5 * wavelength * (gx[i] * gx[i] + gy[i] * gy[i] + gz[i] * gz[i])
        domega = (wavelength * gdg + dx * cos_calc[i] - dy * sin_calc[i]) / e[i]
        de = dx * sin_calc[i] + dy * cos_calc[i] - v * domega
        dscale = slope[i] * gdg
        turned = follow * domega
        lab_x = px * cos_turn[i] - py * sin_turn[i]
        lab_y = px * sin_turn[i] + py * cos_turn[i]
        out_y[i] = weight_spot[i] * (shrink[i] * (e[i] * dscale + scale[i] * de)
                                     + turned * (lab_x + y_origin[i] * lab_y * cw * inverse_lsd))
        out_z[i] = weight_spot[i] * (shrink[i] * (gz[i] * dscale + scale[i] * dz)
                                     + turned * (z_origin[i] * lab_y * cw * inverse_lsd - lab_y * sw))
        out_omega[i] = weight_omega[i] * RAD2DEG * turned


cdef inline void direction_columns(Spots* s, const double* matrix, double* out) noexcept nogil:
    """Weighted derivatives of the unit vector G/|G| in degrees."""
    cdef Py_ssize_t i, m = s.padded
    cdef double dx, dy, dz, g2, g, along
    for i in range(m):
        dx = matrix[0] * s.h[i] + matrix[1] * s.k[i] + matrix[2] * s.m[i]
        dy = matrix[3] * s.h[i] + matrix[4] * s.k[i] + matrix[5] * s.m[i]
        dz = matrix[6] * s.h[i] + matrix[7] * s.k[i] + matrix[8] * s.m[i]
        g2 = s.gx[i] * s.gx[i] + s.gy[i] * s.gy[i] + s.gz[i] * s.gz[i]
        g = RAD2DEG * s.weight_spot[i] / sqrt(g2)
        along = (s.gx[i] * dx + s.gy[i] * dy + s.gz[i] * dz) / g2
        out[i] = g * (dx - s.gx[i] * along)
        out[m + i] = g * (dy - s.gy[i] * along)
        out[2 * m + i] = g * (dz - s.gz[i] * along)


cdef inline void jacobian(Spots* s, const Grain* grain, const double* x, const Instrument* instrument, int objective,
                          int first, int last) noexcept nogil:
    """Weighted Jacobian of the variables first … last - 1, one block of three columns each, and weighted residuals.

    `residuals` and `weigh` must have run for `x`. The residuals are overwritten.
    """
    cdef double matrices[81]
    cdef Py_ssize_t i, m = s.padded
    cdef int variable
    cdef double* out = s.jacobian
    if last > ORIENTATION:
        derivative_matrices(grain, x, matrices)
    for variable in range(first, last):
        if variable < ORIENTATION:
            position_columns(s, instrument, variable, out)
        elif objective == DIRECTION:
            direction_columns(s, matrices + 9 * (variable - ORIENTATION), out)
        else:
            reflection_columns(s, x, instrument, objective == SPOT_AND_OMEGA,
                               matrices + 9 * (variable - ORIENTATION), out)
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
