"""What a refined seed leaves in the files: matched spots, mean errors, radius (spec chapter 06 §4.8, §5)."""
from libc.math cimport atan2, fabs, fmod, sqrt

from midas._ext.physics.geometry cimport RAD2DEG, wrap180
from midas._ext.refine.match cimport Observed, Simulated, correct_spot, direction_angle, nearest_simulated
from midas._ext.refine.seed cimport Match, Problem, Table, Workspace

cdef enum:
    FIT_COLUMNS = 22


cdef inline double plain_angle(double omega) noexcept nogil:
    """The angle reduced to (-180, 180]."""
    if -180.0 < omega <= 180.0:
        return omega
    omega = fmod(omega, 360.0)
    if omega > 180.0:
        return omega - 360.0
    return omega + 360.0 if omega <= -180.0 else omega


cdef inline void write_spots(Py_ssize_t n, const double* x, const Problem* problem, Workspace* work, double* rows,
                             double* record) noexcept nogil:
    """One row of FitBest per matched spot, and their means in the record; `work.simulated` is that of the match."""
    cdef const Table* table = &problem.table
    cdef const Simulated* simulated = &work.simulated
    cdef Observed spot
    cdef Match m
    cdef double shift, diff_pos = 0.0, diff_ome = 0.0, diff_angle = 0.0
    cdef double* row
    cdef Py_ssize_t i
    cdef int j, at
    for i in range(n):
        m = work.matched[i]
        row = rows + FIT_COLUMNS * i
        correct_spot(table.y_raw[m.row], table.z_raw[m.row], m.cos_omega, m.sin_omega, x, &problem.instrument, &spot)
        at = nearest_simulated(&spot, table.group[m.row], simulated)
        row[0] = m.row + 1
        row[1] = spot.y
        row[2] = spot.z
        row[3] = plain_angle(table.omega_raw[m.row])
        if problem.instrument.sin_wedge != 0.0:
            shift = wrap180(RAD2DEG * (atan2(spot.sin_omega, spot.cos_omega) - atan2(m.sin_omega, m.cos_omega)))
            row[3] = plain_angle(row[3] + shift)
        for j in range(3):
            row[4 + j] = spot.direction[j]
        row[7] = simulated.y[at]
        row[8] = simulated.z[at]
        row[9] = RAD2DEG * atan2(simulated.sin_omega[at], simulated.cos_omega[at])
        row[10] = simulated.gx[at] * simulated.d_spacing[at]
        row[11] = simulated.gy[at] * simulated.d_spacing[at]
        row[12] = simulated.gz[at] * simulated.d_spacing[at]
        row[13] = table.y[m.row]
        row[14] = table.z[m.row]
        row[15] = table.omega[m.row]
        row[16] = table.omega_raw[m.row]
        row[17] = table.y_raw[m.row]
        row[18] = table.z_raw[m.row]
        row[19] = direction_angle(spot.direction, simulated.gx[at], simulated.gy[at], simulated.gz[at])
        row[20] = sqrt((row[1] - row[7]) * (row[1] - row[7]) + (row[2] - row[8]) * (row[2] - row[8]))
        row[21] = fabs(wrap180(row[3] - row[9]))
        diff_angle += row[19]
        diff_pos += row[20]
        diff_ome += row[21]
    record[22] = diff_pos / n
    record[23] = diff_ome / n
    record[24] = diff_angle / n


cdef inline double grain_radius(const long long* spot_rows, const double* radii, Py_ssize_t n, const Table* table,
                                bint largest) noexcept nogil:
    """Mean (or largest) radius of the spots on rings that are not rejected; 0 without any."""
    cdef double total = 0.0, top = 0.0
    cdef Py_ssize_t i, used = 0
    for i in range(n):
        if spot_rows[i] >= 0 and not table.rejected[spot_rows[i]]:
            total += radii[i]
            top = radii[i] if used == 0 or radii[i] > top else top
            used += 1
    if used == 0:
        return 0.0
    return top if largest else total / used
