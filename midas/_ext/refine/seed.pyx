"""What all seeds share, the workspace of a thread, and the match of a seed's spots.

See docs/theory/refinement.md#match.
"""

from midas._ext.legacy.displacement cimport centre_by_ray
from midas._ext.legacy.wedge cimport legacy_loses_spot
from midas._ext.numerics.elementary cimport sincos
from midas._ext.physics.geometry cimport DEG2RAD
from midas._ext.refine.grain cimport set_grain
from midas._ext.refine.match cimport CentredSpot, centre_spot, nearest_predicted, predict_spots
from midas._ext.refine.spots cimport SPOT_COLUMNS, lay_out_spots, pad_spots


cdef int collect_spots(const long long* spot_rows, Py_ssize_t n, const RecordedSpots* recorded,
                       Match* out) noexcept nogil:
    """The indexer's spots whose id is one of the recorded spots."""
    cdef Py_ssize_t i
    cdef int kept = 0
    for i in range(n):
        if spot_rows[i] >= 0:
            out[kept].row = spot_rows[i]
            sincos(DEG2RAD * recorded.omega_recorded[spot_rows[i]], &out[kept].sin_recorded, &out[kept].cos_recorded)
            kept += 1
    return kept


cdef inline bint _is_lost(const Match* match, const double* x, const RefineProblem* problem) noexcept nogil:
    """Whether the legacy program would lose the spot, which the comparison with it has to follow."""
    cdef double y = problem.recorded.y_plane[match.row]
    cdef double z = problem.recorded.z_plane[match.row]
    if problem.instrument.exact:
        return False
    centre_by_ray(&problem.instrument, match.cos_recorded, match.sin_recorded, x, &y, &z)
    return legacy_loses_spot(&problem.instrument, y, z, problem.recorded.omega_recorded[match.row])


cdef int match_spots(const Match* candidates, Py_ssize_t n, const double* x, Grain* grain,
                     const RefineProblem* problem, RefineWorkspace* work, Match* out) noexcept nogil:
    """Match the spots at x; the survivors in order, with reflection and branch. `out` may be the input."""
    cdef const RecordedSpots* recorded = &problem.recorded
    cdef CentredSpot spot
    cdef Match m
    cdef Py_ssize_t i
    cdef int found, kept = 0
    set_grain(grain, x)
    predict_spots(&problem.reflections, grain, &problem.instrument, &problem.region, &work.predicted)
    for i in range(n):
        m = candidates[i]
        if recorded.group[m.row] < 0 or (problem.solver == SIMPLEX and _is_lost(&m, x, problem)):
            continue
        if not centre_spot(recorded.y_plane[m.row], recorded.z_plane[m.row], m.cos_recorded, m.sin_recorded, x,
                           &problem.instrument, &spot):
            continue
        found = nearest_predicted(&spot, recorded.group[m.row], &work.predicted)
        if found >= 0:
            m.reflection = work.predicted.reflection[found]
            m.branch = work.predicted.branch[found]
            out[kept] = m
            kept += 1
    return kept


cdef void load_spots(const Match* matched, Py_ssize_t n, const double* x, const RefineProblem* problem,
                     FitSpots* spots) noexcept nogil:
    """The matched spots as columns; the observed directions are those for the position in x."""
    cdef const Reflections* reflections = &problem.reflections
    cdef const Match* m
    cdef CentredSpot spot
    cdef Py_ssize_t i, j
    for i in range(n):
        m = matched + i
        spots.y_plane[i] = problem.recorded.y_plane[m.row]
        spots.z_plane[i] = problem.recorded.z_plane[m.row]
        spots.omega_recorded[i] = problem.recorded.omega_recorded[m.row]
        spots.cos_recorded[i] = m.cos_recorded
        spots.sin_recorded[i] = m.sin_recorded
        spots.certainty[i] = problem.recorded.certainty[m.row]
        spots.h[i] = reflections.h[m.reflection]
        spots.k[i] = reflections.k[m.reflection]
        spots.l[i] = reflections.l[m.reflection]
        spots.branch[i] = m.branch
        centre_spot(spots.y_plane[i], spots.z_plane[i], m.cos_recorded, m.sin_recorded, x, &problem.instrument, &spot)
        for j in range(3):
            spots.direction[j][i] = spot.direction[j]
    spots.n = n
    pad_spots(spots)


cdef Py_ssize_t workspace_doubles(Py_ssize_t spots, Py_ssize_t reflections) noexcept nogil:
    """Doubles of the workspace of a thread, for at most so many spots a seed."""
    cdef Py_ssize_t padded = (spots + 3) // 4 * 4
    return SPOT_COLUMNS * padded + 9 * 2 * reflections


cdef Py_ssize_t workspace_ints(Py_ssize_t spots, Py_ssize_t reflections, Py_ssize_t groups) noexcept nogil:
    """Its integers."""
    return 2 * reflections + groups + 1 + 2 * spots


cdef void lay_out(RefineWorkspace* work, Py_ssize_t spots, Py_ssize_t reflections, Py_ssize_t groups, double* doubles,
                  int* ints, Match* matches) noexcept nogil:
    """Point the workspace of one thread into its buffers; `matches` has room for twice the spots."""
    cdef Py_ssize_t padded = (spots + 3) // 4 * 4
    cdef double* at = lay_out_spots(&work.spots, padded, doubles)
    work.predicted.branch = at
    work.predicted.gx = at + 2 * reflections
    work.predicted.gy = at + 4 * reflections
    work.predicted.gz = at + 6 * reflections
    work.predicted.d_spacing = at + 8 * reflections
    work.predicted.y_ideal = at + 10 * reflections
    work.predicted.z_ideal = at + 12 * reflections
    work.predicted.cos_ideal = at + 14 * reflections
    work.predicted.sin_ideal = at + 16 * reflections
    work.predicted.reflection = ints
    work.predicted.first = ints + 2 * reflections
    work.reflection = ints + 2 * reflections + groups + 1
    work.place = work.reflection + spots
    work.indexed = matches
    work.matched = matches + spots
