"""Bounded Levenberg-Marquardt fit of the peaks of a region (docs/theory/peaks.md#least-squares).

K. Levenberg, Quart. Appl. Math. 2 (1944) 164; D. W. Marquardt, J. SIAM 11 (1963) 431.
"""
from libc.math cimport INFINITY, fabs, fmax, fmin
from libc.stddef cimport size_t
from libc.string cimport memcpy, memset

from midas._ext.numerics.cholesky cimport cholesky, cholesky_solve
from midas._ext.numerics.elementary cimport exp
from midas._ext.numerics.stop cimport stopped
from midas._ext.peaks.model cimport Peak, PeakRegion, misfit, peak_at, region_parameters

cdef enum:
    MAX_ITERATIONS = 200
    STARTS = 3

# The mixing has local minima on either side; the best of three starts is kept.
cdef double[3] START_MIXING = [0.5, 0.1, 0.9]

cdef struct MarquardtSearch:
    int n
    double* matrix         # n × n, upper triangle of JᵀJ
    double* gradient       # n: Jᵀr
    double* factor         # n × n, work space of the solver
    double* step           # n
    double* trial          # n
    double* row            # n: derivatives at one pixel
    double* best           # n


cdef size_t least_squares_workspace(int n) noexcept nogil:
    """Doubles of workspace that `least_squares` needs."""
    return 2 * <size_t>n * n + 6 * <size_t>n


cdef inline double _derivatives(const Peak* peak, double u, double v, Peak* row) noexcept nogil:
    """Value of a peak at distance (u, v) from its centre, and its derivatives by each of its numbers."""
    cdef Peak by
    cdef double u2 = u * u, v2 = v * v
    cdef double lorentz_r2 = peak.lorentz_r * peak.lorentz_r, lorentz_eta2 = peak.lorentz_eta * peak.lorentz_eta
    cdef double gauss_r2 = peak.gauss_r * peak.gauss_r, gauss_eta2 = peak.gauss_eta * peak.gauss_eta
    cdef double a = 1.0 + u2 / lorentz_r2, b = 1.0 + v2 / lorentz_eta2
    cdef double lorentz = 1.0 / (a * b)
    cdef double gauss = exp(-0.5 * (u2 / gauss_r2 + v2 / gauss_eta2))
    cdef double shape = peak.mixing * lorentz + (1.0 - peak.mixing) * gauss
    cdef double by_l = 2.0 * peak.amplitude * peak.mixing * lorentz
    cdef double by_g = peak.amplitude * (1.0 - peak.mixing) * gauss
    by.amplitude = shape
    by.radius = by_l * u / (lorentz_r2 * a) + by_g * u / gauss_r2
    by.eta = by_l * v / (lorentz_eta2 * b) + by_g * v / gauss_eta2
    by.mixing = peak.amplitude * (lorentz - gauss)
    by.gauss_r = by_g * u2 / (gauss_r2 * peak.gauss_r)
    by.lorentz_r = by_l * u2 / (lorentz_r2 * peak.lorentz_r * a)
    by.gauss_eta = by_g * v2 / (gauss_eta2 * peak.gauss_eta)
    by.lorentz_eta = by_l * v2 / (lorentz_eta2 * peak.lorentz_eta * b)
    row[0] = by            # at once: stores in between would make the compiler read the peak again
    return peak.amplitude * shape


cdef void _linearise(const PeakRegion* region, const double* x, MarquardtSearch* s) noexcept nogil:
    """Normal equations at x."""
    cdef int i, j, p, q
    cdef int n = s.n
    cdef double residual, factor
    cdef double* target
    cdef const Peak* peak
    memset(s.matrix, 0, <size_t>n * n * sizeof(double))
    memset(s.gradient, 0, n * sizeof(double))
    s.row[0] = 1.0
    for i in range(region.pixels):
        residual = x[0] - region.counts[i]
        for j in range(region.peaks):
            peak = peak_at(x, j)
            residual += _derivatives(peak, region.radius[i] - peak.radius, region.eta[i] - peak.eta,
                                     <Peak*>peak_at(s.row, j))
        if region.full != NULL and region.full[i] and residual > 0.0:
            continue
        for p in range(n):
            factor = s.row[p]
            s.gradient[p] += factor * residual
            target = s.matrix + <size_t>p * n
            for q in range(p, n):
                target[q] += factor * s.row[q]


cdef inline bint _held(const MarquardtSearch* s, int i, const double* x, const double* lower,
                       const double* upper) noexcept nogil:
    """Whether a variable stays: no effect on the model, or at a bound with the descent pointing outwards."""
    cdef double close = 1e-10 * (upper[i] - lower[i])
    return (not s.matrix[<size_t>i * s.n + i] > 0.0 or (x[i] - lower[i] <= close and s.gradient[i] >= 0.0)
            or (upper[i] - x[i] <= close and s.gradient[i] <= 0.0))


