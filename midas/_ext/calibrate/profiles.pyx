"""Profiles of powder rings, fitted to the pixels of every group.

See docs/theory/calibration.md#points-on-rings.
"""
import numpy as np

from cython.parallel cimport prange
from libc.math cimport INFINITY, NAN, exp, fabs, floor, fmax, fmin, sqrt

from midas._ext.numerics.cholesky cimport cholesky, cholesky_solve
from midas._ext.physics.geometry cimport Detector, detector_to_ideal, unpack_detector
from midas._ext.physics.panels cimport PANEL_NUMBERS, shift_on_panel

cdef enum:
    MOST_PEAKS = 2
    UNKNOWNS = 2 + 2 * MOST_PEAKS
    POINTS = 4             # Gauss points across a pixel, each way
    MOST_STEPS = 15
    FEWEST_PIXELS = 12
    NODES = 80             # of the table of a profile

#: nodes per full width at half maximum, or per half a pixel where the ring is narrower
cdef double NODES_PER_WIDTH = 12.0
#: a step that moves the centre by less than this part of its sigma is the last one
cdef double SMALL_STEP = 1e-3
#: counts², of a pixel without counts
cdef double LEAST_VARIANCE = 1.0
cdef double FOUR_LOG_2 = 2.772588722239781

cdef double[POINTS] OFFSETS = [-0.43056815579702629, -0.16999052179242813, 0.16999052179242813, 0.43056815579702629]
cdef double[POINTS] WEIGHTS = [0.17392742256872693, 0.32607257743127307, 0.32607257743127307, 0.17392742256872693]


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


cdef struct Profile:
    double fwhm            # px
    double mixing          # part of the Lorentzian
    double spacing         # of the table, px
    double[NODES] value    # mean over a pixel, and its slope
    double[NODES] slope


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


cdef inline void _pseudo_voigt(double x, double fwhm, double mixing, double* value, double* slope) noexcept nogil:
    """Of height 1."""
    cdef double u = x / fwhm
    cdef double u2 = u * u
    cdef double lorentz = mixing / (1.0 + 4.0 * u2), gauss = (1.0 - mixing) * exp(-FOUR_LOG_2 * u2)
    value[0] = lorentz + gauss
    slope[0] = -2.0 * u / fwhm * (4.0 * lorentz / (1.0 + 4.0 * u2) + FOUR_LOG_2 * gauss)


cdef inline void _pixel_mean(double x, double fwhm, double mixing, double g_y, double g_z, double* value,
                             double* slope) noexcept nogil:
    """Mean of the profile over the area of a pixel, in which x grows by g_y and g_z per px."""
    cdef double v = 0.0, s = 0.0, weight
    cdef int i, j
    value[0] = slope[0] = 0.0
    for i in range(POINTS):
        for j in range(POINTS):
            _pseudo_voigt(x + g_y * OFFSETS[i] + g_z * OFFSETS[j], fwhm, mixing, &v, &s)
            weight = WEIGHTS[i] * WEIGHTS[j]
            value[0] += weight * v
            slope[0] += weight * s


cdef void _tabulate(Profile* p, double fwhm, double mixing, double g_y, double g_z) noexcept nogil:
    cdef int i
    p.fwhm = fwhm
    p.mixing = mixing
    p.spacing = fmax(fwhm, 0.5) / NODES_PER_WIDTH
    for i in range(NODES):
        _pixel_mean(i * p.spacing, fwhm, mixing, g_y, g_z, &p.value[i], &p.slope[i])


cdef inline void _profile_at(const Profile* p, double x, double* value, double* slope) noexcept nogil:
    """Cubic between the nodes of the table; beyond it a pixel is narrow against the profile."""
    cdef double t = fabs(x) / p.spacing, h = p.spacing, a, b, c, d
    cdef int i
    if not t < NODES - 1:
        _pseudo_voigt(x, p.fwhm, p.mixing, value, slope)
        return
    i = <int>t
    t -= i
    a = p.value[i]
    b = p.slope[i] * h
    c = 3.0 * (p.value[i + 1] - a) - 2.0 * b - p.slope[i + 1] * h
    d = 2.0 * (a - p.value[i + 1]) + b + p.slope[i + 1] * h
    value[0] = a + t * (b + t * (c + t * d))
    slope[0] = (b + t * (2.0 * c + 3.0 * t * d)) / h
    if x < 0.0:
        slope[0] = -slope[0]


cdef inline double _model(const RingGroup* group, const Profile* profile, const double* q, Py_ssize_t i,
                          double* row) noexcept nogil:
    """Counts of a pixel, and their derivatives by background, slope, and height and place of each peak."""
    cdef double x = group.x[i], value = 0.0, slope = 0.0
    cdef double counts = group.tails[i] + q[0] + q[1] * x
    cdef int j
    row[0] = 1.0
    row[1] = x
    for j in range(group.peaks):
        _profile_at(profile + j, x - group.expected[j] - q[3 + 2 * j], &value, &slope)
        row[2 + 2 * j] = value
        row[3 + 2 * j] = -q[2 + 2 * j] * slope
        counts += q[2 + 2 * j] * value
    return counts


