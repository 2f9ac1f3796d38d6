"""Bounded Nelder-Mead minimiser with the decisions of NLopt's LN_NELDERMEAD (docs/theory/peaks.md#nelder-mead).

J. A. Nelder and R. Mead, Computer Journal 7 (1965) 308; bounds by clipping: M. J. Box, Computer Journal 8 (1965) 42.
The order of every sum is fixed, so that evaluation counts and results repeat bit by bit.
"""
import numpy as np

from libc.math cimport INFINITY, fabs
from libc.stddef cimport size_t
from libc.string cimport memcpy, memset

from midas._ext.numerics.stop cimport stopped


cdef struct SimplexSearch:
    objective_t objective
    void* context
    int n                  # coordinates
    int count              # vertices
    const double* lower
    const double* upper
    double* vertices       # count × n
    double* values         # count
    double* centroid       # n: of all vertices but the worst
    double* trial          # n: the reflected point
    double* second         # n: the expanded or contracted point
    double* best           # n: best point so far
    double minimum         # value at `best`
    int evaluations
    int max_evaluations


cdef int _vertex_capacity(int n, int max_evaluations) noexcept nogil:
    # Each vertex costs an evaluation, so a search that ends while its simplex is set up never fills the rest.
    return n + 1 if n < max_evaluations else max_evaluations


cdef size_t nelder_mead_workspace(int n, int max_evaluations) noexcept nogil:
    """Doubles of workspace that `minimise` needs."""
    cdef size_t capacity = _vertex_capacity(n, max_evaluations)
    return capacity * (n + 1) + 3 * <size_t>n


cdef bint _evaluate(SimplexSearch* s, const double* point, double* value) noexcept nogil:
    """The objective at `point`; False when the search must end."""
    value[0] = s.objective(point, s.n, s.context)
    s.evaluations += 1
    if value[0] <= s.minimum:
        s.minimum = value[0]
        memcpy(s.best, point, s.n * sizeof(double))
    return s.evaluations < s.max_evaluations and not stopped()


cdef double _first_step(double x, double lower, double upper) noexcept nogil:
    cdef double step = (upper - lower) * 0.25
    if 0 < upper - x < step:
        step = (upper - x) * 0.75
    if 0 < x - lower < step:
        step = (x - lower) * 0.75
    return step


cdef double _stepped(double x, double lower, double upper, double step) noexcept nogil:
    """One coordinate of a first vertex: x + step, kept within the bounds and away from x."""
    cdef double moved = x + step
    if moved > upper:
        moved = upper if upper - x > fabs(step) * 0.1 else x - fabs(step)
    if moved < lower:
        if x - lower > fabs(step) * 0.1:
            moved = lower
        else:
            moved = x + fabs(step)
            if moved > upper:
                moved = 0.5 * ((upper if upper - x > x - lower else lower) + x)
    return moved


cdef inline bint _same(double a, double b) noexcept nogil:
    return fabs(a - b) <= 1e-13 * (fabs(a) + fabs(b))


cdef int _build_simplex(SimplexSearch* s) noexcept nogil:
    """Vertices and their values; 0 or a stop code."""
    cdef int i
    cdef double* vertex
    cdef double start
    memcpy(s.vertices, s.best, s.n * sizeof(double))
    s.count = 1
    if not _evaluate(s, s.vertices, s.values):
        return STOP_EVALUATIONS
    for i in range(s.n):
        if s.lower[i] == s.upper[i]:
            continue
        vertex = s.vertices + <size_t>s.count * s.n
        memcpy(vertex, s.best, s.n * sizeof(double))
        start = vertex[i]
        vertex[i] = _stepped(start, s.lower[i], s.upper[i], _first_step(start, s.lower[i], s.upper[i]))
        if _same(vertex[i], start):
            return STOP_FAILURE
        s.count += 1
        if not _evaluate(s, vertex, s.values + s.count - 1):
            return STOP_EVALUATIONS
    return 0 if s.count > 1 else STOP_XTOL


cdef void _rank(const SimplexSearch* s, int* lowest, int* highest, int* next_highest) noexcept nogil:
    """Vertices of lowest (ties: first), highest (ties: last) and next highest value."""
    cdef int i, low = 0, high = 0, next_high = -1
    for i in range(1, s.count):
        if s.values[i] < s.values[low]:
            low = i
        if s.values[i] >= s.values[high]:
            next_high = high
            high = i
        elif next_high < 0 or s.values[i] >= s.values[next_high]:
            next_high = i
    lowest[0] = low
    highest[0] = high
    next_highest[0] = next_high


