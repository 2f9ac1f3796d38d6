"""Refinement of position, orientation and cell of every seed against its spots (docs/theory/refinement.md)."""
import numpy as np

from cython.parallel cimport prange, threadid
from midas._ext.legacy.euler cimport start_angles
from midas._ext.numerics.stop cimport Listening, stopped
from midas._ext.physics.region cimport AcceptedRegion
from midas._ext.physics.rotation cimport matrix_euler, orthonormalise
from midas._ext.physics.wedge cimport instrument_of
from midas._ext.refine.grain cimport CELL, EULER, ORIENTATION, ROTATION_VECTOR, VARIABLES, Grain
from midas._ext.refine.jacobian cimport jacobian
from midas._ext.refine.model cimport DIRECTION, SPOT, SPOT_AND_OMEGA, residuals
from midas._ext.refine.record cimport MatchedSpot, Solution, is_finite, write_grain, write_spots
from midas._ext.refine.seed cimport (
    CELL_ONLY,
    CONVERGED,
    JOINT,
    ROBUST,
    SIMPLEX,
    STAGED,
    Match,
    RefineProblem,
    RefineWorkspace,
    collect_spots,
    lay_out,
    load_spots,
    match_spots,
    workspace_doubles,
    workspace_ints,
)
from midas._ext.refine.sequence cimport fit_cell, fit_joint, fit_staged

from midas._ext.refine.record import MATCHED_SPOT, SOLUTION

#: what became of a seed
REFINED = 0
NOT_INDEXED = 1
NO_VALID_SPOT = 2
NOTHING_MATCHED = 3
NOT_FINITE = 4

cdef enum:
    _REFINED
    _NOT_INDEXED
    _NO_VALID_SPOT
    _NOTHING_MATCHED
    _NOT_FINITE


cdef enum:
    _AS_GIVEN = 100        # a method beside those of `seed`: nothing is fitted


cdef int _fit(int n, int method, const double* cell, const RefineProblem* problem, RefineWorkspace* work, Grain* grain,
              double* x) noexcept nogil:
    """Fit the variables `x`, from the position there and the orientation ``grain.base``; returns the final matches."""
    cdef int i
    for i in range(6):
        x[CELL + i] = cell[i]
    for i in range(ORIENTATION, CELL):
        x[i] = 0.0
    grain.parameterisation = ROTATION_VECTOR
    if method == _AS_GIVEN:
        return match_spots(work.indexed, n, x, grain, problem, work, work.matched)
    if method == JOINT:
        return fit_joint(n, problem, work, grain, x)
    if method == CELL_ONLY:
        return fit_cell(n, problem, work, grain, x)
    grain.parameterisation = EULER
    if problem.solver == SIMPLEX:
        start_angles(grain.base, x + ORIENTATION)
    else:
        matrix_euler(grain.base, x + ORIENTATION)
    return fit_staged(n, problem, work, grain, x)


cdef int _refine_seed(const double* orientation, const double* position, const double* cell,
                      const long long* spot_rows, Py_ssize_t n, int method, const RefineProblem* problem,
                      RefineWorkspace* work, Solution* solution, MatchedSpot* spots, int* count) noexcept nogil:
    """One seed; returns its status and, when it was refined, fills the solution and its spots."""
    cdef Grain grain
    cdef double x[VARIABLES]
    cdef double limit
    cdef int i, kept
    cdef int valid = collect_spots(spot_rows, n, &problem.recorded, work.indexed)
    count[0] = 0
    if valid == 0:
        return _NO_VALID_SPOT
    for i in range(9):
        grain.base[i] = orientation[i]
    orthonormalise(grain.base)
    for i in range(3):
        limit = problem.r_sample if i < 2 else 0.5 * problem.h_beam
        x[i] = position[i] if method == CELL_ONLY or method == _AS_GIVEN else min(max(position[i], -limit), limit)
    kept = _fit(valid, method, cell, problem, work, &grain, x)
    if kept == 0:
        return _NOTHING_MATCHED
    write_grain(&grain, x, solution)
    if method == CELL_ONLY:
        for i in range(9):
            solution.orientation[i] = orientation[i]
    write_spots(kept, x, problem, work, spots, solution)
    if not is_finite(solution):
        return _NOT_FINITE
    count[0] = kept
    return _REFINED


