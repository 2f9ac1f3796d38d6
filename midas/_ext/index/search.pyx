"""The loops over plane normals, orientations and positions for one start spot (docs/theory/indexing.md#search-loops).

Functions that return int return 0 when there is no memory.
"""
from libc.math cimport round
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from midas._ext.index.candidates cimport (
    allocate_line,
    first_orientation,
    free_line,
    plane_normal,
    position_line,
    rotated_orientation,
)
from midas._ext.index.filter cimport (
    BLOCK,
    PairVectors,
    bound_orientations,
    count_line,
    free_counts,
    pair_vectors,
)
from midas._ext.index.points cimport find_points, free_mates, free_points
from midas._ext.index.problem cimport IndexProblem, IndexRing
from midas._ext.index.score cimport (
    Score,
    allocate_prediction,
    count_matches,
    free_prediction,
    predict,
    score,
)
from midas._ext.numerics.stop cimport stopped


cdef struct Tally:             # best match of one plane normal, whether acceptable or not
    int matched
    int expected               # of the first orientation that reached it
    int j


cdef int allocate_workspace(IndexWorkspace* w, const IndexProblem* p) noexcept nogil:
    w.vectors = <PairVectors*>calloc(p.n_pairs + 1, sizeof(PairVectors))
    w.rows = <int*>calloc(2 * p.n_hkls, sizeof(int))
    w.possible = <int*>calloc(p.n_rotations + 1, sizeof(int))
    w.present = <int*>calloc(p.n_rotations + 1, sizeof(int))
    w.done = <char*>calloc(p.n_rotations + 1, 1)
    return (allocate_line(&w.line, p.n_rings) and allocate_prediction(&w.prediction, 2 * p.n_hkls)
            and w.vectors != NULL and w.rows != NULL and w.possible != NULL and w.present != NULL and w.done != NULL)


cdef void free_workspace(IndexWorkspace* w) noexcept nogil:
    free_points(&w.points)
    free_points(&w.arc)
    free_mates(&w.mates)
    free_line(&w.line)
    free_prediction(&w.prediction)
    free_counts(&w.counts)
    free(w.vectors)
    free(w.rows)
    free(w.possible)
    free(w.present)
    free(w.done)


# ---------------------------------------------------------------- one orientation


cdef inline int _next_position(int matched, int expected) noexcept nogil:
    """Positions to go on by: fewer matches, larger steps (docs/theory/indexing.md#position-step)."""
    cdef double fraction = <double>matched / expected
    return 5 - <int>round(fraction * 4.0 / 0.5) if fraction < 0.5 else 1


cdef void _consider(const IndexProblem* p, const double* orientation, const double* position, double grain_radius,
                    IndexWorkspace* w,
                    BestCandidate* best, int* best_rows) noexcept nogil:
    """Score an eligible candidate and keep it if it is the best so far (docs/theory/indexing.md#best-candidate)."""
    cdef Score result = score(p, &w.prediction, position, grain_radius, w.rows)
    cdef double fraction = <double>result.counted / w.prediction.n_counted
    if not (fraction > best.completeness or (fraction == best.completeness and result.angle < best.angle)):
        return
    best.completeness = fraction
    best.angle = result.angle
    best.expected = w.prediction.n
    best.matched = result.matched
    memcpy(best.orientation, orientation, 9 * sizeof(double))
    memcpy(best.position, position, 3 * sizeof(double))
    memcpy(best_rows, w.rows, result.matched * sizeof(int))


cdef int _try_orientation(const IndexProblem* p, double grain_radius, int j, IndexWorkspace* w, BestCandidate* best,
                          int* best_rows,
                          Tally* tally) noexcept nogil:
    """All positions of orientation j about the current normal; 0 when there is no memory."""
    cdef double orientation[9]
    cdef double position[3]
    cdef int i = w.line.low, counted, status
    cdef int expected
    rotated_orientation(p, w.normal, w.first, j, orientation)
    predict(p, orientation, &w.prediction)
    expected = w.prediction.n_counted
    if expected == 0:
        return 1
    status = count_line(p, &w.prediction, &w.line, grain_radius, &w.counts)
    while status != 0 and i <= w.line.high:
        position[0] = w.line.a[i]
        position[1] = w.line.b[i]
        position[2] = w.line.c[i]
        if status > 0:
            counted = <int>w.counts.count[i]
        else:
            counted = count_matches(p, &w.prediction, position, grain_radius)
        if counted > tally.matched or (counted == tally.matched and j < tally.j):
            tally.matched = counted
            tally.expected = expected
            tally.j = j
        if counted >= expected * p.min_completeness and <double>counted / expected >= best.completeness:
            _consider(p, orientation, position, grain_radius, w, best, best_rows)
        i += _next_position(counted, expected)
    return status != 0


