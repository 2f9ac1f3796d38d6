"""Refinement of position, orientation and cell of every seed against its spots (spec chapter 06)."""
import numpy as np

from cython.parallel cimport prange, threadid
from libc.math cimport atan2, cos, fabs, fmod, isfinite, sin, sqrt

from midas._ext.geometry cimport DEG2RAD, RAD2DEG, wrap180
from midas._ext.refine_fit cimport MAX_ITERATIONS, Fit, minimise
from midas._ext.refine_match cimport (
    Observed,
    Reflections,
    Region,
    Simulated,
    correct_spot,
    direction_angle,
    nearest_simulated,
    simulate_spots,
)
from midas._ext.refine_model cimport (
    CELL,
    DIRECTION,
    EULER,
    ORIENTATION,
    POSITION,
    ROTATION_VECTOR,
    SPOT,
    SPOT_AND_OMEGA,
    SPOT_COLUMNS,
    VARIABLES,
    Grain,
    Instrument,
    Loss,
    Spots,
    jacobian,
    lay_out_spots,
    pad_spots,
    residuals,
    set_grain,
)
from midas._ext.rotation cimport matrix_euler, orthonormalise

#: what became of a row: the values of the kernel's ``status``
REFINED = 0
NOT_INDEXED = 1
NO_VALID_SPOT = 2
NOTHING_MATCHED = 3
NOT_FINITE = 4

cdef enum:
    _REFINED = 0
    _NOT_INDEXED = 1
    _NO_VALID_SPOT = 2
    _NOTHING_MATCHED = 3
    _NOT_FINITE = 4
    FIT_COLUMNS = 22
    RECORD = 27
    SEED = 15

# Half width of a uniform distribution, and a bit, over its median absolute deviation.
cdef double OMEGA_CORE = 2.4

cdef enum Method:
    JOINT
    STAGED
    CELL_ONLY


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
    bint converge_fully    # epsilon down to 0.01


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


cdef int match_spots(const Match* candidates, Py_ssize_t n, const double* x, Grain* grain, const Problem* problem,
                     Workspace* work, Match* out) noexcept nogil:
    """Match the spots at x; the survivors in order, with reflection and branch (§4.5). `out` may be the input."""
    cdef Observed spot
    cdef Match m
    cdef Py_ssize_t i
    cdef int found, kept = 0
    set_grain(grain, x)
    simulate_spots(&problem.reflections, grain, &problem.instrument, &problem.region, &work.simulated)
    for i in range(n):
        m = candidates[i]
        if problem.table.group[m.row] < 0:
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


