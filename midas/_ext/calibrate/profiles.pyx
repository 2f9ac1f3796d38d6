"""Profiles of powder rings, fitted to the pixels of every group.

See docs/theory/calibration.md#points-on-rings.
"""
import numpy as np

from cython.parallel cimport prange
from libc.math cimport INFINITY, NAN, fabs, fmax, fmin, sqrt

from midas._ext.calibrate.ring_profile cimport RingProfile, profile_at, tabulate
from midas._ext.numerics.cholesky cimport cholesky, cholesky_solve
from midas._ext.physics.geometry cimport Detector, detector_to_ideal, unpack_detector
from midas._ext.physics.panels cimport PANEL_NUMBERS, shift_on_panel

cdef enum:
    MOST_PEAKS = 2
    UNKNOWNS = 2 + 2 * MOST_PEAKS
    MOST_STEPS = 15
    FEWEST_PIXELS = 12

#: a step that moves the centre by less than this part of its sigma is the last one
cdef double SMALL_STEP = 1e-3
#: counts², of a pixel without counts
cdef double LEAST_VARIANCE = 1.0


cdef struct RingPeak:
    double place           # centre from where the ring is expected, px; NaN when the fit failed
    double sigma           # of it, px, from the counts alone
    double height          # counts, of the profile before it is averaged over a pixel
    double sigma_height
    double inner           # part of the information about the centre that is on the inner flank
    double y_px            # where the centre is on the image
    double z_px
    double background      # counts at the middle of the window, and per px
    double slope
    double chi2            # of the group, per degree of freedom
    double pixels
    double highest         # counts

cdef RingPeak _a_peak

#: a peak as a numpy type
RING_PEAK = np.asarray(<RingPeak[:1]>&_a_peak).dtype


cdef struct RingProblem:
    const long long* starts
    const int* pixel
    const float* x
    const double* counts
    const float* tails
    Py_ssize_t columns
    Detector detector
    const double* panels
    const long long* window_of
    const long long* panel_of
    const double* middle
    const double* peaks    # MOST_PEAKS per window, as the next two
    const double* fwhm
    const double* mixing
    const double* shift


cdef struct RingGroup:
    const float* x         # px from the middle of the window
    const double* counts
    const float* tails     # counts of the rings beside
    const int* pixel
    Py_ssize_t n
    int peaks
    double[MOST_PEAKS] expected     # px from the middle
    Py_ssize_t columns


cdef inline double _model(const RingGroup* group, const RingProfile* profile, const double* q, Py_ssize_t i,
                          double* row) noexcept nogil:
    """Counts of a pixel, and their derivatives by background, slope, and height and place of each peak."""
    cdef double x = group.x[i], value = 0.0, slope = 0.0
    cdef double counts = group.tails[i] + q[0] + q[1] * x
    cdef int j
    row[0] = 1.0
    row[1] = x
    for j in range(group.peaks):
        profile_at(profile + j, x - group.expected[j] - q[3 + 2 * j], &value, &slope)
        row[2 + 2 * j] = value
        row[3 + 2 * j] = -q[2 + 2 * j] * slope
        counts += q[2 + 2 * j] * value
    return counts


cdef double _normal_equations(const RingGroup* group, const RingProfile* profile, const double* q, bint alike,
                              double* normal, double* right) noexcept nogil:
    """JᵀWJ and JᵀWr at `q`, weights of the counting statistics of the model, or all alike; the sum of W r²."""
    cdef int m = 2 + 2 * group.peaks, a, b
    cdef double[UNKNOWNS] row
    cdef double counts, weight, rest, chi2 = 0.0
    cdef Py_ssize_t i
    for a in range(m):
        right[a] = 0.0
        for b in range(m):
            normal[a * m + b] = 0.0
    for i in range(group.n):
        counts = _model(group, profile, q, i, row)
        weight = 1.0 if alike else 1.0 / (fmax(counts, 0.0) + LEAST_VARIANCE)
        rest = group.counts[i] - counts
        chi2 += weight * rest * rest
        for a in range(m):
            right[a] += weight * row[a] * rest
            for b in range(a, m):
                normal[a * m + b] += weight * row[a] * row[b]
    return chi2


cdef bint _linear_start(const RingGroup* group, const RingProfile* profile, double* q) noexcept nogil:
    """Background, slope and heights where the places are given."""
    cdef int m = 2 + 2 * group.peaks, free = 2 + group.peaks, a, b
    cdef double[UNKNOWNS * UNKNOWNS] normal
    cdef double[UNKNOWNS] right
    cdef double[UNKNOWNS * UNKNOWNS] small
    cdef double[UNKNOWNS] x
    cdef int[UNKNOWNS] which
    which[0] = 0
    which[1] = 1
    for a in range(group.peaks):
        which[2 + a] = 2 + 2 * a
    _normal_equations(group, profile, q, True, normal, right)
    for a in range(free):
        x[a] = right[which[a]]
        for b in range(a, free):
            small[a * free + b] = normal[which[a] * m + which[b]]
    if not cholesky(small, free, False):
        return False
    cholesky_solve(small, free, x)
    for a in range(free):
        q[which[a]] = x[a]
    return True