# ---------------------------------------------------------------- one plane normal


cdef inline int _point_step(double fraction) noexcept nogil:
    """IndexRing points to go on by in full mode (docs/theory/indexing.md#ring-point-step)."""
    return 3 - <int>round(fraction * 2.0 / 0.5) if fraction < 0.375 else 1


cdef int _settle_step(const IndexProblem* p, double grain_radius, int n_orientations, IndexWorkspace* w,
                      BestCandidate* best, int* best_rows,
                      Tally* tally) noexcept nogil:
    """The step to the next ring point, from as few further orientations as decide it; 0 when there is no memory."""
    cdef int start, i, k, j, candidate
    cdef double worst, current
    cdef double orientation[9]
    if _point_step(<double>tally.matched / p.n_counted_max) == 1:
        return 1
    if tally.matched == 0:
        rotated_orientation(p, w.normal, w.first, 0, orientation)
        predict(p, orientation, &w.prediction)
        tally.expected = w.prediction.n_counted
        tally.j = 0
    for i in range((n_orientations + BLOCK - 1) // BLOCK):
        start = i * BLOCK
        bound_orientations(p, w.vectors, &w.line, grain_radius, start, min(<int>BLOCK, n_orientations - start), -1.0,
                           &w.block)
        for k in range(w.block.n):
            w.possible[start + k] = w.block.possible[k]
            w.present[start + k] = w.block.present[k]
    while True:
        # With no spot at all the legacy program takes the next point.
        current = <double>tally.matched / tally.expected if tally.expected else 1.0
        worst = current
        candidate = -1
        for j in range(n_orientations):
            k = w.possible[j]
            if w.done[j] or k < tally.matched or (k == tally.matched and j >= tally.j):
                continue
            worst = max(worst, <double>k / w.present[j] if w.present[j] else 1.0)
            if candidate < 0 or k > w.possible[candidate]:
                candidate = j
        if candidate < 0:
            return _point_step(current)
        if _point_step(worst) == _point_step(<double>tally.matched / p.n_counted_max):
            return _point_step(worst)
        w.done[candidate] = 1
        if not _try_orientation(p, grain_radius, candidate, w, best, best_rows, tally):
            return 0


cdef int _search_point(const IndexProblem* p, int row, double y0, double z0, IndexWorkspace* w, BestCandidate* best,
                       int* best_rows) noexcept nogil:
    """All orientations about the normal of a ring point; the step to the next point, 0 when there is no memory."""
    cdef const IndexRing* ring = &p.rings[p.spots.ring[row]]
    cdef int n_orientations = <int>(ring.rotation_range / p.orientation_step)
    cdef double grain_radius = p.spots.grain_radius[row]
    cdef Tally tally
    cdef int start, i, k
    if not position_line(p, row, y0, z0, &w.line):
        return 0
    if w.line.low > w.line.high or n_orientations == 0 or p.n_pairs == 0:
        return 1
    tally.matched = tally.expected = tally.j = 0
    plane_normal(p, row, y0, z0, w.normal)
    first_orientation(ring.g, w.normal, w.first)
    pair_vectors(p, w.first, w.normal, w.vectors)
    for k in range(n_orientations):
        w.done[k] = 0
    for i in range((n_orientations + BLOCK - 1) // BLOCK):
        start = i * BLOCK
        bound_orientations(p, w.vectors, &w.line, grain_radius, start, min(<int>BLOCK, n_orientations - start),
                           max(p.min_completeness, best.completeness), &w.block)
        for k in range(w.block.n):
            w.done[w.block.j[k]] = 1
            if not _try_orientation(p, grain_radius, w.block.j[k], w, best, best_rows, &tally):
                return 0
    if p.friedel:
        return 1
    return _settle_step(p, grain_radius, n_orientations, w, best, best_rows, &tally)


cdef int search_seed(const IndexProblem* p, int row, IndexWorkspace* w, BestCandidate* best,
                     int* best_rows) noexcept nogil:
    """The best candidate for the start spot in `row`; 0 when there is no memory."""
    cdef int i = 0, step
    best.completeness = -1.0
    best.angle = 1000.0
    best.expected = best.matched = 0
    if p.spots.ring[row] < 0:
        return 1
    if not find_points(p, row, &w.points, &w.arc, &w.mates, &w.line):
        return 0
    while i < w.points.n and not stopped():
        step = _search_point(p, row, w.points.y[i], w.points.z[i], w, best, best_rows)
        if step == 0:
            return 0
        i += step
    return 1
