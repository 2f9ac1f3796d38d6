"""Grain list: clusters of seed solutions and near-duplicates (docs/theory/grains.md#clusters)."""
import numpy as np

from libc.math cimport fabs, sqrt

from midas._ext.numerics.elementary cimport acos, cos
from midas._ext.numerics.stop cimport Listening, stopped
from midas._ext.physics.geometry cimport DEG2RAD, RAD2DEG
from midas._ext.physics.orientation cimport nearest_operator, relative_rotation, vector_part

cdef double TWIN_ANGLE = 60.0
cdef double TWIN_AXIS = 0.01          # largest difference between the components of a <111> axis


cdef struct CloseAngle:
    # When two orientations count as one
    const double* operators
    Py_ssize_t operator_count
    double tolerance       # degrees
    double cos_half        # of the tolerance
    bint twins             # or when they are that close to a twin relation


cdef CloseAngle _close_angle(const double[:, ::1] quaternions, const double[:, ::1] operators, Py_ssize_t rows,
                             double tolerance, bint twins):
    cdef CloseAngle close
    if not quaternions.shape[1] == operators.shape[1] == 4 or quaternions.shape[0] != rows or operators.shape[0] < 1:
        raise ValueError("one quaternion per row, and quaternions as operators")
    close.operators = &operators[0, 0]
    close.operator_count = operators.shape[0]
    close.tolerance = tolerance
    close.cos_half = cos(DEG2RAD * tolerance / 2.0)
    close.twins = twins
    return close


cdef inline bint _is_twin(const double* r, const double* s, double scalar, double tolerance) noexcept nogil:
    """Whether r S, whose scalar part has the size `scalar`, turns by 60 degrees about an axis <111>."""
    cdef double w = scalar if scalar < 1.0 else 1.0
    cdef double v[3]
    cdef double length, n0, n1, n2
    if not fabs(2.0 * acos(w) * RAD2DEG - TWIN_ANGLE) < tolerance:
        return False
    length = sqrt(1.0 - w * w)
    vector_part(r, s, v)
    n0 = fabs(v[0]) / length
    n1 = fabs(v[1]) / length
    n2 = fabs(v[2]) / length
    return fabs(n0 - n1) < TWIN_AXIS and fabs(n2 - n1) < TWIN_AXIS


cdef inline bint _linked(const double* p, const double* q, const CloseAngle* close) noexcept nogil:
    cdef double r[4]
    cdef double scalar
    cdef Py_ssize_t k
    relative_rotation(p, q, r)
    k = nearest_operator(r, close.operators, close.operator_count, &scalar)
    return scalar > close.cos_half or (close.twins and _is_twin(r, close.operators + 4 * k, scalar, close.tolerance))


cdef struct SolutionGraph:
    # Rows of solutions, and which of them follow from which
    const long long* offsets      # row r matched spots[offsets[r] ... offsets[r + 1] - 1]
    const int* spots
    const double* quaternions
    const long long* first        # by seed id: the first row of the seed, or -1
    const long long* following    # by row: the next row of its seed, or -1
    long long highest             # seed id
    unsigned char* waiting        # by row: whether it is in no group yet
    long long* path               # work space of a visit: the rows on the way to the current one
    long long* at                 # by row: the matched spot to look at next


cdef inline long long _next_row(const SolutionGraph* graph, const CloseAngle* close, long long row,
                                int spot) noexcept nogil:
    """The first waiting row that has this spot as seed and an orientation close to that of `row`; -1 without one."""
    cdef long long j = graph.first[spot] if 0 <= spot <= graph.highest else -1
    while j >= 0 and not (graph.waiting[j] and _linked(graph.quaternions + 4 * row, graph.quaternions + 4 * j, close)):
        j = graph.following[j]
    return j


cdef Py_ssize_t _visit(const SolutionGraph* graph, const CloseAngle* close, long long start,
                       long long* members) noexcept nogil:
    """The group of a waiting row in depth-first order; how many rows."""
    cdef Py_ssize_t depth = 0, found = 1
    cdef long long row, j
    graph.path[0] = members[0] = start
    graph.waiting[start] = 0
    graph.at[start] = graph.offsets[start]
    while depth >= 0 and not stopped():
        row = graph.path[depth]
        if graph.at[row] >= graph.offsets[row + 1]:
            depth -= 1
            continue
        j = _next_row(graph, close, row, graph.spots[graph.at[row]])
        graph.at[row] += 1
        if j >= 0:
            depth += 1
            graph.path[depth] = members[found] = j
            graph.waiting[j] = 0
            graph.at[j] = graph.offsets[j]
            found += 1
    return found


cdef _rows_of_seeds(const long long[::1] seeds, const unsigned char[::1] solved):
    """`first` and `following` of a `SolutionGraph`: the rows of each seed in ascending order."""
    cdef Py_ssize_t n = seeds.shape[0], row
    heads = np.full(np.max(np.asarray(seeds), where=np.asarray(solved, dtype=bool), initial=0) + 1, -1, dtype=np.int64)
    links = np.full(n + 1, -1, dtype=np.int64)
    cdef long long[::1] first = heads, following = links
    for row in range(n - 1, -1, -1):
        if solved[row] and seeds[row] >= 0:
            following[row] = first[seeds[row]]
            first[seeds[row]] = row
    return heads, links


