"""Peaks of several grains that lie in one region, in all its frames at once (docs/theory/measured_spots.md#deblending).

The profile across the frames is that of the peak search; along omega it is a Gaussian, integrated over each frame.
"""
import numpy as np

from libc.math cimport INFINITY, fmax, isnan, sqrt

from midas._ext.numerics.cholesky cimport cholesky, cholesky_solve
from midas._ext.numerics.elementary cimport erf
from midas._ext.numerics.least_squares cimport MAX_VARIABLES, damped_step, normal_equations
from midas._ext.peaks.model cimport Peak, PeakRegion, peak_profiles

cdef enum:
    PER_PEAK = 4           # amplitude, radial, arc, omega
    COMMON = 4             # factors of the three widths, mixing
    MOST_PEAKS = 3         # of three the widths are not fitted
    ITERATIONS = 60
    COLUMNS = 8            # of a result

#: how far the widths may be from those expected, as a factor
cdef double WIDEST = 2.0
cdef double START_MIXING = 0.3
cdef double SMALL = 1e-7   # relative decrease that ends the fit
#: of a pixel without counts
cdef double LEAST_VARIANCE = 1.0
cdef double SQRT2 = 1.4142135623730951


cdef struct Blend:
    PeakRegion region      # of the pixels: radial and arc from the middle of the box, µm
    int frames
    int peaks
    int n                  # variables
    Py_ssize_t rows        # voxels, rounded up to a multiple of four
    const double* omegas
    double half_step
    const double* widths   # three per peak: radial, arc, omega
    const double* counts   # a row of the pixels per frame, NaN = does not count
    double* weights        # of these, zero where they do not count
    double* across         # profile of a peak at the pixels, and in the frames
    double* along


cdef inline double _part(double from_, double to, double sigma) noexcept nogil:
    """Part of a normal distribution between two numbers."""
    return 0.5 * (erf(to / (SQRT2 * sigma)) - erf(from_ / (SQRT2 * sigma)))


cdef void _profile(Blend* b, const double* x, int j) noexcept nogil:
    """Profile of peak j, of height 1, at the pixels."""
    cdef const double* common = x + PER_PEAK * b.peaks
    cdef bint fitted = b.n > PER_PEAK * b.peaks
    cdef double mixing = common[3] if fitted else START_MIXING
    cdef Peak peak
    cdef int i
    peak.radius = x[PER_PEAK * j + 1]
    peak.eta = x[PER_PEAK * j + 2]
    peak.gauss_r = peak.lorentz_r = b.widths[3 * j] * (common[0] if fitted else 1.0)
    peak.gauss_eta = peak.lorentz_eta = b.widths[3 * j + 1] * (common[1] if fitted else 1.0)
    peak_profiles(&b.region, &peak)
    for i in range(b.region.pixels):
        b.across[i] = mixing * b.region.lorentz[i] + (1.0 - mixing) * b.region.gauss[i]


cdef double _counts_of(Blend* b, const double* x, int j) noexcept nogil:
    """Counts of peak j in all frames."""
    cdef double total = 0.0
    cdef int i
    _profile(b, x, j)
    for i in range(b.region.pixels):
        total += b.across[i]
    return total * x[PER_PEAK * j]


cdef void _residuals(Blend* b, const double* x, double* out) noexcept nogil:
    """Model minus counts of every voxel, weighted; zero where there are none."""
    cdef bint fitted = b.n > PER_PEAK * b.peaks
    cdef double sigma
    cdef int i, j, f
    for i in range(b.rows):
        out[i] = 0.0
    for j in range(b.peaks):
        _profile(b, x, j)
        sigma = b.widths[3 * j + 2] * (x[PER_PEAK * b.peaks + 2] if fitted else 1.0)
        for f in range(b.frames):
            b.along[f] = x[PER_PEAK * j] * _part(b.omegas[f] - b.half_step - x[PER_PEAK * j + 3],
                                                 b.omegas[f] + b.half_step - x[PER_PEAK * j + 3], sigma)
            for i in range(b.region.pixels):
                out[f * b.region.pixels + i] += b.along[f] * b.across[i]
    for i in range(b.frames * b.region.pixels):
        out[i] = b.weights[i] * (out[i] - b.counts[i]) if b.weights[i] > 0.0 else 0.0


cdef double _sum_of_squares(const double* a, Py_ssize_t n) noexcept nogil:
    cdef double total = 0.0
    cdef Py_ssize_t i
    for i in range(n):
        total += a[i] * a[i]
    return total