cdef void load_spots(const Match* matched, Py_ssize_t n, const double* x, const Problem* problem,
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


cdef void position_bounds(const double* centre, const Problem* problem, Fit* fit) noexcept nogil:
    """Box of half the sample radius around the centre, inside the sample (§4.6)."""
    cdef int i
    cdef double reach = 0.5 * problem.r_sample
    cdef double limit
    for i in range(3):
        limit = problem.r_sample if i < 2 else 0.5 * problem.h_beam
        fit.lower[i] = max(centre[i] - reach, -limit)
        fit.upper[i] = min(centre[i] + reach, limit)


cdef void cell_bounds(const Problem* problem, Fit* fit) noexcept nogil:
    cdef int i
    cdef double margin
    for i in range(6):
        margin = problem.margin_lengths if i < 3 else problem.margin_angles
        fit.lower[CELL + i] = problem.cell[i] * (1.0 - margin)
        fit.upper[CELL + i] = problem.cell[i] * (1.0 + margin)


cdef void orientation_bounds(const double* x, double reach, Fit* fit) noexcept nogil:
    cdef int i
    for i in range(ORIENTATION, CELL):
        fit.lower[i] = x[i] - reach
        fit.upper[i] = x[i] + reach


cdef double median_omega(const Spots* spots) noexcept nogil:
    """Median of the absolute omega residuals, degrees, by bisection."""
    cdef const double* omega = spots.residual + 2 * spots.padded
    cdef double low = 0.0, high = 10.0, middle
    cdef Py_ssize_t i, below
    cdef int _step
    for _step in range(20):
        middle = 0.5 * (low + high)
        below = 0
        for i in range(spots.n):
            below += fabs(omega[i]) <= middle
        if 2 * below < spots.n:
            low = middle
        else:
            high = middle
    return high


cdef void free_variables(Fit* fit, int objective, int first, int last) noexcept nogil:
    fit.objective = objective
    fit.first = first
    fit.last = last


cdef void descend(const Fit* fit, const Problem* problem, Workspace* work, Grain* grain, bint last_only,
                  double* x) noexcept nogil:
    """Minimise with a loss that sharpens from a wide to a narrow core.

    The core of the omega loss stays as wide as the bulk of the omegas is: spots of a single frame scatter uniformly
    over the rotation step, where a mean is better than the median that a narrow core amounts to.
    """
    cdef double epsilons[5]
    cdef double omega_core = 0.0
    cdef Loss loss
    cdef int i, n = 5 if problem.converge_fully else 3
    epsilons[0] = 1.0
    epsilons[1] = 0.3
    epsilons[2] = 0.1
    epsilons[3] = 0.03
    epsilons[4] = 0.01
    # The same epsilon for directions, whose residuals are degrees.
    loss.sigma_spot = problem.sigma_omega if fit.objective == DIRECTION else problem.sigma_spot
    loss.sigma_omega = problem.sigma_omega
    for i in range(n - 1 if last_only else 0, n):
        if fit.objective == SPOT_AND_OMEGA and (i == 1 or last_only):
            residuals(&work.spots, grain, x, &problem.instrument, fit.objective)
            omega_core = OMEGA_CORE * median_omega(&work.spots) / problem.sigma_omega
        loss.epsilon_spot = epsilons[i]
        loss.epsilon_omega = max(epsilons[i], omega_core)
        minimise(fit, &work.spots, grain, &problem.instrument, &loss,
                 4 * MAX_ITERATIONS if problem.converge_fully else MAX_ITERATIONS, x)


cdef int fit_joint(Py_ssize_t n, const Problem* problem, Workspace* work, Grain* grain, double* x) noexcept nogil:
    """All twelve variables together, re-matched once (§10.3); returns the number of spots of the final match."""
    cdef Fit fit
    cdef int kept, attempt
    position_bounds(x, problem, &fit)
    orientation_bounds(x, 2.0, &fit)
    cell_bounds(problem, &fit)
    free_variables(&fit, SPOT_AND_OMEGA, 0, VARIABLES)
    for attempt in range(2):
        kept = match_spots(work.indexed, n, x, grain, problem, work, work.matched)
        if kept == 0:
            return 0
        load_spots(work.matched, kept, x, problem, &work.spots)
        descend(&fit, problem, work, grain, attempt > 0, x)
    return match_spots(work.indexed, n, x, grain, problem, work, work.matched)


cdef int fit_staged(Py_ssize_t n, const Problem* problem, Workspace* work, Grain* grain, double* x) noexcept nogil:
    """The legacy sequence P, O, S, P2 with a match before each (§4.6); returns the spots of the final match."""
    cdef Fit fit
    cdef double trial[VARIABLES]
    cdef int i, kept
    kept = match_spots(work.indexed, n, x, grain, problem, work, work.matched)
    if kept == 0:
        return 0
    # P: everything, the orientation hardly; only the position is kept.
    for i in range(VARIABLES):
        trial[i] = x[i]
    position_bounds(x, problem, &fit)
    orientation_bounds(x, 0.01, &fit)
    cell_bounds(problem, &fit)
    free_variables(&fit, SPOT, 0, VARIABLES)
    load_spots(work.matched, kept, x, problem, &work.spots)
    descend(&fit, problem, work, grain, False, trial)
    kept = match_spots(work.matched, kept, trial, grain, problem, work, work.matched)
    for i in range(ORIENTATION):
        x[i] = trial[i]
    kept = match_spots(work.matched, kept, x, grain, problem, work, work.matched)
    if kept == 0:
        return 0
    # O: orientation and cell from directions; only the orientation is kept.
    for i in range(VARIABLES):
        trial[i] = x[i]
    orientation_bounds(x, 2.0, &fit)
    free_variables(&fit, DIRECTION, ORIENTATION, VARIABLES)
    load_spots(work.matched, kept, x, problem, &work.spots)
    descend(&fit, problem, work, grain, False, trial)
    for i in range(ORIENTATION, CELL):
        x[i] = trial[i]
    # S: the cell, then P2: the position.
    kept = fit_block(work.matched, kept, CELL, VARIABLES, &fit, problem, work, grain, x)
    position_bounds(x, problem, &fit)
    kept = fit_block(work.matched, kept, POSITION, ORIENTATION, &fit, problem, work, grain, x)
    return match_spots(work.matched, kept, x, grain, problem, work, work.matched)


cdef int fit_block(const Match* candidates, Py_ssize_t n, int first, int last, Fit* fit, const Problem* problem,
                   Workspace* work, Grain* grain, double* x) noexcept nogil:
    """Match, then fit one group of variables to the spots; returns the number matched."""
    cdef int kept = match_spots(candidates, n, x, grain, problem, work, work.matched)
    if kept > 0:
        free_variables(fit, SPOT, first, last)
        load_spots(work.matched, kept, x, problem, &work.spots)
        descend(fit, problem, work, grain, False, x)
    return kept


cdef int fit_cell(Py_ssize_t n, const Problem* problem, Workspace* work, Grain* grain, double* x) noexcept nogil:
    """The cell alone, position and orientation as given (§4.9)."""
    cdef Fit fit
    cdef int kept
    cell_bounds(problem, &fit)
    kept = fit_block(work.indexed, n, CELL, VARIABLES, &fit, problem, work, grain, x)
    return match_spots(work.matched, kept, x, grain, problem, work, work.matched)


cdef double plain_angle(double omega) noexcept nogil:
    """The angle reduced to (-180, 180]."""
    if -180.0 < omega <= 180.0:
        return omega
    omega = fmod(omega, 360.0)
    if omega > 180.0:
        return omega - 360.0
    return omega + 360.0 if omega <= -180.0 else omega


cdef void write_spots(Py_ssize_t n, const double* x, const Problem* problem, Workspace* work, double* rows,
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
        if problem.instrument.wedged:
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


cdef int collect_spots(const long long* spot_rows, Py_ssize_t n, const Table* table, Match* out) noexcept nogil:
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


cdef double grain_radius(const long long* spot_rows, const double* radii, Py_ssize_t n, const Table* table,
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


cdef int refine_row(const double* seed, const long long* spot_rows, Py_ssize_t n, int method, const Problem* problem,
                    Workspace* work, double* record, double* rows, int* count) noexcept nogil:
    """One seed; returns its status and, when it was refined, fills the record and its spots."""
    cdef Grain grain
    cdef double x[VARIABLES]
    cdef double limit
    cdef int i, kept
    cdef int valid = collect_spots(spot_rows, n, &problem.table, work.indexed)
    count[0] = 0
    for i in range(RECORD):
        record[i] = 0.0
    if valid == 0:
        return _NO_VALID_SPOT
    for i in range(9):
        grain.base[i] = seed[1 + i]
    orthonormalise(grain.base)
    for i in range(3):
        limit = problem.r_sample if i < 2 else 0.5 * problem.h_beam
        x[i] = seed[10 + i] if method == CELL_ONLY else min(max(seed[10 + i], -limit), limit)
        x[ORIENTATION + i] = 0.0
    for i in range(6):
        x[CELL + i] = problem.cell[i]
    grain.parameterisation = ROTATION_VECTOR
    if method == STAGED:
        grain.parameterisation = EULER
        matrix_euler(grain.base, x + ORIENTATION)
        kept = fit_staged(valid, problem, work, &grain, x)
    elif method == JOINT:
        kept = fit_joint(valid, problem, work, &grain, x)
    else:
        kept = fit_cell(valid, problem, work, &grain, x)
    if kept == 0:
        return _NOTHING_MATCHED
    for i in range(9):
        record[1 + i] = seed[1 + i] if method == CELL_ONLY else grain.u[i]
    for i in range(3):
        record[11 + i] = x[i]
    for i in range(6):
        record[15 + i] = x[CELL + i]
    write_spots(kept, x, problem, work, rows, record)
    for i in range(RECORD):
        if not isfinite(record[i]):
            return _NOT_FINITE
    count[0] = kept
    return _REFINED


cdef Py_ssize_t workspace_doubles(Py_ssize_t spots, Py_ssize_t reflections) noexcept nogil:
    cdef Py_ssize_t padded = (spots + 3) // 4 * 4
    return SPOT_COLUMNS * padded + 9 * 2 * reflections


cdef void lay_out(Workspace* work, Py_ssize_t spots, Py_ssize_t reflections, double* doubles, int* ints,
                  Match* matches) noexcept nogil:
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


cdef class Refiner:
    """Everything that the rows of a run share; `rows` refines some of them.

    Parameters
    ----------
    lsd, wavelength, wedge : sample to detector (µm), wavelength (Å), wedge angle (degrees)
    cell : (6,) float64, the nominal cell in Å and degrees
    margin_lengths, margin_angles : largest relative change of a, b, c and of alpha, beta, gamma
    r_sample, h_beam : the sample is |x|, |y| <= r_sample, |z| <= h_beam/2, µm
    min_eta : degrees around the poles in which no spot is predicted
    ranges, boxes : (k, 2) and (k, 4) float64, where spots can be observed; k = 0: everywhere
    mask, mask_side, px : int32 words whose bits are the live pixels of a square detector; side 0: no mask
    hkl : (3, n) float64 Miller indices, sorted by ring
    group_first : (g + 1,) int32, first reflection of each ring
    spots : (6, s) float64: y, z, omega (without wedge), omega, y, z as recorded; column of spot id r + 1 is r
    spot_group : (s,) int32, ring of each spot as a group of `group_first`; -1 for a ring that is not used
    rejected : (s,) uint8, spots that do not count for the grain radius
    sigma_spot, sigma_omega : scales of the robust loss, µm and degrees
    method : "joint", "staged" (§10.3) or "cell" (position and orientation kept, §4.9)
    converge_fully : sharpen the loss to 0.01 instead of 0.1
    largest_radius : largest instead of mean spot radius
    """

    cdef Problem problem
    cdef int method
    cdef bint largest_radius
    cdef object keep_alive

    def __init__(self, *, double lsd, double wavelength, double wedge, const double[::1] cell, double margin_lengths,
                 double margin_angles, double r_sample, double h_beam, double min_eta, const double[:, ::1] ranges,
                 const double[:, ::1] boxes, const int[::1] mask, long long mask_side, double px,
                 const double[:, ::1] hkl, const int[::1] group_first, const double[:, ::1] spots,
                 const int[::1] spot_group, const unsigned char[::1] rejected, double sigma_spot, double sigma_omega,
                 str method, bint converge_fully, bint largest_radius):
        cdef Problem* p = &self.problem
        cdef int i
        if cell.shape[0] != 6 or hkl.shape[0] != 3 or spots.shape[0] != 6 or group_first.shape[0] < 1:
            raise ValueError("cell, hkl, spots or group_first has the wrong shape")
        if ranges.shape[0] != boxes.shape[0] or ranges.shape[1] != 2 or boxes.shape[1] != 4:
            raise ValueError("ranges must be (k, 2) and boxes (k, 4)")
        if spot_group.shape[0] != spots.shape[1] or rejected.shape[0] != spots.shape[1]:
            raise ValueError("spot_group and rejected must have one entry per spot")
        if group_first[group_first.shape[0] - 1] != hkl.shape[1] or hkl.shape[1] == 0 or spots.shape[1] == 0:
            raise ValueError("there must be reflections, all of them in a group, and spots")
        if max(spot_group) >= group_first.shape[0] - 1:
            raise ValueError("spot_group names a group that does not exist")
        self.keep_alive = (ranges, boxes, mask, hkl, group_first, spots, spot_group, rejected)
        self.method = {"joint": JOINT, "staged": STAGED, "cell": CELL_ONLY}[method]
        self.largest_radius = largest_radius
        p.instrument.lsd = lsd
        p.instrument.wavelength = wavelength
        p.instrument.cos_wedge = cos(DEG2RAD * wedge)
        p.instrument.sin_wedge = sin(DEG2RAD * wedge)
        p.instrument.wedged = wedge != 0.0
        p.region.cos_pole = cos(DEG2RAD * min_eta)
        p.region.n = ranges.shape[0]
        p.region.ranges = &ranges[0, 0] if ranges.shape[0] else NULL
        p.region.boxes = &boxes[0, 0] if boxes.shape[0] else NULL
        p.region.mask = &mask[0] if mask.shape[0] else NULL
        p.region.mask_words = mask.shape[0]
        p.region.mask_size = mask_side
        p.region.px = px
        p.reflections.n = hkl.shape[1]
        p.reflections.groups = group_first.shape[0] - 1
        p.reflections.h = &hkl[0, 0]
        p.reflections.k = &hkl[1, 0]
        p.reflections.m = &hkl[2, 0]
        p.reflections.first = &group_first[0]
        p.table.y = &spots[0, 0]
        p.table.z = &spots[1, 0]
        p.table.omega = &spots[2, 0]
        p.table.omega_raw = &spots[3, 0]
        p.table.y_raw = &spots[4, 0]
        p.table.z_raw = &spots[5, 0]
        p.table.group = &spot_group[0]
        p.table.rejected = &rejected[0]
        for i in range(6):
            p.cell[i] = cell[i]
        p.margin_lengths = margin_lengths
        p.margin_angles = margin_angles
        p.r_sample = r_sample
        p.h_beam = h_beam
        p.sigma_spot = sigma_spot
        p.sigma_omega = sigma_omega
        p.converge_fully = converge_fully

    def rows(self, const double[:, ::1] seeds, const long long[::1] offsets, const long long[::1] spot_rows,
             const double[::1] radii, double[:, ::1] records, double[:, ::1] spots, int[::1] counts, int[::1] status,
             int threads):
        """Refine rows in parallel; each row's result depends on that row alone.

        Parameters
        ----------
        seeds : (n, 15) float64, records of ``IndexBest.bin``
        offsets : (n + 1,) int64; row r was assigned the entries ``offsets[r] : offsets[r + 1]`` of the next two
        spot_rows : int64, 0-based row of each spot in the spot table; -1 when it has none
        radii : float64, grain radius of each spot, µm
        records : (n, 27) float64, filled where the status is REFINED; the four ids are left to the caller
        spots : (offsets[n], 22) float64, row r's matched spots from ``offsets[r]`` on, ids first
        counts, status : (n,) int32, matched spots, and what became of the row
        """
        cdef Py_ssize_t n = seeds.shape[0], row
        cdef Py_ssize_t most = 1, doubles, integers
        cdef Py_ssize_t reflections = self.problem.reflections.n
        cdef const Problem* problem = &self.problem
        cdef int method = self.method, t
        cdef bint largest = self.largest_radius
        if seeds.shape[1] != SEED or records.shape[1] != RECORD or spots.shape[1] != FIT_COLUMNS:
            raise ValueError("seeds, records or spots has the wrong number of columns")
        if not n == offsets.shape[0] - 1 == records.shape[0] == counts.shape[0] == status.shape[0]:
            raise ValueError("seeds, offsets, records, counts and status must have one entry per row")
        for row in range(n):
            if offsets[row + 1] < offsets[row]:
                raise ValueError("offsets must not decrease")
            most = max(most, offsets[row + 1] - offsets[row])
        if not offsets[n] <= min(spot_rows.shape[0], radii.shape[0], spots.shape[0]) or (n and offsets[0] < 0):
            raise ValueError("offsets reach beyond the spots")
        if spot_rows.shape[0] and np.max(spot_rows) >= len(self.keep_alive[6]):
            raise ValueError("spot_rows reaches beyond the spot table")
        if n == 0 or spot_rows.shape[0] == 0:
            if n:
                np.asarray(status)[:] = NOT_INDEXED
            return
        doubles = workspace_doubles(most, reflections)
        integers = 2 * reflections + problem.reflections.groups + 1
        cdef double[:, ::1] double_space = np.empty((threads, doubles))
        cdef int[:, ::1] int_space = np.empty((threads, integers), np.int32)
        cdef unsigned char[:, ::1] match_space = np.empty((threads, 2 * most * sizeof(Match)), np.uint8)
        cdef unsigned char[::1] work_space = np.empty(threads * sizeof(Workspace), np.uint8)
        cdef Workspace* work = <Workspace*>&work_space[0]
        for t in range(threads):
            lay_out(&work[t], most, reflections, &double_space[t, 0], &int_space[t, 0], <Match*>&match_space[t, 0])
        for row in prange(n, nogil=True, num_threads=threads, schedule="dynamic"):
            if offsets[row + 1] == offsets[row]:
                counts[row] = 0
                status[row] = _NOT_INDEXED
            else:
                status[row] = refine_row(
                    &seeds[row, 0], &spot_rows[offsets[row]], offsets[row + 1] - offsets[row], method, problem,
                    &work[threadid()], &records[row, 0], &spots[offsets[row], 0], &counts[row])
                records[row, 25] = grain_radius(&spot_rows[offsets[row]], &radii[offsets[row]],
                                                offsets[row + 1] - offsets[row], &problem.table, largest)
                records[row, 26] = seeds[row, 14] / seeds[row, 13] if seeds[row, 13] > 0.0 else 0.0

    def linearised(self, const double[::1] base, const double[::1] x, const long long[::1] spot_rows, str objective,
                   bint euler=False):
        """Residuals of some spots at given variables and their analytic derivatives, unweighted: what a fit works with.

        Parameters
        ----------
        base : (9,) float64, the orientation that a rotation vector turns; ignored with `euler`
        x : (12,) float64: position (µm), rotation vector or Euler angles (degrees), cell (Å, degrees)
        spot_rows : rows of the spot table, matched with the grain at `x`
        objective : "spot and omega", "spot" or "direction" (§10.3, §4.6)

        Returns
        -------
        residuals : (3, m) float64 of the m spots that were matched: y, z (µm) and omega (degrees), or three directions
        jacobian : (12, 3, m) float64, their derivatives
        """
        cdef Py_ssize_t n = spot_rows.shape[0], reflections = self.problem.reflections.n, i
        cdef int kind = {"spot and omega": SPOT_AND_OMEGA, "spot": SPOT, "direction": DIRECTION}[objective]
        cdef double[::1] doubles = np.empty(workspace_doubles(n, reflections))
        cdef int[::1] integers = np.empty(2 * reflections + self.problem.reflections.groups + 1, np.int32)
        cdef unsigned char[::1] matches = np.empty(2 * n * sizeof(Match), np.uint8)
        cdef Workspace work
        cdef Grain grain
        cdef int kept
        if base.shape[0] != 9 or x.shape[0] != VARIABLES or n == 0:
            raise ValueError("base must have 9, x 12 numbers, and there must be a spot")
        lay_out(&work, n, reflections, &doubles[0], &integers[0], <Match*>&matches[0])
        grain.parameterisation = EULER if euler else ROTATION_VECTOR
        for i in range(9):
            grain.base[i] = base[i]
        kept = collect_spots(&spot_rows[0], n, &self.problem.table, work.indexed)
        kept = match_spots(work.indexed, kept, &x[0], &grain, &self.problem, &work, work.matched)
        if kept == 0:
            return np.empty((3, 0)), np.empty((VARIABLES, 3, 0))
        load_spots(work.matched, kept, &x[0], &self.problem, &work.spots)
        residuals(&work.spots, &grain, &x[0], &self.problem.instrument, kind)
        for i in range(work.spots.padded):
            work.spots.weight_spot[i] = 1.0
            work.spots.weight_omega[i] = 1.0
        jacobian(&work.spots, &grain, &x[0], &self.problem.instrument, kind, 0, VARIABLES)
        columns = 3 * work.spots.padded
        at = np.asarray(<double[:columns]>work.spots.residual).reshape(3, -1)[:, :kept].copy()
        slopes = np.asarray(<double[:VARIABLES * columns]>work.spots.jacobian).reshape(VARIABLES, 3, -1)
        return at, slopes[:, :, :kept].copy()