def cluster(const long long[::1] seeds, const unsigned char[::1] solved, const long long[::1] offsets,
            const int[::1] spots, const double[:, ::1] quaternions, const double[:, ::1] operators,
            double tolerance, bint twins=False):
    """Groups of solutions that describe one grain.

    From each solution that is in no group yet, in order, a depth-first search follows the seeds among the matched
    spots: row j is linked to row p when j's seed is one of p's matched spots and their orientations are less than
    `tolerance` apart. Where several rows share a seed, one occurrence of the spot leads to the first linked row only.

    Parameters
    ----------
    seeds : (n,) int64, seed spot id of each row
    solved : (n,) uint8, 0 for rows to leave out
    offsets : (n + 1,) int64; row r matched ``spots[offsets[r] : offsets[r + 1]]``
    spots : int32, matched spot ids
    quaternions : (n, 4), orientations; reduced to the fundamental zone when `twins`
    operators : (k, 4), proper rotations of the crystal
    tolerance : degrees
    twins : whether rows 60 ± `tolerance` degrees apart about <111> are linked, too

    Returns
    -------
    starts : (g + 1,) int64; group k is ``members[starts[k] : starts[k + 1]]``
    members : int64, rows in the order of visit (pre-order)
    """
    cdef Py_ssize_t n = seeds.shape[0], row, found = 0, groups = 0
    cdef CloseAngle close = _close_angle(quaternions, operators, n, tolerance, twins)
    cdef SolutionGraph graph
    if solved.shape[0] != n or offsets.shape[0] != n + 1 or offsets[n] > spots.shape[0]:
        raise ValueError("one flag and one range of spots per seed")
    starts_array, members_array = np.zeros(n + 1, dtype=np.int64), np.empty(n, dtype=np.int64)
    if n == 0:
        return starts_array, members_array
    cdef long long[::1] starts = starts_array, members = members_array
    cdef long long[::1] path = np.empty(n, dtype=np.int64), at = np.empty(n, dtype=np.int64)
    cdef long long[::1] first, following
    cdef unsigned char[::1] waiting = np.array(solved, dtype=np.uint8)
    first, following = _rows_of_seeds(seeds, solved)
    graph.offsets, graph.quaternions = &offsets[0], &quaternions[0, 0]
    graph.spots = &spots[0] if spots.shape[0] else NULL
    graph.first, graph.following, graph.highest = &first[0], &following[0], first.shape[0] - 1
    graph.waiting, graph.path, graph.at = &waiting[0], &path[0], &at[0]
    with Listening(), nogil:
        for row in range(n):
            if waiting[row] and not stopped():
                found += _visit(&graph, &close, row, &members[found])
                groups += 1
                starts[groups] = found
    return starts_array[:groups + 1].copy(), members_array[:found].copy()


cdef struct Sample:
    # Solutions in the order of one coordinate
    const long long* keys
    const double* positions
    const double* quaternions
    const long long* order
    Py_ssize_t count
    int axis
    double distance        # µm


cdef void _drop_near(const Sample* sample, const CloseAngle* close, Py_ssize_t a, Py_ssize_t at, Py_ssize_t step,
                     unsigned char* seen) noexcept nogil:
    """Mark the keys of later rows that are close to row a, which stands at `at` in the order; along `step`."""
    cdef const double* here = sample.positions + 3 * a
    cdef const double* there
    cdef double dx, dy, dz
    cdef long long b
    at += step
    while 0 <= at < sample.count:
        b = sample.order[at]
        there = sample.positions + 3 * b
        at += step
        if fabs(there[sample.axis] - here[sample.axis]) >= sample.distance:
            break
        if b < a or seen[sample.keys[b]]:
            continue
        dx = there[0] - here[0]
        dy = there[1] - here[1]
        dz = there[2] - here[2]
        if sqrt(dx * dx + dy * dy + dz * dz) < sample.distance and _linked(
                sample.quaternions + 4 * a, sample.quaternions + 4 * b, close):
            seen[sample.keys[b]] = 1


def distinct(const long long[::1] keys, const double[:, ::1] positions, const double[:, ::1] quaternions,
             const double[:, ::1] operators, double tolerance, double distance):
    """Which solutions are no near-duplicates of an earlier one that is kept (docs/theory/grains.md#near-duplicates).

    Parameters
    ----------
    keys : (n,) int64, 0 ... n - 1, equal for rows of the same seed
    positions : (n, 3), µm, finite
    quaternions, operators : (n, 4) and (k, 4)
    tolerance, distance : a row closer than both (degrees, µm) to an earlier kept one is dropped, and so is every other
        row of its seed

    Returns
    -------
    (n,) bool
    """
    cdef Py_ssize_t n = keys.shape[0], a
    cdef CloseAngle close = _close_angle(quaternions, operators, n, tolerance, False)
    cdef Sample sample
    if positions.shape[0] != n or positions.shape[1] != 3:
        raise ValueError("one position per row")
    kept_array = np.zeros(n, dtype=np.uint8)
    if n == 0:
        return kept_array.view(np.bool_)
    # Neighbours within the distance are neighbours along the axis in which the sample is longest.
    sample.axis = int(np.argmax(np.ptp(positions, axis=0)))
    order_array = np.argsort(np.asarray(positions)[:, sample.axis], kind="stable").astype(np.int64)
    rank_array = np.empty(n, dtype=np.int64)
    rank_array[order_array] = np.arange(n)
    cdef long long[::1] order = order_array, rank = rank_array
    cdef unsigned char[::1] kept = kept_array, seen = np.zeros(n, dtype=np.uint8)
    sample.keys, sample.positions, sample.quaternions = &keys[0], &positions[0, 0], &quaternions[0, 0]
    sample.order, sample.count, sample.distance = &order[0], n, distance
    with Listening(), nogil:
        for a in range(n):
            if not seen[keys[a]] and not stopped():
                seen[keys[a]] = 1
                kept[a] = 1
                _drop_near(&sample, &close, a, rank[a], -1, &seen[0])
                _drop_near(&sample, &close, a, rank[a], 1, &seen[0])
    return kept_array.view(np.bool_)
