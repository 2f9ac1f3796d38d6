"""What a refined seed leaves: its solution, its matched spots, its grain radius.

See docs/theory/refinement.md#result-of-a-seed and docs/theory/refinement.md#grain-radius.
"""
import numpy as np

from libc.math cimport fabs, isfinite, sqrt

from midas._ext.numerics.elementary cimport atan2
from midas._ext.physics.geometry cimport RAD2DEG, scattering_of_spot, wrap180, wrap_eta
from midas._ext.physics.predict cimport lean_omega
from midas._ext.physics.wedge cimport Instrument, lean_spot
from midas._ext.refine.grain cimport CELL
from midas._ext.refine.match cimport (
    CentredSpot, PredictedSpots, centre_spot, centre_turned_spot, direction_angle, nearest_predicted)
from midas._ext.refine.seed cimport Match, RecordedSpots

cdef Solution _solution
cdef MatchedSpot _spot
#: the structs of the header as numpy types
SOLUTION = np.asarray(<Solution[:1]>&_solution).dtype
MATCHED_SPOT = np.asarray(<MatchedSpot[:1]>&_spot).dtype


cdef void write_grain(const Grain* grain, const double* x, Solution* solution) noexcept nogil:
    """Orientation, position and cell."""
    cdef int i
    for i in range(9):
        solution.orientation[i] = grain.u[i]
    for i in range(3):
        solution.position[i] = x[i]
    for i in range(6):
        solution.cell[i] = x[CELL + i]


cdef inline void _predicted_turn(const Instrument* instrument, const PredictedSpots* predicted, int at, double* c,
                                 double* s) noexcept nogil:
    """Cosine and sine of the omega at which a predicted spot is recorded."""
    cdef double y = predicted.y_ideal[at], z = predicted.z_ideal[at]
    cdef double k[3]
    c[0] = predicted.cos_ideal[at]
    s[0] = predicted.sin_ideal[at]
    if instrument.exact:
        lean_spot(instrument, &y, &z, c, s)
    else:
        scattering_of_spot(instrument.lsd, y, z, k)
        lean_omega(instrument, k, c, s)


cdef inline void _write_spot(const Match* m, const double* x, const RefineProblem* problem,
                             const PredictedSpots* predicted, MatchedSpot* out) noexcept nogil:
    """A matched spot; `predicted` is that of the match."""
    cdef const RecordedSpots* recorded = &problem.recorded
    cdef CentredSpot spot
    cdef double shift, dy, dz, c, s
    cdef int j, at
    centre_spot(recorded.y_plane[m.row], recorded.z_plane[m.row], m.cos_recorded, m.sin_recorded, x,
                &problem.instrument, &spot)
    at = nearest_predicted(&spot, recorded.group[m.row], predicted)
    if problem.joint:
        # As the fit does: a recorded omega is known to the frame only, which would move the spot.
        _predicted_turn(&problem.instrument, predicted, at, &c, &s)
        centre_turned_spot(recorded.y_plane[m.row], recorded.z_plane[m.row], m.cos_recorded, m.sin_recorded, c, s, x,
                           &problem.instrument, &spot)
    out.row = m.row
    out.y_centred = spot.y
    out.z_centred = spot.z
    out.omega_centred = wrap_eta(recorded.omega_recorded[m.row])
    if problem.instrument.sin_wedge != 0.0:
        shift = wrap180(RAD2DEG * (atan2(spot.sin_ideal, spot.cos_ideal) - atan2(m.sin_recorded, m.cos_recorded)))
        out.omega_centred = wrap_eta(out.omega_centred + shift)
    for j in range(3):
        out.g_observed[j] = spot.direction[j]
    out.y_predicted = predicted.y_ideal[at]
    out.z_predicted = predicted.z_ideal[at]
    out.omega_predicted = RAD2DEG * atan2(predicted.sin_ideal[at], predicted.cos_ideal[at])
    out.g_predicted[0] = predicted.gx[at] * predicted.d_spacing[at]
    out.g_predicted[1] = predicted.gy[at] * predicted.d_spacing[at]
    out.g_predicted[2] = predicted.gz[at] * predicted.d_spacing[at]
    dy = out.y_centred - out.y_predicted
    dz = out.z_centred - out.z_predicted
    out.diff_angle = direction_angle(spot.direction, predicted.gx[at], predicted.gy[at], predicted.gz[at])
    out.diff_pos = sqrt(dy * dy + dz * dz)
    out.diff_ome = fabs(wrap180(out.omega_centred - out.omega_predicted))


cdef void write_spots(Py_ssize_t n, const double* x, const RefineProblem* problem, RefineWorkspace* work,
                      MatchedSpot* spots, Solution* solution) noexcept nogil:
    """The matched spots, and their means in the solution; the workspace is as the last match left it."""
    cdef double diff_pos = 0.0, diff_ome = 0.0, diff_angle = 0.0
    cdef Py_ssize_t i
    for i in range(n):
        _write_spot(work.matched + i, x, problem, &work.predicted, spots + i)
        diff_angle += spots[i].diff_angle
        diff_pos += spots[i].diff_pos
        diff_ome += spots[i].diff_ome
    solution.diff_pos = diff_pos / n
    solution.diff_ome = diff_ome / n
    solution.diff_angle = diff_angle / n


cdef bint is_finite(const Solution* solution) noexcept nogil:
    """Whether all numbers of a solution are finite."""
    cdef const double* numbers = <const double*>solution
    cdef Py_ssize_t i
    for i in range(<Py_ssize_t>(sizeof(Solution) // sizeof(double))):
        if not isfinite(numbers[i]):
            return False
    return True


cdef double _grain_radius(const long long[::1] spot_rows, const double[::1] radii, const unsigned char[::1] rejected,
                          long long start, long long stop, bint largest) noexcept nogil:
    cdef double total = 0.0, top = 0.0
    cdef long long i
    cdef Py_ssize_t used = 0
    for i in range(start, stop):
        if spot_rows[i] >= 0 and not rejected[spot_rows[i]]:
            total += radii[i]
            top = radii[i] if used == 0 or radii[i] > top else top
            used += 1
    if used == 0:
        return 0.0
    return top if largest else total / used


def grain_radii(const long long[::1] offsets, const long long[::1] spot_rows, const double[::1] radii,
                const unsigned char[::1] rejected, bint largest):
    """Mean or largest radius of the spots of every seed.

    Parameters
    ----------
    offsets : (n + 1,) int64; seed i was assigned the entries ``offsets[i] : offsets[i + 1]`` of the next two
    spot_rows : int64, row of each spot among the recorded ones; -1 when it has none
    radii : float64, grain radius of each spot, µm
    rejected : (s,) uint8, recorded spots that do not count
    largest : the largest instead of the mean

    Returns
    -------
    (n,) float64, µm; 0 where no spot counts
    """
    cdef Py_ssize_t n = offsets.shape[0] - 1, i
    if offsets[n] > min(spot_rows.shape[0], radii.shape[0]):
        raise ValueError("offsets reach beyond the spots")
    if spot_rows.shape[0] and np.max(spot_rows) >= rejected.shape[0]:
        raise ValueError("spot_rows reaches beyond the recorded spots")
    out = np.empty(n)
    cdef double[::1] result = out
    for i in range(n):
        result[i] = _grain_radius(spot_rows, radii, rejected, offsets[i], offsets[i + 1], largest)
    return out