cdef void _differences(Blend* b, double* x, const double* scale, const double* at, double* jacobian) noexcept nogil:
    """Derivatives by differences, a row per variable."""
    cdef double step, old
    cdef double* row
    cdef int v
    cdef Py_ssize_t i
    for v in range(b.n):
        row = jacobian + v * b.rows
        old = x[v]
        step = 1e-4 * scale[v]
        x[v] = old + step
        _residuals(b, x, row)
        x[v] = old
        for i in range(b.rows):
            row[i] = (row[i] - at[i]) / step


cdef double _minimise(Blend* b, double* x, const double* lower, const double* upper, const double* scale, double* work,
                      double* normal) noexcept nogil:
    """Levenberg-Marquardt inside the bounds; the sum of squares, and the normal matrix at the end."""
    cdef double[MAX_VARIABLES] gradient
    cdef double[MAX_VARIABLES] step
    cdef double[MAX_VARIABLES] trial
    cdef double* at = work
    cdef double* there = work + b.rows
    cdef double* jacobian = work + 2 * b.rows
    cdef double value, new, damping = 1e-2
    cdef int _turn, v, small = 0
    _residuals(b, x, at)
    value = _sum_of_squares(at, b.rows)
    _differences(b, x, scale, at, jacobian)
    normal_equations(jacobian, at, b.rows, b.n, normal, gradient)
    for _turn in range(ITERATIONS):
        new = INFINITY
        if damped_step(normal, gradient, x, lower, upper, damping, b.n, step):
            for v in range(b.n):
                trial[v] = x[v] + step[v]
            _residuals(b, trial, there)
            new = _sum_of_squares(there, b.rows)
        if not new < value:
            damping *= 5.0
            if damping > 1e8:
                break
            continue
        small = small + 1 if value - new < SMALL * value else 0
        value = new
        damping *= 0.2
        for v in range(b.n):
            x[v] = trial[v]
        _residuals(b, x, at)
        _differences(b, x, scale, at, jacobian)
        normal_equations(jacobian, at, b.rows, b.n, normal, gradient)
        if small == 2:
            break
    return value


cdef bint _variances(const double* normal, const double* scale, int n, double* out) noexcept nogil:
    """Diagonal of the inverse of the normal matrix; False when there is none."""
    cdef double[MAX_VARIABLES * MAX_VARIABLES] factor
    cdef double[MAX_VARIABLES] column
    cdef int i, j
    for i in range(n):
        for j in range(n):
            factor[i * n + j] = normal[i * n + j] * scale[i] * scale[j]
        if not factor[i * n + i] > 0.0:
            factor[i * n + i] = 1e-30
    if not cholesky(factor, n, False):
        return False
    for i in range(n):
        for j in range(n):
            column[j] = 1.0 if i == j else 0.0
        cholesky_solve(factor, n, column)
        out[i] = column[i] * scale[i] * scale[i]
    return True


def fit_blend(const double[:, ::1] counts, const double[::1] background, const double[::1] radial,
              const double[::1] arc, const double[::1] omegas, double step, const double[:, ::1] start,
              const double[:, ::1] widths, const double[::1] reach):
    """Fit the peaks of two or three grains to the voxels around them.

    Parameters
    ----------
    counts : (f, p) float64, a row per frame, background removed; NaN = does not count
    background : (f,) float64, counts under each pixel, which scatter, too
    radial, arc : (p,) float64, places of the pixels, µm
    omegas : (f,) float64, of the frames, degrees; a frame reaches half a step to both sides
    step : degrees
    start : (k, 3) float64, predicted places: µm, µm, degrees
    widths : (k, 3) float64, expected standard deviations; of two peaks a common factor for each is fitted
    reach : (3,) float64, how far a peak may be from its prediction

    Returns
    -------
    peaks : (k, 8) float64, height (counts in one frame that holds it all), places, standard deviations, and counts
    sigma : (k, 4) float64, their standard deviations from the scatter of the residuals; infinite if undetermined

    Raises
    ------
    ValueError : arrays that do not fit together, or another number of peaks
    """
    cdef int k = <int>start.shape[0], frames = <int>counts.shape[0], pixels = <int>counts.shape[1]
    cdef Blend b
    if not 2 <= k <= MOST_PEAKS or widths.shape[0] != k or start.shape[1] != 3 or widths.shape[1] != 3:
        raise ValueError(f"two to {MOST_PEAKS} peaks, each with a start and three widths")
    if (not pixels == radial.shape[0] == arc.shape[0] or not frames == omegas.shape[0] == background.shape[0]
            or frames * pixels == 0 or reach.shape[0] != 3):
        raise ValueError("a row per frame, a column per pixel, at least one of both")
    b.frames, b.peaks, b.half_step = frames, k, 0.5 * step
    b.n = PER_PEAK * k + (COMMON if k == 2 else 0)
    b.rows = (<Py_ssize_t>frames * pixels + 3) // 4 * 4
    b.omegas, b.widths, b.counts = &omegas[0], &widths[0, 0], &counts[0, 0]
    cdef double[::1] memory = np.zeros(3 * pixels + frames + (3 + b.n) * b.rows)
    b.region.pixels, b.region.peaks = pixels, k
    b.region.radius, b.region.eta, b.region.full = <double*>&radial[0], <double*>&arc[0], NULL
    b.region.lorentz, b.region.gauss = &memory[0], &memory[pixels]
    b.across, b.along = &memory[2 * pixels], &memory[3 * pixels]
    b.weights = &memory[3 * pixels + frames]
    return _fitted(&b, _weigh(&b, &background[0]), &start[0, 0], &reach[0])


