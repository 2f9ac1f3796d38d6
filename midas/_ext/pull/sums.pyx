"""Sums of boxes around predicted spots: intensity, centre and widths of what lies in them.

See docs/theory/measured_spots.md#sum-of-a-box.
"""
import numpy as np

from cython.parallel cimport prange, threadid
from libc.math cimport fabs, floor, fmax, fmin, isnan, sqrt

from midas._ext.numerics.elementary cimport log
from midas._ext.numerics.stop cimport Listening, stopped
from midas._ext.pull.select cimport kth_smallest

#: what became of a box
MEASURED = 0
TOO_WEAK = 1
INCOMPLETE = 2

cdef enum:
    _MEASURED
    _TOO_WEAK
    _INCOMPLETE

cdef enum:
    RECENTRED = 3          # times that a box moves to the centre of what it holds
    FEWEST_PIXELS = 3
    FEWEST_IN_SHELL = 5    # pixels that say what the background is

#: outer edge of the shell that the background is taken from, in half widths of the box
cdef double SHELL = 1.5
#: part of the values that lie below one standard deviation above the mean
cdef double ONE_SIGMA = 0.841
#: standard deviations of the background that a pixel must exceed, in a small box
cdef double LEAST_EXCESS = 3.0
#: standard deviations of its intensity that a spot must exceed
cdef double LEAST_SIGNIFICANCE = 5.0
#: part of a box that may be without values
cdef double MOST_MISSING = 0.1


cdef struct BoxSum:
    double radial          # centre, from the prediction: µm, µm, degrees
    double arc
    double omega
    double intensity       # counts above the background
    double background      # counts, under the pixels of the spot
    double pixels          # of the spot, in all its frames
    double frames
    double radial_variance  # µm², µm², degrees², µm degrees
    double arc_variance
    double omega_variance
    double arc_omega
    double highest         # counts, with the background
    double missing         # part of the box without values
    double status

cdef BoxSum _a_sum

#: a sum as a numpy type
BOX_SUM = np.asarray(<BoxSum[:1]>&_a_sum).dtype


cdef struct PullBox:
    Py_ssize_t pixels
    Py_ssize_t frames
    const float* radial
    const float* arc
    const float* values    # a row of the pixels per frame
    const double* omegas   # of the frames, from the prediction
    const double* half     # radial, along the arc, omega
    const double* others   # three per other prediction nearby, from this one
    Py_ssize_t other_count
    double expected        # frames that the box should have


cdef struct Moments:
    double total
    double background
    double highest
    double first[3]
    double second[3]
    double cross
    double missing
    double voxels
    Py_ssize_t pixels
    Py_ssize_t frames


cdef inline double _distance(const PullBox* box, double radial, double arc, double omega) noexcept nogil:
    """Square of a distance in half widths of the box."""
    radial /= box.half[0]
    arc /= box.half[1]
    omega /= box.half[2]
    return radial * radial + arc * arc + omega * omega


cdef inline bint _is_another_ones(const PullBox* box, double radial, double arc, double omega) noexcept nogil:
    """Whether another prediction is nearer."""
    cdef double own
    cdef Py_ssize_t i
    if box.other_count == 0:
        return False
    own = _distance(box, radial, arc, omega)
    for i in range(box.other_count):
        if _distance(box, radial - box.others[3 * i], arc - box.others[3 * i + 1],
                     omega - box.others[3 * i + 2]) < own:
            return True
    return False


cdef inline bint _in_another_box(const PullBox* box, double radial, double arc, double omega) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(box.other_count):
        if (fabs(radial - box.others[3 * i]) <= box.half[0] and fabs(arc - box.others[3 * i + 1]) <= box.half[1]
                and fabs(omega - box.others[3 * i + 2]) <= box.half[2]):
            return True
    return False


cdef Py_ssize_t _shell(const PullBox* box, Py_ssize_t frame, const double* centre, bint clean,
                       float* shell) noexcept nogil:
    """Counts of the pixels around the box, without those in the box of another prediction if `clean`; how many."""
    cdef const float* values = box.values + frame * box.pixels
    cdef double u, v
    cdef Py_ssize_t i, n = 0
    for i in range(box.pixels):
        u = fabs(box.radial[i] - centre[0]) / box.half[0]
        v = fabs(box.arc[i] - centre[1]) / box.half[1]
        if (u > 1.0 or v > 1.0) and u <= SHELL and v <= SHELL and not isnan(values[i]):
            if not (clean and _in_another_box(box, box.radial[i], box.arc[i], box.omegas[frame])):
                shell[n] = values[i]
                n += 1
    return n