cdef bint _fit(const RingGroup* group, const RingProfile* profile, double* q, double* factor,
               double* chi2) noexcept nogil:
    """Gauss-Newton steps until the places stand; `factor` of the last normal matrix."""
    cdef int m = 2 + 2 * group.peaks, j, _step, a
    cdef double[UNKNOWNS] right
    cdef double largest, move, limit
    if not _linear_start(group, profile, q):
        return False
    for _step in range(MOST_STEPS):
        _normal_equations(group, profile, q, False, factor, right)
        for j in range(group.peaks):
            if not q[2 + 2 * j] > 0.0:
                return False
        if not cholesky(factor, m, False):
            return False
        cholesky_solve(factor, m, right)
        largest = 0.0
        for a in range(2 + 2 * group.peaks):
            move = right[a]
            if a >= 2 and a % 2 == 1:
                j = (a - 3) // 2
                limit = 0.5 * fmax(profile[j].fwhm, 1.0)
                move = fmin(fmax(move, -limit), limit)
                largest = fmax(largest, fabs(move) * factor[a * m + a])
            q[a] += move
        if largest < SMALL_STEP:
            chi2[0] = _normal_equations(group, profile, q, False, factor, right)
            return cholesky(factor, m, False)
    return False


cdef double _sigma(const double* factor, int m, int which) noexcept nogil:
    """Of one unknown: square root of a diagonal element of the inverse of the normal matrix."""
    cdef double[UNKNOWNS] column
    cdef int a
    for a in range(m):
        column[a] = 1.0 if a == which else 0.0
    cholesky_solve(factor, m, column)
    return sqrt(column[which])


