"""Refinement of position, orientation and cell of every seed against its spots (spec chapter 06)."""
import numpy as np

from cython.parallel cimport prange, threadid
from libc.math cimport cos, isfinite, sin

from midas._ext.physics.geometry cimport DEG2RAD
from midas._ext.refine.model cimport (
    CELL,
    DIRECTION,
    EULER,
    ORIENTATION,
    ROTATION_VECTOR,
    SPOT,
    SPOT_AND_OMEGA,
    VARIABLES,
    Grain,
    jacobian,
    residuals,
)
from midas._ext.refine.record cimport FIT_COLUMNS, grain_radius, write_spots
from midas._ext.refine.seed cimport (
    CELL_ONLY,
    CONVERGED,
    JOINT,
    ROBUST,
    SIMPLEX,
    STAGED,
    Match,
    Problem,
    Workspace,
    collect_spots,
    lay_out,
    load_spots,
    match_spots,
    workspace_doubles,
    workspace_ints,
)
from midas._ext.refine.simplex cimport start_angles
from midas._ext.refine.sequence cimport fit_cell, fit_joint, fit_staged
from midas._ext.physics.region cimport AcceptedRegion
from midas._ext.physics.rotation cimport matrix_euler, orthonormalise

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
    RECORD = 27
    SEED = 15


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
        if problem.solver == SIMPLEX:
            start_angles(grain.base, x + ORIENTATION)
        else:
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


cdef class Refiner:
    """Everything that the rows of a run share; `rows` refines some of them.

    Parameters
    ----------
    lsd, wavelength, wedge : sample to detector (µm), wavelength (Å), wedge angle (degrees)
    cell : (6,) float64, the nominal cell in Å and degrees
    margin_lengths, margin_angles : largest relative change of a, b, c and of alpha, beta, gamma
    r_sample, h_beam : the sample is |x|, |y| <= r_sample, |z| <= h_beam/2, µm
    region : where spots are accepted
    hkl : (3, n) float64 Miller indices, sorted by ring
    group_first : (g + 1,) int32, first reflection of each ring
    spots : (6, s) float64: y, z, omega (without wedge), omega, y, z as recorded; column of spot id r + 1 is r
    spot_group : (s,) int32, ring of each spot as a group of `group_first`; -1 for a ring that is not used
    rejected : (s,) uint8, spots that do not count for the grain radius
    sigma_spot, sigma_omega : scales of the robust loss, µm and degrees
    method : "joint" (§10.3), "staged" (the sequence of §4.6) or "cell" (position and orientation kept, §4.9)
    solver : "robust" (§10.3), "converged" (the same with an epsilon of 0.01) or "simplex" (§4.7; not for "joint")
    largest_radius : largest instead of mean spot radius
    """

    cdef Problem problem
    cdef int method
    cdef bint largest_radius
    cdef object keep_alive

    def __init__(self, *, double lsd, double wavelength, double wedge, const double[::1] cell, double margin_lengths,
                 double margin_angles, double r_sample, double h_beam, AcceptedRegion region not None,
                 const double[:, ::1] hkl, const int[::1] group_first, const double[:, ::1] spots,
                 const int[::1] spot_group, const unsigned char[::1] rejected, double sigma_spot, double sigma_omega,
                 str method, str solver, bint largest_radius):
        cdef Problem* p = &self.problem
        cdef int i
        if cell.shape[0] != 6 or hkl.shape[0] != 3 or spots.shape[0] != 6 or group_first.shape[0] < 1:
            raise ValueError("cell, hkl, spots or group_first has the wrong shape")
        if spot_group.shape[0] != spots.shape[1] or rejected.shape[0] != spots.shape[1]:
            raise ValueError("spot_group and rejected must have one entry per spot")
        if group_first[group_first.shape[0] - 1] != hkl.shape[1] or hkl.shape[1] == 0 or spots.shape[1] == 0:
            raise ValueError("there must be reflections, all of them in a group, and spots")
        if max(spot_group) >= group_first.shape[0] - 1:
            raise ValueError("spot_group names a group that does not exist")
        if solver == "simplex" and method == "joint":
            raise ValueError("the simplex has no objective of all variables together")
        self.keep_alive = (region, hkl, group_first, spots, spot_group, rejected)
        self.method = {"joint": JOINT, "staged": STAGED, "cell": CELL_ONLY}[method]
        self.largest_radius = largest_radius
        p.instrument.lsd = lsd
        p.instrument.wavelength = wavelength
        p.instrument.cos_wedge = cos(DEG2RAD * wedge)
        p.instrument.sin_wedge = sin(DEG2RAD * wedge)
        p.region = region.view
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
        p.solver = {"robust": ROBUST, "converged": CONVERGED, "simplex": SIMPLEX}[solver]

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
        if spot_rows.shape[0] and np.max(spot_rows) >= len(self.keep_alive[4]):
            raise ValueError("spot_rows reaches beyond the spot table")
        if n == 0 or spot_rows.shape[0] == 0:
            if n:
                np.asarray(status)[:] = NOT_INDEXED
            return
        doubles = workspace_doubles(most, reflections)
        integers = workspace_ints(most, reflections, problem.reflections.groups)
        cdef double[:, ::1] double_space = np.empty((threads, doubles))
        cdef int[:, ::1] int_space = np.empty((threads, integers), np.int32)
        cdef unsigned char[:, ::1] match_space = np.empty((threads, 2 * most * sizeof(Match)), np.uint8)
        cdef unsigned char[::1] work_space = np.empty(threads * sizeof(Workspace), np.uint8)
        cdef Workspace* work = <Workspace*>&work_space[0]
        for t in range(threads):
            lay_out(&work[t], most, reflections, problem.reflections.groups, &double_space[t, 0], &int_space[t, 0],
                    <Match*>&match_space[t, 0])
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
        cdef int[::1] integers = np.empty(workspace_ints(n, reflections, self.problem.reflections.groups), np.int32)
        cdef unsigned char[::1] matches = np.empty(2 * n * sizeof(Match), np.uint8)
        cdef Workspace work
        cdef Grain grain
        cdef int kept
        if base.shape[0] != 9 or x.shape[0] != VARIABLES or n == 0:
            raise ValueError("base must have 9, x 12 numbers, and there must be a spot")
        lay_out(&work, n, reflections, self.problem.reflections.groups, &doubles[0], &integers[0], <Match*>&matches[0])
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