cdef Py_ssize_t _weigh(Blend* b, const double* background) noexcept nogil:
    """Weights by the statistics of counts; how many voxels count."""
    cdef Py_ssize_t used = 0, at
    cdef int i, j
    for i in range(b.frames):
        for j in range(b.region.pixels):
            at = i * b.region.pixels + j
            if not isnan(b.counts[at]):
                b.weights[at] = 1.0 / sqrt(LEAST_VARIANCE + fmax(background[i], 0.0) + fmax(b.counts[at], 0.0))
                used += 1
    return used


cdef _fitted(Blend* b, Py_ssize_t used, const double* start, const double* reach):
    """Peaks and their standard deviations; nothing where there is nothing to fit."""
    cdef double[MAX_VARIABLES] x
    cdef double[MAX_VARIABLES] lower
    cdef double[MAX_VARIABLES] upper
    cdef double[MAX_VARIABLES] scale
    cdef double[MAX_VARIABLES] variance
    cdef double[MAX_VARIABLES * MAX_VARIABLES] normal
    cdef double value, highest = 0.0
    cdef Py_ssize_t at
    cdef bint known
    cdef int i, j
    for at in range(b.frames * b.region.pixels):
        if b.weights[at] > 0.0:
            highest = fmax(highest, b.counts[at])
    peaks, sigma = np.zeros((b.peaks, COLUMNS)), np.full((b.peaks, PER_PEAK), np.inf)
    if used <= b.n or not highest > 0.0:
        return peaks, sigma
    _bounds(b, highest, start, reach, x, lower, upper, scale)
    with nogil:
        value = _minimise(b, x, lower, upper, scale, b.weights + b.rows, normal)
        known = _variances(normal, scale, b.n, variance)
    for i in range(b.peaks):
        for j in range(PER_PEAK):
            peaks[i, j] = x[PER_PEAK * i + j]
            if known:
                sigma[i, j] = sqrt(fmax(variance[PER_PEAK * i + j], 0.0) * value / (used - b.n))
        for j in range(3):
            peaks[i, PER_PEAK + j] = b.widths[3 * i + j] * (x[PER_PEAK * b.peaks + j] if b.peaks == 2 else 1.0)
        peaks[i, COLUMNS - 1] = _counts_of(b, x, i)
    return peaks, sigma


cdef void _bounds(const Blend* b, double highest, const double* start, const double* reach, double* x, double* lower,
                  double* upper, double* scale) noexcept nogil:
    cdef int i, j, v
    for i in range(b.peaks):
        v = PER_PEAK * i
        x[v] = highest / b.peaks
        lower[v] = 0.0
        upper[v] = 20.0 * highest
        scale[v] = highest
        for j in range(3):
            v = PER_PEAK * i + 1 + j
            x[v] = start[3 * i + j]
            lower[v] = x[v] - reach[j]
            upper[v] = x[v] + reach[j]
            scale[v] = b.widths[3 * i + j]
    if b.n > PER_PEAK * b.peaks:
        for j in range(4):
            v = PER_PEAK * b.peaks + j
            x[v] = 1.0 if j < 3 else START_MIXING
            lower[v] = 1.0 / WIDEST if j < 3 else 0.0
            upper[v] = WIDEST if j < 3 else 1.0
            scale[v] = 1.0