cdef void _information(const RingGroup* group, const RingProfile* profile, const double* q, int peak,
                       RingPeak* out) noexcept nogil:
    """How much of what the pixels say about the place comes from the inner flank; their mean place, so weighted."""
    cdef double[UNKNOWNS] row
    cdef double total = 0.0, inner = 0.0, y = 0.0, z = 0.0, counts, part
    cdef Py_ssize_t i
    for i in range(group.n):
        counts = _model(group, profile, q, i, row)
        part = row[3 + 2 * peak] * row[3 + 2 * peak] / (fmax(counts, 0.0) + LEAST_VARIANCE)
        total += part
        if group.x[i] < group.expected[peak] + q[3 + 2 * peak]:
            inner += part
        y += part * (group.pixel[i] % group.columns)
        z += part * (group.pixel[i] // group.columns)
    out.inner = inner / total
    out.y_px = y / total
    out.z_px = z / total


cdef inline double _radius(const Detector* d, const double* panel, double y, double z) noexcept nogil:
    """Of a pixel on the plane, px."""
    if panel != NULL:
        shift_on_panel(panel, &y, &z)
    return detector_to_ideal(d, y, z).radius / d.px


cdef inline void _gradient(const Detector* d, const double* panel, double y, double z, double* g_y,
                           double* g_z) noexcept nogil:
    """Of the radius (px) by the pixel."""
    g_y[0] = _radius(d, panel, y + 0.5, z) - _radius(d, panel, y - 0.5, z)
    g_z[0] = _radius(d, panel, y, z + 0.5) - _radius(d, panel, y, z - 0.5)


cdef void _move_onto(const Detector* d, const double* panel, double radius, double* y, double* z) noexcept nogil:
    """Along the gradient to where the radius (px) is the one given."""
    cdef double g_y = 0.0, g_z = 0.0, step
    cdef int _i
    for _i in range(4):
        _gradient(d, panel, y[0], z[0], &g_y, &g_z)
        step = (radius - _radius(d, panel, y[0], z[0])) / (g_y * g_y + g_z * g_z)
        y[0] += step * g_y
        z[0] += step * g_z


cdef void _no_peak(RingPeak* out, double pixels, double highest) noexcept nogil:
    out.place = out.y_px = out.z_px = NAN
    out.sigma = out.sigma_height = out.chi2 = INFINITY
    out.height = out.background = out.slope = out.inner = 0.0
    out.pixels = pixels
    out.highest = highest


cdef void _one_group(const RingProblem* problem, Py_ssize_t g, RingPeak* out) noexcept nogil:
    """Profile and place of the rings of a group."""
    cdef Py_ssize_t first = problem.starts[g], window = problem.window_of[g], i
    cdef const Detector* d = &problem.detector
    cdef const double* panel = NULL
    cdef RingProfile[MOST_PEAKS] profile
    cdef double[UNKNOWNS] q
    cdef double[UNKNOWNS * UNKNOWNS] factor
    cdef double y = 0.0, z = 0.0, g_y = 0.0, g_z = 0.0, chi2 = 0.0, highest = -INFINITY
    cdef RingGroup group
    cdef int j
    group.x, group.counts, group.pixel = problem.x + first, problem.counts + first, problem.pixel + first
    group.tails = problem.tails + first
    group.n, group.columns, group.peaks = problem.starts[g + 1] - first, problem.columns, 1
    for i in range(group.n):
        highest = fmax(highest, group.counts[i])
        y += group.pixel[i] % group.columns
        z += group.pixel[i] // group.columns
    for j in range(MOST_PEAKS):
        _no_peak(out + j, group.n, highest)
    if group.n < FEWEST_PIXELS or problem.shift[g] != problem.shift[g]:
        return
    if problem.panel_of[g] >= 0:
        panel = problem.panels + PANEL_NUMBERS * problem.panel_of[g]
    if problem.peaks[MOST_PEAKS * window + 1] == problem.peaks[MOST_PEAKS * window + 1]:
        group.peaks = MOST_PEAKS
    _gradient(d, panel, y / group.n, z / group.n, &g_y, &g_z)
    q[0] = q[1] = 0.0
    for j in range(group.peaks):
        i = MOST_PEAKS * window + j
        group.expected[j] = problem.peaks[i]
        tabulate(profile + j, problem.fwhm[i], problem.mixing[i], g_y, g_z)
        q[2 + 2 * j] = 1.0
        q[3 + 2 * j] = problem.shift[g]
    if _fit(&group, profile, q, factor, &chi2):
        for j in range(group.peaks):
            _report(&group, profile, q, factor, chi2, j, out + j)
            _move_onto(d, panel, problem.middle[window] + group.expected[j] + out[j].place, &out[j].y_px,
                       &out[j].z_px)


cdef void _report(const RingGroup* group, const RingProfile* profile, const double* q, const double* factor,
                  double chi2, int peak, RingPeak* out) noexcept nogil:
    """What the fit says of one peak; its place on the image is still the mean of the pixels."""
    cdef int m = 2 + 2 * group.peaks
    _information(group, profile, q, peak, out)
    out.place = q[3 + 2 * peak]
    out.sigma = _sigma(factor, m, 3 + 2 * peak)
    out.height = q[2 + 2 * peak]
    out.sigma_height = _sigma(factor, m, 2 + 2 * peak)
    out.background = q[0]
    out.slope = q[1]
    out.chi2 = chi2 / (group.n - m)


def fit_groups(const long long[::1] starts, const int[::1] pixel, const float[::1] x, const double[::1] values,
               const float[::1] tails, Py_ssize_t columns, const double[::1] detector, const double[:, ::1] panels,
               const long long[::1] window_of, const long long[::1] panel_of, const double[::1] middle,
               const double[:, ::1] peaks, const double[:, ::1] fwhm, const double[:, ::1] mixing,
               const double[::1] shift, int threads=1):
    """Fit background + slope x + a peak, or two, to the pixels of every group.

    Parameters
    ----------
    starts, pixel, x, values : of `midas._ext.calibrate.groups.group_pixels`
    tails : (m,) float32, of `midas._ext.calibrate.pooled.tails_of_neighbours`
    columns : of the image
    detector : (12,) float64, `midas.experiment.detector.DetectorGeometry.packed`
    panels : (p, 8) float64, `midas.experiment.panels.panels_of`
    window_of, panel_of : (g,) int64, of each group; panel -1 without panels
    middle : (w,) float64, px, of each window
    peaks : (w, 2) float64, px from the middle, where rings are expected; the second is NaN where there is one only
    fwhm, mixing : (w, 2) float64, of each ring: px; part of the Lorentzian
    shift : (g,) float64, px from where they are expected, to start from; NaN leaves a group out
    threads : the result does not depend on it

    Returns
    -------
    (g, 2) `RING_PEAK`

    Raises
    ------
    ValueError : when shapes do not fit, or no group has a pixel
    """
    cdef Py_ssize_t groups = window_of.shape[0], g, w = middle.shape[0]
    cdef RingProblem p
    if (starts.shape[0] != groups + 1 or panel_of.shape[0] != groups or shift.shape[0] != groups
            or detector.shape[0] != 12 or panels.shape[1] != PANEL_NUMBERS
            or not len(pixel) == len(x) == len(values) == len(tails) == starts[groups] > 0
            or not peaks.shape[0] == fwhm.shape[0] == mixing.shape[0] == w
            or not peaks.shape[1] == fwhm.shape[1] == mixing.shape[1] == MOST_PEAKS):
        raise ValueError("one of everything per group or window, and a detector of twelve numbers")
    result = np.empty((groups, MOST_PEAKS), RING_PEAK)
    cdef RingPeak[:, ::1] out = result
    p.starts, p.pixel, p.x, p.counts, p.columns = &starts[0], &pixel[0], &x[0], &values[0], columns
    p.tails = &tails[0]
    p.detector = unpack_detector(detector)
    p.panels = &panels[0, 0] if panels.shape[0] else NULL
    p.window_of, p.panel_of, p.middle = &window_of[0], &panel_of[0], &middle[0]
    p.peaks, p.fwhm, p.mixing, p.shift = &peaks[0, 0], &fwhm[0, 0], &mixing[0, 0], &shift[0]
    with nogil:
        for g in prange(groups, schedule="dynamic", chunksize=16, num_threads=threads):
            _one_group(&p, g, &out[g, 0])
    return result