cdef void _set_centroid(SimplexSearch* s, int without) noexcept nogil:
    cdef int i, j
    cdef double scale = 1.0 / (s.count - 1)
    cdef const double* vertex
    memset(s.centroid, 0, s.n * sizeof(double))
    for i in range(s.count):
        if i == without:
            continue
        vertex = s.vertices + <size_t>i * s.n
        for j in range(s.n):
            s.centroid[j] += vertex[j]
    for j in range(s.n):
        s.centroid[j] *= scale


cdef bint _has_shrunk(const SimplexSearch* s, int highest, double xtol) noexcept nogil:
    """Whether the summed half-widths of the simplex are small against the centroid (L1 norms)."""
    cdef int i, j
    cdef double size = 0.0, norm = 0.0, distance, reach
    cdef const double* worst = s.vertices + <size_t>highest * s.n
    for j in range(s.n):
        if s.lower[j] != s.upper[j]:
            norm += fabs(s.centroid[j])
            size += fabs(worst[j] - s.centroid[j])
    # The worst vertex alone gives a lower limit of the size: enough to go on, in all but the last iterations.
    if size >= xtol * norm:
        return False
    size = 0.0
    for j in range(s.n):
        if s.lower[j] == s.upper[j]:
            continue
        reach = 0.0
        for i in range(s.count):
            distance = fabs(s.vertices[<size_t>i * s.n + j] - s.centroid[j])
            if distance > reach:
                reach = distance
        size += reach
    return size < xtol * norm


cdef bint _move(const SimplexSearch* s, const double* about, double factor, const double* point,
                double* out) noexcept nogil:
    """out = about + factor (about - point), clipped; False when it coincides with either. `out` may be `point`."""
    cdef int j
    cdef bint at_centre = True, at_point = True
    cdef double moved
    for j in range(s.n):
        moved = about[j] + factor * (about[j] - point[j])
        if moved < s.lower[j]:
            moved = s.lower[j]
        if moved > s.upper[j]:
            moved = s.upper[j]
        at_centre = at_centre and _same(moved, about[j])
        at_point = at_point and _same(moved, point[j])
        out[j] = moved
    return not (at_centre or at_point)


cdef void _replace(SimplexSearch* s, int vertex, const double* point, double value) noexcept nogil:
    memcpy(s.vertices + <size_t>vertex * s.n, point, s.n * sizeof(double))
    s.values[vertex] = value


cdef int _shrink(SimplexSearch* s, int lowest) noexcept nogil:
    """Halve the simplex towards its best vertex; 0 or a stop code."""
    cdef int i
    cdef double* vertex
    cdef const double* centre = s.vertices + <size_t>lowest * s.n
    for i in range(s.count):
        if i == lowest:
            continue
        vertex = s.vertices + <size_t>i * s.n
        if not _move(s, centre, -0.5, vertex, vertex):
            return STOP_XTOL
        if not _evaluate(s, vertex, s.values + i):
            return STOP_EVALUATIONS
    return 0


cdef int _iterate(SimplexSearch* s, int lowest, int highest, int next_highest) noexcept nogil:
    """Reflect, expand, contract or shrink; 0 or a stop code."""
    cdef double reflected, changed
    cdef double f_high = s.values[highest]
    cdef const double* worst = s.vertices + <size_t>highest * s.n
    if not _move(s, s.centroid, 1.0, worst, s.trial):
        return STOP_XTOL
    if not _evaluate(s, s.trial, &reflected):
        return STOP_EVALUATIONS
    if reflected < s.values[lowest]:
        if not _move(s, s.centroid, 2.0, worst, s.second):
            return STOP_XTOL
        if not _evaluate(s, s.second, &changed):
            return STOP_EVALUATIONS
        if changed < reflected:
            _replace(s, highest, s.second, changed)
        else:
            _replace(s, highest, s.trial, reflected)
        return 0
    if reflected < s.values[next_highest]:
        _replace(s, highest, s.trial, reflected)
        return 0
    if not _move(s, s.centroid, -0.5 if f_high <= reflected else 0.5, worst, s.second):
        return STOP_XTOL
    if not _evaluate(s, s.second, &changed):
        return STOP_EVALUATIONS
    if changed < reflected and changed < f_high:
        _replace(s, highest, s.second, changed)
        return 0
    return _shrink(s, lowest)


