"""Which variables are fitted in which order: all at once, the legacy sequence, the cell alone.

See docs/theory/refinement.md#joint-method, docs/theory/refinement.md#staged-sequence and
docs/theory/refinement.md#cell-alone.
"""
from libc.math cimport fabs

from midas._ext.legacy.simplex cimport PlainSum, search
from midas._ext.refine.fit cimport MAX_ITERATIONS, VariableBlock, minimise
from midas._ext.refine.grain cimport CELL, ORIENTATION, POSITION, VARIABLES
from midas._ext.refine.model cimport DIRECTION, SPOT, SPOT_AND_OMEGA, Loss, residuals
from midas._ext.refine.seed cimport CONVERGED, SIMPLEX, Match, load_spots, match_spots
from midas._ext.refine.spots cimport FitSpots

#: half width of a uniform distribution, and a bit, over its median absolute deviation
cdef double OMEGA_CORE = 2.4


cdef inline void _position_bounds(const double* centre, const RefineProblem* problem,
                                  VariableBlock* block) noexcept nogil:
    """Box of half the sample radius around the centre, inside the sample (docs/theory/refinement.md#position-box)."""
    cdef int i
    cdef double reach = 0.5 * problem.r_sample
    cdef double limit
    for i in range(3):
        limit = problem.r_sample if i < 2 else 0.5 * problem.h_beam
        block.lower[i] = max(centre[i] - reach, -limit)
        block.upper[i] = min(centre[i] + reach, limit)


cdef inline void _cell_bounds(const RefineProblem* problem, VariableBlock* block) noexcept nogil:
    cdef int i
    cdef double margin
    for i in range(6):
        margin = problem.margin_lengths if i < 3 else problem.margin_angles
        block.lower[CELL + i] = problem.cell[i] * (1.0 - margin)
        block.upper[CELL + i] = problem.cell[i] * (1.0 + margin)


cdef inline void _orientation_bounds(const double* x, double reach, VariableBlock* block) noexcept nogil:
    cdef int i
    for i in range(ORIENTATION, CELL):
        block.lower[i] = x[i] - reach
        block.upper[i] = x[i] + reach


cdef inline double _median_omega(const FitSpots* spots) noexcept nogil:
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


cdef inline void _free_variables(VariableBlock* block, int objective, int first, int stop) noexcept nogil:
    block.objective = objective
    block.first = first
    block.stop = stop


cdef void _descend(const VariableBlock* block, const RefineProblem* problem, RefineWorkspace* work, Grain* grain,
                   bint last_only, double* x) noexcept nogil:
    """Minimise with a loss that sharpens from a wide to a narrow core.

    The core of the omega loss stays as wide as the bulk of the omegas is: spots of a single frame scatter uniformly
    over the rotation step, where a mean is better than the median that a narrow core amounts to.
    """
    cdef double epsilons[5]
    cdef double omega_core = 0.0
    cdef Loss loss
    cdef int i, n = 5 if problem.solver == CONVERGED else 3
    epsilons[0] = 1.0
    epsilons[1] = 0.3
    epsilons[2] = 0.1
    epsilons[3] = 0.03
    epsilons[4] = 0.01
    # The same epsilon for directions, whose residuals are degrees.
    loss.sigma_spot = problem.sigma_omega if block.objective == DIRECTION else problem.sigma_spot
    loss.sigma_omega = problem.sigma_omega
    for i in range(n - 1 if last_only else 0, n):
        if block.objective == SPOT_AND_OMEGA and (i == 1 or last_only):
            residuals(&work.spots, grain, x, &problem.instrument, block.objective)
            omega_core = OMEGA_CORE * _median_omega(&work.spots) / problem.sigma_omega
        loss.epsilon_spot = epsilons[i]
        loss.epsilon_omega = max(epsilons[i], omega_core)
        minimise(block, &work.spots, grain, &problem.instrument, &loss,
                 4 * MAX_ITERATIONS if problem.solver == CONVERGED else MAX_ITERATIONS, x)


cdef int fit_joint(Py_ssize_t n, const RefineProblem* problem, RefineWorkspace* work, Grain* grain,
                   double* x) noexcept nogil:
    """All twelve variables together, re-matched once; returns the spots of the final match."""
    cdef VariableBlock block
    cdef int kept, attempt
    _position_bounds(x, problem, &block)
    _orientation_bounds(x, 2.0, &block)
    _cell_bounds(problem, &block)
    _free_variables(&block, SPOT_AND_OMEGA, 0, VARIABLES)
    for attempt in range(2):
        kept = match_spots(work.indexed, n, x, grain, problem, work, work.matched)
        if kept == 0:
            return 0
        load_spots(work.matched, kept, x, problem, &work.spots)
        _descend(&block, problem, work, grain, attempt > 0, x)
    return match_spots(work.indexed, n, x, grain, problem, work, work.matched)