cdef bint _propose(MarquardtSearch* s, double damping, const double* x, const double* lower,
                   const double* upper) noexcept nogil:
    """A damped step to `trial`, at most half-way to any bound; False when the system cannot be solved."""
    cdef int i, j
    cdef double limit
    memcpy(s.factor, s.matrix, <size_t>s.n * s.n * sizeof(double))
    for i in range(s.n):
        s.step[i] = -s.gradient[i]
        s.factor[<size_t>i * s.n + i] *= 1.0 + damping
    for i in range(s.n):
        if _held(s, i, x, lower, upper):
            for j in range(i):
                s.factor[<size_t>j * s.n + i] = 0.0
            for j in range(i, s.n):
                s.factor[<size_t>i * s.n + j] = 0.0
            s.factor[<size_t>i * s.n + i] = 1.0
            s.step[i] = 0.0
    if not cholesky(s.factor, s.n, True):
        return False
    cholesky_solve(s.factor, s.n, s.step)
    for i in range(s.n):
        # Plain clipping sticks at the bounds: a mixing of 0 or 1 leaves half of the widths without effect.
        limit = 0.5 * (upper[i] - x[i] if s.step[i] > 0.0 else x[i] - lower[i])
        if fabs(s.step[i]) > limit:
            s.step[i] = limit if s.step[i] > 0.0 else -limit
        s.trial[i] = x[i] + s.step[i]
    return True


cdef int _descend(PeakRegion* region, double* x, const double* lower, const double* upper, double* minimum,
                  MarquardtSearch* s) noexcept nogil:
    """Minimise from x; a `LeastSquaresCode`."""
    cdef double damping = 1e-2, value = misfit(x, s.n, region), trial
    cdef int small = 0, code = ITERATION_LIMIT
    _linearise(region, x, s)
    for _ in range(MAX_ITERATIONS):
        if stopped():
            break
        trial = INFINITY
        if _propose(s, damping, x, lower, upper):
            trial = misfit(s.trial, s.n, region)
        if trial < value:
            small = small + 1 if value - trial < 1e-9 * value else 0
            value = trial
            memcpy(x, s.trial, s.n * sizeof(double))
            damping /= 5.0
            if small == 2 or value == 0.0:
                code = CONVERGED
                break
            _linearise(region, x, s)
        else:
            damping *= 4.0
            # Not even a tiny step along the gradient helps: the last digits are reached.
            if damping > 1e12:
                code = CONVERGED
                break
    minimum[0] = value
    return code


cdef bint _may_mix(const double* lower, const double* upper, int peaks) noexcept nogil:
    """Whether the mixing of any peak is free."""
    cdef int j
    for j in range(peaks):
        if peak_at(upper, j).mixing > peak_at(lower, j).mixing:
            return True
    return False


cdef int least_squares(PeakRegion* region, double* x, const double* lower, const double* upper, double* minimum,
                       double* workspace) noexcept nogil:
    """Fit the peaks of a region from three starts.

    Parameters
    ----------
    region : pixels, and work space for the model
    x : the start within the bounds, whose mixings are replaced; afterwards the best point
    lower, upper : bounds
    minimum : sum of squares at x
    workspace : `least_squares_workspace` doubles

    Returns
    -------
    a `LeastSquaresCode`, that of the start which is kept
    """
    cdef MarquardtSearch s
    cdef int start, j, code, best_code = ITERATION_LIMIT
    cdef double value = 0.0
    cdef double* origin
    cdef Peak* peak
    s.n = region_parameters(region)
    s.matrix = workspace
    s.factor = s.matrix + <size_t>s.n * s.n
    s.gradient = s.factor + <size_t>s.n * s.n
    s.step = s.gradient + s.n
    s.trial = s.step + s.n
    s.row = s.trial + s.n
    s.best = s.row + s.n
    origin = s.best + s.n
    memcpy(origin, x, s.n * sizeof(double))
    memcpy(s.best, x, s.n * sizeof(double))
    minimum[0] = INFINITY
    for start in range(STARTS if _may_mix(lower, upper, region.peaks) else 1):
        memcpy(x, origin, s.n * sizeof(double))
        for j in range(region.peaks):
            peak = <Peak*>peak_at(x, j)
            peak.mixing = fmin(fmax(START_MIXING[start], peak_at(lower, j).mixing), peak_at(upper, j).mixing)
        code = _descend(region, x, lower, upper, &value, &s)
        if value < minimum[0]:
            minimum[0] = value
            best_code = code
            memcpy(s.best, x, s.n * sizeof(double))
    memcpy(x, s.best, s.n * sizeof(double))
    return best_code