cdef inline void _share_out(SimplexSearch* s, double* workspace) noexcept nogil:
    """Give each array of the search its part of the workspace."""
    cdef size_t capacity = _vertex_capacity(s.n, s.max_evaluations)
    s.vertices = workspace
    s.values = s.vertices + capacity * s.n
    s.centroid = s.values + capacity
    s.trial = s.centroid + s.n
    s.second = s.trial + s.n


cdef inline int _advance(SimplexSearch* s, double ftol, double xtol) noexcept nogil:
    """One iteration, unless the simplex is small enough; 0 or a stop code."""
    cdef int lowest, highest, next_highest
    cdef double f_low, f_high
    _rank(s, &lowest, &highest, &next_highest)
    f_low = s.values[lowest]
    f_high = s.values[highest]
    if fabs(f_high - f_low) < ftol * (fabs(f_high) + fabs(f_low)) * 0.5 or f_high == f_low:
        return STOP_FTOL
    _set_centroid(s, highest)
    if _has_shrunk(s, highest, xtol):
        return STOP_XTOL
    return _iterate(s, lowest, highest, next_highest)


cdef int minimise(objective_t objective, void* context, int n, double* x, const double* lower, const double* upper,
                  double ftol, double xtol, int max_evaluations, double* minimum, int* evaluations,
                  double* workspace) noexcept nogil:
    """Minimise a function of n >= 1 coordinates within bounds.

    Parameters
    ----------
    objective, context : the function
    x : n, the start, within the bounds; afterwards the best point
    lower, upper : n; a coordinate with equal bounds is held
    ftol, xtol : relative tolerances; on x it applies to L1 norms of the unscaled coordinates
    max_evaluations : at least 1
    minimum, evaluations : value at x, evaluations spent
    workspace : `nelder_mead_workspace(n, max_evaluations)` doubles

    Returns
    -------
    a `StopCode`
    """
    cdef SimplexSearch s
    cdef int stop
    s.objective = objective
    s.context = context
    s.n = n
    s.lower = lower
    s.upper = upper
    s.best = x
    s.minimum = INFINITY
    s.evaluations = 0
    s.max_evaluations = max_evaluations
    _share_out(&s, workspace)
    stop = _build_simplex(&s)
    while stop == 0:
        stop = _advance(&s, ftol, xtol)
    minimum[0] = s.minimum
    evaluations[0] = s.evaluations
    return stop


cdef double _call(const double* x, int n, void* context) noexcept with gil:
    cdef list state = <list>context
    try:
        return state[0](np.array(<double[:n]><double*>x))
    except BaseException as error:
        if state[1] is None:
            state[1] = error
        return INFINITY


def minimise_function(function, const double[::1] start, const double[::1] lower, const double[::1] upper,
                      double ftol=1e-5, double xtol=1e-5, int max_evaluations=5000):
    """Minimise a Python function; for objectives that are not worth a kernel.

    Parameters
    ----------
    function : takes a (n,) float64 array, returns a float
    start, lower, upper : (n,) float64; lower <= start <= upper
    ftol, xtol : relative tolerances on the values and on the L1 norm of the simplex
    max_evaluations : at least 1

    Returns
    -------
    x : (n,) float64, the best point
    minimum : float, its value
    evaluations : int
    code : int, 3 (values agree), 4 (simplex is small), 5 (limit of evaluations) or -1 (starts too close to a bound)

    Raises
    ------
    ValueError : no coordinate, unequal lengths, or a start outside the bounds.
    whatever `function` raises.
    """
    cdef int n = start.shape[0], evaluations = 0, code
    cdef double minimum = 0.0
    if n == 0 or lower.shape[0] != n or upper.shape[0] != n or max_evaluations < 1:
        raise ValueError("start, lower and upper must have the same length of at least 1")
    if not np.all((np.asarray(lower) <= start) & (np.asarray(start) <= upper)):
        raise ValueError("the start must lie within its bounds")
    best = np.array(start)
    workspace = np.empty(nelder_mead_workspace(n, max_evaluations))
    cdef double[::1] best_view = best, workspace_view = workspace
    cdef list state = [function, None]
    with nogil:
        code = minimise(_call, <void*>state, n, &best_view[0], &lower[0], &upper[0], ftol, xtol, max_evaluations,
                        &minimum, &evaluations, &workspace_view[0])
    if state[1] is not None:
        raise state[1]
    return best, minimum, evaluations, code