cdef void _lower_plain_sum(const VariableBlock* block, Py_ssize_t n, const RefineProblem* problem,
                           RefineWorkspace* work, const Grain* grain, double* x) noexcept nogil:
    """The legacy minimiser on the n loaded spots, with the arrays that the robust fit would use."""
    cdef PlainSum s
    cdef double trial[VARIABLES]
    cdef Py_ssize_t i
    for i in range(VARIABLES):
        trial[i] = x[i]
    for i in range(9):
        s.u[i] = grain.u[i]
    for i in range(n):
        work.reflection[i] = work.matched[i].reflection
    for i in range(3):
        s.direction[i] = work.spots.direction[i]
    s.instrument = &problem.instrument
    s.region = &problem.region
    s.of_angles = block.objective == DIRECTION
    s.position = trial
    s.euler = trial + ORIENTATION
    s.cell = trial + CELL
    s.free = trial + block.first
    s.moves = block.first < ORIENTATION
    s.turns = block.first < CELL and block.stop > ORIENTATION
    s.strains = block.stop > CELL
    s.h = problem.reflections.h
    s.k = problem.reflections.k
    s.l = problem.reflections.l
    s.observable = work.predicted.reflection
    s.in_use = work.predicted.reflection + problem.reflections.n
    s.y_ideal = work.predicted.y_ideal
    s.z_ideal = work.predicted.z_ideal
    s.gx = work.predicted.gx
    s.gy = work.predicted.gy
    s.gz = work.predicted.gz
    s.spots = n
    s.y_plane = work.spots.y_plane
    s.z_plane = work.spots.z_plane
    s.omega_recorded = work.spots.omega_recorded
    s.cos_recorded = work.spots.cos_recorded
    s.sin_recorded = work.spots.sin_recorded
    s.reflection = work.reflection
    s.branch = work.spots.branch
    s.place = work.place
    s.y_centred = work.spots.y_origin
    s.z_centred = work.spots.z_origin
    search(&s, <int>problem.reflections.n, block.stop - block.first, block.lower + block.first,
           block.upper + block.first, x + block.first)


cdef void _solve(VariableBlock* block, int objective, int first, int stop, Py_ssize_t n, const RefineProblem* problem,
                 RefineWorkspace* work, Grain* grain, double* x) noexcept nogil:
    """Fit the variables first … stop - 1 to the n matched spots."""
    _free_variables(block, objective, first, stop)
    load_spots(work.matched, n, x, problem, &work.spots)
    if problem.solver == SIMPLEX:
        _lower_plain_sum(block, n, problem, work, grain, x)
    else:
        _descend(block, problem, work, grain, False, x)


cdef int _fit_block(const Match* candidates, Py_ssize_t n, int first, int stop, VariableBlock* block,
                    const RefineProblem* problem, RefineWorkspace* work, Grain* grain, double* x) noexcept nogil:
    """Match, then fit one group of variables to the spots; returns the number matched."""
    cdef int kept = match_spots(candidates, n, x, grain, problem, work, work.matched)
    if kept > 0:
        _solve(block, SPOT, first, stop, kept, problem, work, grain, x)
    return kept


cdef int fit_staged(Py_ssize_t n, const RefineProblem* problem, RefineWorkspace* work, Grain* grain,
                    double* x) noexcept nogil:
    """The legacy sequence P, O, S, P2 with a match before each; returns the spots of the final match."""
    cdef VariableBlock block
    cdef double trial[VARIABLES]
    cdef int i, kept
    kept = match_spots(work.indexed, n, x, grain, problem, work, work.matched)
    if kept == 0:
        return 0
    # P: everything, the orientation hardly; only the position is kept.
    for i in range(VARIABLES):
        trial[i] = x[i]
    _position_bounds(x, problem, &block)
    _orientation_bounds(x, 0.01, &block)
    _cell_bounds(problem, &block)
    _solve(&block, SPOT, 0, VARIABLES, kept, problem, work, grain, trial)
    # The legacy program leaves out as many spots as P lost, but the last ones of the list.
    kept = match_spots(work.matched, kept, trial, grain, problem, work, work.indexed)
    for i in range(ORIENTATION):
        x[i] = trial[i]
    kept = match_spots(work.matched if problem.solver == SIMPLEX else work.indexed, kept, x, grain, problem, work,
                       work.matched)
    if kept == 0:
        return 0
    # O: orientation and cell from directions; only the orientation is kept.
    for i in range(VARIABLES):
        trial[i] = x[i]
    _orientation_bounds(x, 2.0, &block)
    _solve(&block, DIRECTION, ORIENTATION, VARIABLES, kept, problem, work, grain, trial)
    for i in range(ORIENTATION, CELL):
        x[i] = trial[i]
    # S: the cell, then P2: the position.
    kept = _fit_block(work.matched, kept, CELL, VARIABLES, &block, problem, work, grain, x)
    _position_bounds(x, problem, &block)
    kept = _fit_block(work.matched, kept, POSITION, ORIENTATION, &block, problem, work, grain, x)
    return match_spots(work.matched, kept, x, grain, problem, work, work.matched)


cdef int fit_cell(Py_ssize_t n, const RefineProblem* problem, RefineWorkspace* work, Grain* grain,
                  double* x) noexcept nogil:
    """The cell alone, position and orientation as given."""
    cdef VariableBlock block
    cdef int kept
    _cell_bounds(problem, &block)
    kept = _fit_block(work.indexed, n, CELL, VARIABLES, &block, problem, work, grain, x)
    return match_spots(work.matched, kept, x, grain, problem, work, work.matched)
