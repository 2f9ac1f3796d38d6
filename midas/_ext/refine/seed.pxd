"""What all seeds share, the workspace of a thread, and the match of a seed's spots (spec chapter 06 §4.4-4.5)."""
from libc.math cimport cos, sin

from midas._ext.legacy.displacement cimport unshift_spot_by_ray
from midas._ext.legacy.wedge cimport legacy_loses_spot
from midas._ext.physics.geometry cimport DEG2RAD
from midas._ext.refine.match cimport (
    Observed,
    Reflections,
    Region,
    Simulated,
    correct_spot,
    nearest_simulated,
    simulate_spots,
)
from midas._ext.refine.model cimport SPOT_COLUMNS, Grain, Spots, lay_out_spots, pad_spots, set_grain
from midas._ext.physics.wedge cimport Instrument, leaned_position


cdef enum Method:
    JOINT
    STAGED
    CELL_ONLY


cdef enum Solver:
    ROBUST                 # the robust loss down to epsilon 0.1
    CONVERGED              # down to 0.01, and four times the iterations
    SIMPLEX                # plain sums, the legacy minimiser


cdef struct Table:
    # Columns of ExtraInfo, one entry per spot id
    const double* y
    const double* z
    const double* omega
    const double* omega_raw
    const double* y_raw
    const double* z_raw
    const int* group       # ring group of the reflections, -1 for a ring that is not used
    const unsigned char* rejected


cdef struct Problem:
    Instrument instrument
    Region region
    Reflections reflections
    Table table
    double cell[6]
    double margin_lengths  # relative
    double margin_angles
    double r_sample        # µm
    double h_beam
    double sigma_spot
    double sigma_omega
    int solver


cdef struct Match:
    long long row          # of the spot table
    int reflection
    double sign
    double cos_omega
    double sin_omega


cdef struct Workspace:
    Spots spots
    Simulated simulated
    Match* indexed         # what the indexer assigned
    Match* matched
    int* branch            # SIMPLEX: which observable branch of its reflection a spot is compared with


cdef inline void spot_at_origin(const Match* match, const double* position, const Problem* problem, double* y,
                                double* z) noexcept nogil:
    """Where the spot would be if the grain were at the origin, in the legacy rounding."""
    cdef double leaned[3]
    leaned_position(&problem.instrument, match.cos_omega, match.sin_omega, position, leaned)
    y[0] = problem.table.y_raw[match.row]
    z[0] = problem.table.z_raw[match.row]
    unshift_spot_by_ray(problem.instrument.lsd, leaned, y, z)


cdef inline bint is_lost(const Match* match, const double* x, const Problem* problem) noexcept nogil:
    """Whether the legacy program would lose the spot (defect D4), which the comparison with it has to follow."""
    cdef double y, z
    spot_at_origin(match, x, problem, &y, &z)
    return legacy_loses_spot(&problem.instrument, y, z, problem.table.omega_raw[match.row])


cdef inline int match_spots(const Match* candidates, Py_ssize_t n, const double* x, Grain* grain,
                            const Problem* problem, Workspace* work, Match* out) noexcept nogil:
    """Match the spots at x; the survivors in order, with reflection and branch (§4.5). `out` may be the input."""
    cdef Observed spot
    cdef Match m
    cdef Py_ssize_t i
    cdef int found, kept = 0
    set_grain(grain, x)
    simulate_spots(&problem.reflections, grain, &problem.instrument, &problem.region, &work.simulated)
    for i in range(n):
        m = candidates[i]
        if problem.table.group[m.row] < 0 or (problem.solver == SIMPLEX and is_lost(&m, x, problem)):
            continue
        correct_spot(problem.table.y_raw[m.row], problem.table.z_raw[m.row], m.cos_omega, m.sin_omega, x,
                     &problem.instrument, &spot)
        found = nearest_simulated(&spot, problem.table.group[m.row], &work.simulated)
        if found >= 0:
            m.reflection = work.simulated.reflection[found]
            m.sign = work.simulated.sign[found]
            out[kept] = m
            kept += 1
    return kept


cdef inline void load_spots(const Match* matched, Py_ssize_t n, const double* x, const Problem* problem,
                            Spots* spots) noexcept nogil:
    """The matched spots as columns; the observed directions are those for the position in x."""
    cdef const Reflections* reflections = &problem.reflections
    cdef Observed spot
    cdef Py_ssize_t i, j
    for i in range(n):
        spots.y[i] = problem.table.y_raw[matched[i].row]
        spots.z[i] = problem.table.z_raw[matched[i].row]
        spots.cos_omega[i] = matched[i].cos_omega
        spots.sin_omega[i] = matched[i].sin_omega
        spots.h[i] = reflections.h[matched[i].reflection]
        spots.k[i] = reflections.k[matched[i].reflection]
        spots.m[i] = reflections.m[matched[i].reflection]
        spots.sign[i] = matched[i].sign
        correct_spot(spots.y[i], spots.z[i], spots.cos_omega[i], spots.sin_omega[i], x, &problem.instrument, &spot)
        for j in range(3):
            spots.direction[j][i] = spot.direction[j]
    spots.n = n
    pad_spots(spots)


cdef inline int collect_spots(const long long* spot_rows, Py_ssize_t n, const Table* table, Match* out) noexcept nogil:
    """The indexer's spots whose id is one of the spot table."""
    cdef Py_ssize_t i
    cdef int kept = 0
    for i in range(n):
        if spot_rows[i] >= 0:
            out[kept].row = spot_rows[i]
            out[kept].cos_omega = cos(DEG2RAD * table.omega_raw[spot_rows[i]])
            out[kept].sin_omega = sin(DEG2RAD * table.omega_raw[spot_rows[i]])
            kept += 1
    return kept


cdef inline Py_ssize_t workspace_doubles(Py_ssize_t spots, Py_ssize_t reflections) noexcept nogil:
    cdef Py_ssize_t padded = (spots + 3) // 4 * 4
    return SPOT_COLUMNS * padded + 9 * 2 * reflections


cdef inline Py_ssize_t workspace_ints(Py_ssize_t spots, Py_ssize_t reflections, Py_ssize_t groups) noexcept nogil:
    return 2 * reflections + groups + 1 + spots


cdef inline void lay_out(Workspace* work, Py_ssize_t spots, Py_ssize_t reflections, Py_ssize_t groups, double* doubles,
                         int* ints, Match* matches) noexcept nogil:
    """Point the workspace of one thread into its buffers."""
    cdef Py_ssize_t padded = (spots + 3) // 4 * 4
    cdef double* at = lay_out_spots(&work.spots, padded, doubles)
    work.simulated.sign = at
    work.simulated.gx = at + 2 * reflections
    work.simulated.gy = at + 4 * reflections
    work.simulated.gz = at + 6 * reflections
    work.simulated.d_spacing = at + 8 * reflections
    work.simulated.y = at + 10 * reflections
    work.simulated.z = at + 12 * reflections
    work.simulated.cos_omega = at + 14 * reflections
    work.simulated.sin_omega = at + 16 * reflections
    work.simulated.reflection = ints
    work.simulated.first = ints + 2 * reflections
    work.indexed = matches
    work.matched = matches + spots
    work.branch = ints + 2 * reflections + groups + 1
