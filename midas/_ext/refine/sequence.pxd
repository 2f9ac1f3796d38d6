"""Which variables are fitted in which order: all at once, the legacy sequence, the cell alone (06 §4.6-4.9, §10.3)."""
from libc.math cimport fabs

from midas._ext.refine.fit cimport MAX_ITERATIONS, Fit, minimise
from midas._ext.refine.model cimport (
    CELL,
    DIRECTION,
    ORIENTATION,
    POSITION,
    SPOT,
    SPOT_AND_OMEGA,
    VARIABLES,
    Grain,
    Loss,
    Spots,
    residuals,
)
from midas._ext.refine.seed cimport CONVERGED, SIMPLEX, Match, Problem, Workspace, load_spots, match_spots
from midas._ext.refine.simplex cimport search

cdef extern from *:
    """
    /* Half width of a uniform distribution, and a bit, over its median absolute deviation. */
    #define MIDAS_OMEGA_CORE 2.4
    """
    const double OMEGA_CORE "MIDAS_OMEGA_CORE"


cdef inline void position_bounds(const double* centre, const Problem* problem, Fit* fit) noexcept nogil:
    """Box of half the sample radius around the centre, inside the sample (§4.6)."""
    cdef int i
    cdef double reach = 0.5 * problem.r_sample
    cdef double limit
    for i in range(3):
        limit = problem.r_sample if i < 2 else 0.5 * problem.h_beam
        fit.lower[i] = max(centre[i] - reach, -limit)
        fit.upper[i] = min(centre[i] + reach, limit)


cdef inline void cell_bounds(const Problem* problem, Fit* fit) noexcept nogil:
    cdef int i
    cdef double margin
    for i in range(6):
        margin = problem.margin_lengths if i < 3 else problem.margin_angles
        fit.lower[CELL + i] = problem.cell[i] * (1.0 - margin)
        fit.upper[CELL + i] = problem.cell[i] * (1.0 + margin)


cdef inline void orientation_bounds(const double* x, double reach, Fit* fit) noexcept nogil:
    cdef int i
    for i in range(ORIENTATION, CELL):
        fit.lower[i] = x[i] - reach
        fit.upper[i] = x[i] + reach


cdef inline double median_omega(const Spots* spots) noexcept nogil:
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


cdef inline void free_variables(Fit* fit, int objective, int first, int last) noexcept nogil:
    fit.objective = objective
    fit.first = first
    fit.last = last


cdef inline void descend(const Fit* fit, const Problem* problem, Workspace* work, Grain* grain, bint last_only,
                         double* x) noexcept nogil:
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
    loss.sigma_spot = problem.sigma_omega if fit.objective == DIRECTION else problem.sigma_spot
    loss.sigma_omega = problem.sigma_omega
    for i in range(n - 1 if last_only else 0, n):
        if fit.objective == SPOT_AND_OMEGA and (i == 1 or last_only):
            residuals(&work.spots, grain, x, &problem.instrument, fit.objective)
            omega_core = OMEGA_CORE * median_omega(&work.spots) / problem.sigma_omega
        loss.epsilon_spot = epsilons[i]
        loss.epsilon_omega = max(epsilons[i], omega_core)
        minimise(fit, &work.spots, grain, &problem.instrument, &loss,
                 4 * MAX_ITERATIONS if problem.solver == CONVERGED else MAX_ITERATIONS, x)


cdef inline int fit_joint(Py_ssize_t n, const Problem* problem, Workspace* work, Grain* grain,
                          double* x) noexcept nogil:
    """All twelve variables together, re-matched once (§10.3); returns the spots of the final match."""
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


cdef inline void solve(Fit* fit, int objective, int first, int last, Py_ssize_t n, const Problem* problem,
                       Workspace* work, Grain* grain, double* x) noexcept nogil:
    """Fit the variables first … last - 1 to the n matched spots."""
    free_variables(fit, objective, first, last)
    if problem.solver == SIMPLEX:
        search(fit, n, problem, work, grain, x)
    else:
        load_spots(work.matched, n, x, problem, &work.spots)
        descend(fit, problem, work, grain, False, x)


cdef inline int fit_block(const Match* candidates, Py_ssize_t n, int first, int last, Fit* fit, const Problem* problem,
                          Workspace* work, Grain* grain, double* x) noexcept nogil:
    """Match, then fit one group of variables to the spots; returns the number matched."""
    cdef int kept = match_spots(candidates, n, x, grain, problem, work, work.matched)
    if kept > 0:
        solve(fit, SPOT, first, last, kept, problem, work, grain, x)
    return kept


cdef inline int fit_staged(Py_ssize_t n, const Problem* problem, Workspace* work, Grain* grain,
                           double* x) noexcept nogil:
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
    solve(&fit, SPOT, 0, VARIABLES, kept, problem, work, grain, trial)
    # The legacy program leaves out as many spots as P lost, but the last ones of the list (defect D5).
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
    orientation_bounds(x, 2.0, &fit)
    solve(&fit, DIRECTION, ORIENTATION, VARIABLES, kept, problem, work, grain, trial)
    for i in range(ORIENTATION, CELL):
        x[i] = trial[i]
    # S: the cell, then P2: the position.
    kept = fit_block(work.matched, kept, CELL, VARIABLES, &fit, problem, work, grain, x)
    position_bounds(x, problem, &fit)
    kept = fit_block(work.matched, kept, POSITION, ORIENTATION, &fit, problem, work, grain, x)
    return match_spots(work.matched, kept, x, grain, problem, work, work.matched)


cdef inline int fit_cell(Py_ssize_t n, const Problem* problem, Workspace* work, Grain* grain, double* x) noexcept nogil:
    """The cell alone, position and orientation as given (§4.9)."""
    cdef Fit fit
    cdef int kept
    cell_bounds(problem, &fit)
    kept = fit_block(work.indexed, n, CELL, VARIABLES, &fit, problem, work, grain, x)
    return match_spots(work.matched, kept, x, grain, problem, work, work.matched)