cdef double _normal_equations(const RingGroup* group, const Profile* profile, const double* q, bint alike,
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


cdef bint _linear_start(const RingGroup* group, const Profile* profile, double* q) noexcept nogil:
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


cdef bint _fit(const RingGroup* group, const Profile* profile, double* q, double* factor, double* chi2) noexcept nogil:
    """Gauss-Newton steps until the places stand; `factor` of the last normal matrix."""
    cdef int m = 2 + 2 * group.peaks, j, step, a
    cdef double[UNKNOWNS] right
    cdef double largest, move, limit
    if not _linear_start(group, profile, q):
        return False
    for step in range(MOST_STEPS):
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


cdef void _information(const RingGroup* group, const Profile* profile, const double* q, int peak,
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
    cdef int i
    for i in range(4):
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
    cdef Profile[MOST_PEAKS] profile
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
        _tabulate(profile + j, problem.fwhm[i], problem.mixing[i], g_y, g_z)
        q[2 + 2 * j] = 1.0
        q[3 + 2 * j] = problem.shift[g]
    if _fit(&group, profile, q, factor, &chi2):
        for j in range(group.peaks):
            _report(&group, profile, q, factor, chi2, j, out + j)
            _move_onto(d, panel, problem.middle[window] + group.expected[j] + out[j].place, &out[j].y_px,
                       &out[j].z_px)


cdef void _report(const RingGroup* group, const Profile* profile, const double* q, const double* factor, double chi2,
                  int peak, RingPeak* out) noexcept nogil:
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
    tails : (m,) float32, of `tails_of_neighbours`
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
    ValueError : when shapes do not fit
    """
    cdef Py_ssize_t groups = window_of.shape[0], g, w = middle.shape[0]
    cdef RingProblem p
    if (starts.shape[0] != groups + 1 or panel_of.shape[0] != groups or shift.shape[0] != groups
            or detector.shape[0] != 12 or panels.shape[1] != PANEL_NUMBERS
            or not len(pixel) == len(x) == len(values) == len(tails) == starts[groups]
            or not peaks.shape[0] == fwhm.shape[0] == mixing.shape[0] == w
            or not peaks.shape[1] == fwhm.shape[1] == mixing.shape[1] == MOST_PEAKS):
        raise ValueError("one of everything per group or window, and a detector of twelve numbers")
    result = np.empty((groups, MOST_PEAKS), RING_PEAK)
    if not starts[groups]:
        raise ValueError("no group has a pixel")
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


def tails_of_neighbours(const long long[::1] starts, const float[::1] x, const double[:, :, ::1] neighbours,
                        int threads=1):
    """Counts that the rings beside each group leave in its pixels.

    Parameters
    ----------
    starts, x : of `midas._ext.calibrate.groups.group_pixels`
    neighbours : (g, k, 4) float64, of each: height (counts), place (px from the middle of the window), width (px) and
        mixing
    threads : the result does not depend on it

    Returns
    -------
    (m,) float32
    """
    cdef Py_ssize_t groups = neighbours.shape[0], g
    result = np.zeros(len(x), np.float32)
    cdef float[::1] out = result
    with nogil:
        for g in prange(groups, schedule="static", num_threads=threads):
            _tails(neighbours[g], x[starts[g]:starts[g + 1]], out[starts[g]:starts[g + 1]])
    return result


cdef void _tails(const double[:, ::1] neighbours, const float[::1] x, float[::1] out) noexcept nogil:
    cdef double value = 0.0, slope = 0.0
    cdef Py_ssize_t i, k
    for k in range(neighbours.shape[0]):
        if not neighbours[k, 0] > 0.0:
            continue
        for i in range(x.shape[0]):
            _pseudo_voigt(x[i] - neighbours[k, 1], neighbours[k, 2], neighbours[k, 3], &value, &slope)
            out[i] = out[i] + <float>(neighbours[k, 0] * value)


def pooled_profiles(const long long[::1] starts, const float[::1] x, const double[::1] values, const float[::1] tails,
                    const long long[::1] window_of, const double[:, ::1] peaks, RingPeak[:, ::1] found,
                    const unsigned char[::1] used, Py_ssize_t windows, double bin_px, Py_ssize_t half):
    """Profile of the single rings of all windows: the pixels of its groups about their own centres.

    Parameters
    ----------
    starts, x, values : of `midas._ext.calibrate.groups.group_pixels`
    tails : (m,) float32, of `tails_of_neighbours`
    window_of : (g,) int64
    peaks : (w, 2) float64, as for `fit_groups`
    found : (g, 2) `RING_PEAK`
    used : (g,) uint8, groups that count; those of pairs do not
    windows, bin_px, half : windows, width of a bin, bins on either side of the centre

    Returns
    -------
    (w, 3, 2 * half + 1) float64: sums of counts above the background, of heights, and of the counts' variance
    """
    cdef Py_ssize_t groups = window_of.shape[0], g, i, k, bin
    cdef double from_centre
    result = np.zeros((windows, 3, 2 * half + 1))
    cdef double[:, :, ::1] out = result
    with nogil:
        for g in range(groups):
            if not used[g]:
                continue
            k = window_of[g]
            for i in range(starts[g], starts[g + 1]):
                from_centre = x[i] - peaks[k, 0] - found[g, 0].place
                bin = <Py_ssize_t>floor(from_centre / bin_px + 0.5) + half
                if 0 <= bin <= 2 * half:
                    out[k, 0, bin] += values[i] - tails[i] - found[g, 0].background - found[g, 0].slope * x[i]
                    out[k, 1, bin] += found[g, 0].height
                    out[k, 2, bin] += fmax(values[i], 0.0) + LEAST_VARIANCE
    return result


def pixel_profile(const double[::1] x, double fwhm, double mixing, double g_y, double g_z):
    """Mean of a pseudo-Voigt of height 1 over pixels.

    Parameters
    ----------
    x : (n,) float64, px, middle of the pixel from the centre of the profile
    fwhm : px
    mixing : part of the Lorentzian
    g_y, g_z : growth of x within the pixel, per px

    Returns
    -------
    (n,) float64
    """
    cdef Py_ssize_t i
    cdef double slope = 0.0
    result = np.empty(len(x))
    cdef double[::1] out = result
    for i in range(x.shape[0]):
        _pixel_mean(x[i], fwhm, mixing, g_y, g_z, &out[i], &slope)
    return result