cdef class Refiner:
    """Everything that the seeds of a run share; `refine` refines some of them.

    Parameters
    ----------
    region : where spots can be observed
    instrument, reflections, recorded, bounds, recipe : of `midas._ext.refine.settings`

    Raises
    ------
    ValueError
        for arrays that do not fit together
    """

    cdef RefineProblem problem
    cdef int method
    cdef Py_ssize_t spots
    cdef object keep_alive

    def __init__(self, instrument, AcceptedRegion region not None, reflections, recorded, bounds, recipe):
        self.keep_alive = [region]
        self._set_instrument(instrument)
        self.problem.region = region.view
        self._set_reflections(reflections)
        self._set_recorded(recorded)
        self._set_bounds(bounds)
        self._set_recipe(recipe)

    cdef _set_instrument(self, instrument):
        tx, ty, tz = instrument.tilts
        self.problem.instrument = instrument_of(
            instrument.lsd, instrument.wavelength, instrument.wedge, instrument.exact_wedge, tx, ty, tz)

    cdef _set_reflections(self, reflections):
        cdef const double[:, ::1] hkl = reflections.hkl
        cdef const int[::1] first = reflections.first
        if hkl.shape[0] != 3 or first.shape[0] < 1 or hkl.shape[1] == 0 or first[first.shape[0] - 1] != hkl.shape[1]:
            raise ValueError("there must be reflections (3, n), all of them in a group")
        self.keep_alive += [hkl, first]
        self.problem.reflections.n = hkl.shape[1]
        self.problem.reflections.groups = first.shape[0] - 1
        self.problem.reflections.h = &hkl[0, 0]
        self.problem.reflections.k = &hkl[1, 0]
        self.problem.reflections.l = &hkl[2, 0]
        self.problem.reflections.first = &first[0]

    cdef _set_recorded(self, recorded):
        cdef const double[::1] y = recorded.y_plane, z = recorded.z_plane, omega = recorded.omega_recorded
        cdef const int[::1] group = recorded.group
        cdef const double[::1] certainty
        certainty = np.ones(group.shape[0]) if recorded.certainty is None else recorded.certainty
        if (group.shape[0] == 0
                or not group.shape[0] == y.shape[0] == z.shape[0] == omega.shape[0] == certainty.shape[0]):
            raise ValueError("there must be spots, and one entry per spot in each column")
        if max(group) >= self.problem.reflections.groups:
            raise ValueError("a spot is in a group that does not exist")
        self.keep_alive += [y, z, omega, group, certainty]
        self.spots = group.shape[0]
        self.problem.recorded.y_plane = &y[0]
        self.problem.recorded.z_plane = &z[0]
        self.problem.recorded.omega_recorded = &omega[0]
        self.problem.recorded.group = &group[0]
        self.problem.recorded.certainty = &certainty[0]

    cdef _set_bounds(self, bounds):
        cdef const double[::1] cell = bounds.cell
        cdef int i
        if cell.shape[0] != 6:
            raise ValueError("the cell must have six numbers")
        for i in range(6):
            self.problem.cell[i] = cell[i]
        self.problem.margin_lengths = bounds.margin_lengths
        self.problem.margin_angles = bounds.margin_angles
        self.problem.r_sample = bounds.r_sample
        self.problem.h_beam = bounds.h_beam

    cdef _set_recipe(self, recipe):
        if recipe.solver == "simplex" and recipe.method == "joint":
            raise ValueError("the simplex has no objective of all variables together")
        self.method = {"joint": JOINT, "staged": STAGED, "cell": CELL_ONLY}[recipe.method]
        self.problem.joint = self.method == JOINT
        self.problem.solver = {"robust": ROBUST, "converged": CONVERGED, "simplex": SIMPLEX}[recipe.solver]
        self.problem.sigma_spot = recipe.sigma_spot
        self.problem.sigma_omega = recipe.sigma_omega

    def refine(self, const double[:, ::1] orientations, const double[:, ::1] positions, const long long[::1] offsets,
               const long long[::1] spot_rows, int threads=1, const double[:, ::1] cells=None, bint fit=True):
        """Refine seeds in parallel; the result of each depends on that seed alone.

        Parameters
        ----------
        orientations : (n, 9) float64, U row-major, crystal to sample; a matrix that is rounded will do
        positions : (n, 3) float64, µm
        offsets : (n + 1,) int64; seed i was assigned the entries ``offsets[i] : offsets[i + 1]`` of the next
        spot_rows : int64, row of each spot among the recorded ones; -1 when it has none
        cells : (n, 6) float64, Å and degrees, where the fit starts; by default the nominal cell
        fit : whether anything is fitted; else the spots are only compared with what is given

        Returns
        -------
        solutions : (n,) of `SOLUTION`; only those of refined seeds mean something
        spots : (offsets[n],) of `MATCHED_SPOT`; those of seed i stand from ``offsets[i]`` on
        counts, status : (n,) int32, matched spots, and what became of the seed
        """
        cdef Py_ssize_t n = positions.shape[0], i, most
        cdef int method = self.method if fit else _AS_GIVEN
        cdef const RefineProblem* problem = &self.problem
        cdef RefineWorkspace* work
        cdef const double[:, ::1] start = self._start_cells(n, cells)
        most = self._most_spots(orientations, positions, offsets, spot_rows)
        solutions_array, spots_array = np.zeros(n, SOLUTION), np.empty(offsets[n], MATCHED_SPOT)
        counts_array, status_array = np.zeros(n, np.int32), np.full(n, NOT_INDEXED, np.int32)
        if most == 0:
            return solutions_array, spots_array, counts_array, status_array
        cdef Solution[::1] solutions = solutions_array
        cdef MatchedSpot[::1] spots = spots_array
        cdef int[::1] counts = counts_array, status = status_array
        space = _Workspaces(threads, most, problem.reflections.n, problem.reflections.groups)
        work = (<_Workspaces>space).works
        with Listening():
            for i in prange(n, nogil=True, num_threads=threads, schedule="dynamic"):
                if offsets[i + 1] > offsets[i] and not stopped():
                    status[i] = _refine_seed(
                        &orientations[i, 0], &positions[i, 0], &start[i, 0], &spot_rows[offsets[i]],
                        offsets[i + 1] - offsets[i], method, problem, &work[threadid()], &solutions[i],
                        &spots[offsets[i]], &counts[i])
        return solutions_array, spots_array, counts_array, status_array

    cdef _start_cells(self, Py_ssize_t n, const double[:, ::1] cells):
        """The cell at which the fit of each seed starts, (n, 6)."""
        if cells is None:
            return np.tile(np.asarray(<double[:6]>self.problem.cell), (n, 1))
        if cells.shape[0] != n or cells.shape[1] != 6:
            raise ValueError("cells must be (n, 6)")
        return cells

    cdef Py_ssize_t _most_spots(self, const double[:, ::1] orientations, const double[:, ::1] positions,
                                const long long[::1] offsets, const long long[::1] spot_rows) except -1:
        """Largest number of spots of a seed, once the arrays fit together."""
        cdef Py_ssize_t n = positions.shape[0], i, most = 0
        if orientations.shape[1] != 9 or positions.shape[1] != 3:
            raise ValueError("orientations must be (n, 9) and positions (n, 3)")
        if not n == offsets.shape[0] - 1 == orientations.shape[0]:
            raise ValueError("orientations, positions and offsets must have one entry per seed")
        for i in range(n):
            if offsets[i + 1] < offsets[i]:
                raise ValueError("offsets must not decrease")
            most = max(most, offsets[i + 1] - offsets[i])
        if offsets[0] < 0 or offsets[n] > spot_rows.shape[0]:
            raise ValueError("offsets reach beyond the spots")
        if spot_rows.shape[0] and np.max(spot_rows) >= self.spots:
            raise ValueError("spot_rows reaches beyond the recorded spots")
        return most

    def linearised(self, const double[::1] base, const double[::1] x, const long long[::1] spot_rows, str objective,
                   bint euler=False):
        """Residuals of some spots at given variables and their analytic derivatives, unweighted: what a fit works with.

        Parameters
        ----------
        base : (9,) float64, the orientation that a rotation vector turns; ignored with `euler`
        x : (12,) float64: position (µm), rotation vector or Euler angles (degrees), cell (Å, degrees)
        spot_rows : rows of the recorded spots, matched with the grain at `x`
        objective : "spot and omega", "spot" or "direction" (docs/theory/refinement.md#residuals)

        Returns
        -------
        residuals : (3, m) float64 of the m spots that were matched: y, z (µm) and omega (degrees), or three directions
        jacobian : (12, 3, m) float64, their derivatives
        """
        cdef Py_ssize_t n = spot_rows.shape[0], i
        cdef int kind = {"spot and omega": SPOT_AND_OMEGA, "spot": SPOT, "direction": DIRECTION}[objective]
        cdef RefineWorkspace* work
        cdef Grain grain
        cdef int kept
        if base.shape[0] != 9 or x.shape[0] != VARIABLES or n == 0:
            raise ValueError("base must have 9, x 12 numbers, and there must be a spot")
        space = _Workspaces(1, n, self.problem.reflections.n, self.problem.reflections.groups)
        work = (<_Workspaces>space).works
        grain.parameterisation = EULER if euler else ROTATION_VECTOR
        for i in range(9):
            grain.base[i] = base[i]
        kept = collect_spots(&spot_rows[0], n, &self.problem.recorded, work.indexed)
        kept = match_spots(work.indexed, kept, &x[0], &grain, &self.problem, work, work.matched)
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


cdef class _Workspaces:
    """Buffers for so many threads, and the workspaces that point into them."""

    cdef RefineWorkspace* works
    cdef object buffers

    def __cinit__(self, int threads, Py_ssize_t spots, Py_ssize_t reflections, Py_ssize_t groups):
        cdef int t
        cdef double[:, ::1] doubles = np.empty((threads, workspace_doubles(spots, reflections)))
        cdef int[:, ::1] ints = np.empty((threads, workspace_ints(spots, reflections, groups)), np.int32)
        cdef unsigned char[:, ::1] matches = np.empty((threads, 2 * spots * sizeof(Match)), np.uint8)
        cdef unsigned char[::1] works = np.empty(threads * sizeof(RefineWorkspace), np.uint8)
        self.buffers = (doubles, ints, matches, works)
        self.works = <RefineWorkspace*>&works[0]
        for t in range(threads):
            lay_out(&self.works[t], spots, reflections, groups, &doubles[t, 0], &ints[t, 0], <Match*>&matches[t, 0])