cdef bint _background(const PullBox* box, Py_ssize_t frame, const double* centre, float* shell, double* level,
                      double* deviation) noexcept nogil:
    """Median of the shell in one frame, and its standard deviation; False when too few pixels say it."""
    cdef Py_ssize_t n = _shell(box, frame, centre, True, shell)
    if n < FEWEST_IN_SHELL:  # where spots stand close, their counts are better than none
        n = _shell(box, frame, centre, False, shell)
    if n < FEWEST_IN_SHELL:
        return False
    level[0] = kth_smallest(shell, n, n // 2)
    deviation[0] = kth_smallest(shell, n, min(<Py_ssize_t>floor(ONE_SIGMA * n), n - 1)) - level[0]
    return True


cdef void _add_frame(const PullBox* box, Py_ssize_t frame, const double* centre, double excess, float* shell,
                     Moments* m) noexcept nogil:
    """What a frame adds to the moments."""
    cdef const float* values = box.values + frame * box.pixels
    cdef double level = 0.0, deviation = 0.0, x, u, v, w = box.omegas[frame]
    cdef bint known = _background(box, frame, centre, shell, &level, &deviation)
    cdef Py_ssize_t i, kept = 0
    for i in range(box.pixels):
        u = box.radial[i]
        v = box.arc[i]
        if fabs(u - centre[0]) > box.half[0] or fabs(v - centre[1]) > box.half[1]:
            continue
        m.voxels += 1.0
        if not known or isnan(values[i]):
            m.missing += 1.0
            continue
        x = values[i] - level
        if not x > excess * deviation or _is_another_ones(box, u, v, w):
            continue
        kept += 1
        m.total += x
        m.background += level
        m.highest = fmax(m.highest, values[i])
        m.first[0] += x * u
        m.first[1] += x * v
        m.first[2] += x * w
        m.second[0] += x * u * u
        m.second[1] += x * v * v
        m.second[2] += x * w * w
        m.cross += x * v * w
    m.pixels += kept
    m.frames += kept > 0


cdef void _add_up(const PullBox* box, const double* centre, float* shell, Moments* m) noexcept nogil:
    """The moments of the spot in a box around a centre."""
    cdef Py_ssize_t i, pixels = 0, frames = 0
    cdef double excess
    m.total = m.background = m.highest = m.cross = m.missing = m.voxels = 0.0
    m.pixels = m.frames = 0
    for i in range(3):
        m.first[i] = m.second[i] = 0.0
    for i in range(box.pixels):
        pixels += fabs(box.radial[i] - centre[0]) <= box.half[0] and fabs(box.arc[i] - centre[1]) <= box.half[1]
    # Of pure noise half a pixel of the whole box may pass.
    excess = fmax(LEAST_EXCESS, sqrt(2.0 * log(fmax(pixels * box.expected / 4.0, 1.0))))
    for i in range(box.frames):
        if fabs(box.omegas[i] - centre[2]) <= box.half[2]:
            _add_frame(box, i, centre, excess, shell, m)
            frames += 1
    m.missing += fmax(floor(box.expected) - frames, 0.0) * pixels
    m.voxels = fmax(m.voxels, floor(box.expected) * pixels)


cdef void _measure(const PullBox* box, float* shell, BoxSum* out) noexcept nogil:
    """Measure a box, each time around the centre of what it held before."""
    cdef double centre[3]
    cdef Moments m
    cdef int _turn, i
    for i in range(3):
        centre[i] = 0.0
    for _turn in range(RECENTRED + 1):
        _add_up(box, centre, shell, &m)
        if not m.total > 0.0:
            break
        for i in range(3):
            centre[i] = fmin(fmax(m.first[i] / m.total, -box.half[i]), box.half[i])
    out.radial = centre[0]
    out.arc = centre[1]
    out.omega = centre[2]
    out.intensity = m.total
    out.background = m.background
    out.pixels = m.pixels
    out.frames = m.frames
    out.highest = m.highest
    out.missing = m.missing / fmax(m.voxels, 1.0)
    out.status = _MEASURED
    if m.pixels < FEWEST_PIXELS or not m.total > LEAST_SIGNIFICANCE * sqrt(fmax(m.background, 0.0) + m.total):
        out.status = _TOO_WEAK
    if m.total > 0.0:
        out.radial_variance = fmax(m.second[0] / m.total - (m.first[0] / m.total) ** 2, 0.0)
        out.arc_variance = fmax(m.second[1] / m.total - (m.first[1] / m.total) ** 2, 0.0)
        out.omega_variance = fmax(m.second[2] / m.total - (m.first[2] / m.total) ** 2, 0.0)
        out.arc_omega = m.cross / m.total - m.first[1] * m.first[2] / m.total ** 2
    if out.missing > MOST_MISSING:
        out.status = _INCOMPLETE


def sum_boxes(const long long[::1] which, const long long[::1] offsets, const float[::1] radial, const float[::1] arc,
              const long long[::1] starts, const float[::1] values, const long long[::1] first_frame,
              const double[::1] omegas, const double[:, ::1] half, const double[::1] expected,
              const long long[::1] first_other, const double[:, ::1] others, int threads=1):
    """Intensity, centre and widths of the spots in boxes.

    Parameters
    ----------
    which : (m,) int64, the boxes to measure
    offsets, radial, arc : of `midas._ext.pull.pixels.box_pixels`, wider than the boxes themselves
    starts, values : float32 counts of each box, a row of its pixels per frame
    first_frame, omegas : (n + 1,) int64 and float64: box i has the frames first_frame[i] : first_frame[i + 1], which
        are so far from the predicted omega, degrees
    half : (n, 3) float64, half widths: radial and along the ring (µm), omega (degrees)
    expected : (n,) float64, frames in a box when the scan has them all
    first_other, others : (n + 1,) int64 and (k, 3) float64, other predictions nearby, relative to that of the box

    Returns
    -------
    (m,) of `BOX_SUM`, whose status is `MEASURED`, `TOO_WEAK` or `INCOMPLETE`

    Raises
    ------
    ValueError : arrays that do not fit together
    """
    cdef Py_ssize_t m = which.shape[0], n = offsets.shape[0] - 1, i, widest
    if half.shape[1] != 3 or others.shape[1] != 3 or not n == half.shape[0] == expected.shape[0]:
        raise ValueError("three half widths and a number of frames per box, three numbers per other prediction")
    if not n + 1 == starts.shape[0] == first_frame.shape[0] == first_other.shape[0]:
        raise ValueError("starts, first_frame and first_other must have one entry per box, and an end")
    result = np.zeros(m, BOX_SUM)
    if m == 0 or values.shape[0] == 0 or omegas.shape[0] == 0:
        result["status"] = INCOMPLETE
        result["missing"] = 1.0
        return result
    cdef BoxSum[::1] out = result
    widest = int(np.diff(offsets).max())
    cdef float[:, ::1] shells = np.empty((threads, max(widest, 1)), np.float32)
    cdef const double* other = &others[0, 0] if others.shape[0] else NULL
    with Listening():
        for i in prange(m, nogil=True, num_threads=threads, schedule="dynamic", chunksize=4):
            if not stopped():
                _measure_one(which[i], &offsets[0], &radial[0], &arc[0], &starts[0], &values[0], &first_frame[0],
                             &omegas[0], &half[0, 0], &expected[0], &first_other[0], other, &shells[threadid(), 0],
                             &out[i])
    return result


cdef inline void _measure_one(long long b, const long long* offsets, const float* radial, const float* arc,
                              const long long* starts, const float* values, const long long* first_frame,
                              const double* omegas, const double* half, const double* expected,
                              const long long* first_other, const double* others, float* shell,
                              BoxSum* out) noexcept nogil:
    cdef PullBox box
    box.pixels = offsets[b + 1] - offsets[b]
    box.radial = radial + offsets[b]
    box.arc = arc + offsets[b]
    box.values = values + starts[b]
    box.frames = first_frame[b + 1] - first_frame[b]
    box.omegas = omegas + first_frame[b]
    box.half = half + 3 * b
    box.expected = expected[b]
    box.others = others + 3 * first_other[b] if others != NULL else NULL
    box.other_count = first_other[b + 1] - first_other[b]
    _measure(&box, shell, out)
