"""Bounded Levenberg-Marquardt fit of the peaks of a region (docs/theory/peaks.md#least-squares).

K. Levenberg, Quart. Appl. Math. 2 (1944) 164; D. W. Marquardt, J. SIAM 11 (1963) 431.
"""
from libc.math cimport INFINITY, fabs
from libc.stddef cimport size_t
from libc.string cimport memcpy, memset

from midas._ext.numerics.cholesky cimport cholesky, cholesky_solve
from midas._ext.numerics.exponential cimport exp_with_fixed_bits
from midas._ext.numerics.least_squares cimport dot
from midas._ext.numerics.stop cimport stopped
from midas._ext.peaks.model cimport PEAK_SIZE, Peak, PeakRegion, peak_at, region_parameters

cdef enum:
    TILE = 64              # pixels whose derivatives are held at a time, a multiple of four
    MAX_ITERATIONS = 200

# Two accepted steps in a row that lower the sum of squares by less than this share of it are the last ones, unless the
# damping kept them short: anywhere in a valley such a step gains little. A top that is cut off lies at the end of a
# long one.
cdef double STOP = 1e-5, STOP_OF_CLIPPED = 1e-9, LIGHT = 3.0
# Most of the way to a bound that a step may go: with more of it peaks come out worse, with less it takes longer.
cdef double PART_OF_WAY = 0.7
# The damping falls at most to this part, and grows by this factor at the first failure, twice that at the next ...
cdef double FIRST_DAMPING = 1e-2, LEAST_FALL = 1.0 / 3.0, FIRST_GROWTH = 4.0
# The height of a peak above a tile, relative to its own, below which it is left out of the matrix, not of the gradient.
cdef double FAR = 1e-3

cdef struct NormalEquations:
    double* matrix         # n × n, upper triangle of JᵀJ
    double* gradient       # n: Jᵀr

cdef struct MarquardtSearch:
    int n
    NormalEquations here
    NormalEquations there  # at `trial`
    double* factor         # n × n, work space of the solver
    double* step           # n
    double* trial          # n
    double* near           # per peak: 1 where it counts in the tile
    double* columns        # n × TILE: derivatives by each parameter at the pixels of the tile
    double* residual       # TILE
    double* work           # 2 × TILE


cdef size_t least_squares_workspace(int n) noexcept nogil:
    """Doubles of workspace that `least_squares` needs."""
    return 3 * <size_t>n * n + 5 * <size_t>n + (<size_t>n + 3) * TILE


cdef inline void _shapes(const double* radius, const double* eta, const Peak* peak, int count, double* of_radius,
                         double* of_eta, double* gauss) noexcept nogil:
    """The two factors of the Lorentzian and the Gaussian, of height 1, at the pixels of a tile."""
    cdef double gauss_r = 1.0 / peak.gauss_r, gauss_eta = 1.0 / peak.gauss_eta
    cdef double lorentz_r = 1.0 / peak.lorentz_r, lorentz_eta = 1.0 / peak.lorentz_eta
    cdef double gauss_r2 = gauss_r * gauss_r, gauss_eta2 = gauss_eta * gauss_eta
    cdef double lorentz_r2 = lorentz_r * lorentz_r, lorentz_eta2 = lorentz_eta * lorentz_eta
    cdef double at_radius = peak.radius, at_eta = peak.eta, u, v
    cdef int i
    for i in range(count):             # exp in a loop of its own: the divisions vectorise
        u = radius[i] - at_radius
        v = eta[i] - at_eta
        u *= u
        v *= v
        of_radius[i] = 1.0 / (1.0 + u * lorentz_r2)
        of_eta[i] = 1.0 / (1.0 + v * lorentz_eta2)
        gauss[i] = -0.5 * (u * gauss_r2 + v * gauss_eta2)
    for i in range(count):
        gauss[i] = exp_with_fixed_bits(gauss[i])


cdef inline bint _add_peak(const PeakRegion* region, const Peak* peak, int first, int count, double* columns,
                           double* residual, double* work) noexcept nogil:
    """The peak's counts to the residuals of a tile, its derivatives to its columns; whether it is near."""
    cdef double* by_radius = columns + TILE
    cdef double* by_eta = columns + 2 * TILE
    cdef double* by_mixing = columns + 3 * TILE
    cdef double* by_gauss_r = columns + 4 * TILE
    cdef double* by_lorentz_r = columns + 5 * TILE
    cdef double* by_gauss_eta = columns + 6 * TILE
    cdef double* by_lorentz_eta = columns + 7 * TILE
    cdef double* of_eta = work + TILE
    cdef const double* radius = region.radius + first
    cdef const double* eta = region.eta + first
    cdef double gauss_r = 1.0 / peak.gauss_r, gauss_eta = 1.0 / peak.gauss_eta
    cdef double lorentz_r = 1.0 / peak.lorentz_r, lorentz_eta = 1.0 / peak.lorentz_eta
    cdef double amplitude = peak.amplitude, mixing = peak.mixing, at_radius = peak.radius, at_eta = peak.eta
    cdef double u, v, lorentz, gauss, by_l, by_g, shape, highest = 0.0
    cdef int i
    _shapes(radius, eta, peak, count, work, of_eta, by_gauss_r)
    for i in range(count):
        gauss = by_gauss_r[i]
        lorentz = work[i] * of_eta[i]
        shape = mixing * lorentz + (1.0 - mixing) * gauss
        columns[i] = shape             # by the amplitude
        residual[i] += amplitude * shape
        by_mixing[i] = amplitude * (lorentz - gauss)
        by_l = 2.0 * amplitude * mixing * lorentz
        by_g = amplitude * (1.0 - mixing) * gauss
        u, v = (radius[i] - at_radius) * lorentz_r, (eta[i] - at_eta) * lorentz_eta
        by_lorentz_r[i] = by_l * work[i] * u * u * lorentz_r
        by_lorentz_eta[i] = by_l * of_eta[i] * v * v * lorentz_eta
        by_radius[i] = by_l * work[i] * u * lorentz_r
        by_eta[i] = by_l * of_eta[i] * v * lorentz_eta
        u, v = (radius[i] - at_radius) * gauss_r, (eta[i] - at_eta) * gauss_eta
        by_gauss_r[i] = by_g * u * u * gauss_r
        by_gauss_eta[i] = by_g * v * v * gauss_eta
        by_radius[i] += by_g * u * gauss_r
        by_eta[i] += by_g * v * gauss_eta
    for i in range(count):
        if columns[i] > highest:
            highest = columns[i]
    return highest > FAR


cdef void _add_products(MarquardtSearch* s, NormalEquations* out, int peaks, int count) noexcept nogil:
    """The products of the columns of a tile to the normal equations, those of peaks that are far left out."""
    cdef int j, k, p, q, n = s.n
    cdef double* row
    cdef const double* left
    for p in range(n):
        out.gradient[p] += dot(s.columns + <size_t>p * TILE, s.residual, count)
    for q in range(n):
        out.matrix[q] += dot(s.columns, s.columns + <size_t>q * TILE, count)
    for j in range(peaks):
        if s.near[j] == 0.0:
            continue
        for p in range(1 + PEAK_SIZE * j, 1 + PEAK_SIZE * (j + 1)):
            row = out.matrix + <size_t>p * n
            left = s.columns + <size_t>p * TILE
            for q in range(p, 1 + PEAK_SIZE * (j + 1)):
                row[q] += dot(left, s.columns + <size_t>q * TILE, count)
            for k in range(j + 1, peaks):
                if s.near[k] == 0.0:
                    continue
                for q in range(1 + PEAK_SIZE * k, 1 + PEAK_SIZE * (k + 1)):
                    row[q] += dot(left, s.columns + <size_t>q * TILE, count)


cdef void _weigh(const PeakRegion* region, int first, int count, MarquardtSearch* s) noexcept nogil:
    """Residuals and derivatives of a tile by the weights of its pixels; those that say nothing become 0."""
    cdef double weight
    cdef int i, p
    for i in range(count):
        weight = 1.0 if region.root_weights == NULL else region.root_weights[first + i]
        if region.full != NULL and region.full[first + i] and s.residual[i] > 0.0:
            weight = 0.0
        if weight != 1.0:
            s.residual[i] *= weight
            for p in range(s.n):
                s.columns[<size_t>p * TILE + i] *= weight


cdef double _linearise(const PeakRegion* region, const double* x, MarquardtSearch* s,
                       NormalEquations* out) noexcept nogil:
    """Normal equations at x; the sum of squares."""
    cdef int first, count, padded, i, j, p
    cdef double total = 0.0
    memset(out.matrix, 0, <size_t>s.n * s.n * sizeof(double))
    memset(out.gradient, 0, s.n * sizeof(double))
    for first from 0 <= first < region.pixels by TILE:
        count = min(region.pixels - first, TILE)
        padded = (count + 3) & ~3
        for i in range(count):
            s.columns[i] = 1.0
            s.residual[i] = x[0] - region.counts[first + i]
        for j in range(region.peaks):
            s.near[j] = _add_peak(region, peak_at(x, j), first, count,
                                  s.columns + <size_t>(1 + PEAK_SIZE * j) * TILE, s.residual, s.work)
        if region.full != NULL or region.root_weights != NULL:
            _weigh(region, first, count, s)
        for i in range(count, padded):
            s.residual[i] = 0.0
            for p in range(s.n):
                s.columns[<size_t>p * TILE + i] = 0.0
        total += dot(s.residual, s.residual, padded)
        _add_products(s, out, region.peaks, padded)
    return total


cdef inline bint _held(const MarquardtSearch* s, int i, const double* x, const double* lower,
                       const double* upper) noexcept nogil:
    """Whether a variable stays: no effect on the model, or at a bound with the descent pointing outwards."""
    cdef double close = 1e-10 * (upper[i] - lower[i])
    return (not s.here.matrix[<size_t>i * s.n + i] > 0.0 or (x[i] - lower[i] <= close and s.here.gradient[i] >= 0.0)
            or (upper[i] - x[i] <= close and s.here.gradient[i] <= 0.0))


cdef bint _propose(MarquardtSearch* s, double damping, const double* x, const double* lower,
                   const double* upper) noexcept nogil:
    """A damped step to `trial`, at most a part of the way to any bound; False when the system cannot be solved."""
    cdef int i, j
    cdef double limit
    memcpy(s.factor, s.here.matrix, <size_t>s.n * s.n * sizeof(double))
    for i in range(s.n):
        s.step[i] = -s.here.gradient[i]
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
        limit = PART_OF_WAY * (upper[i] - x[i] if s.step[i] > 0.0 else x[i] - lower[i])
        if fabs(s.step[i]) > limit:
            s.step[i] = limit if s.step[i] > 0.0 else -limit
        s.trial[i] = x[i] + s.step[i]
    return True


cdef double _predicted(const MarquardtSearch* s, double damping) noexcept nogil:
    """What the step would take off the sum of squares if the model were linear."""
    cdef double total = 0.0
    cdef int i
    for i in range(s.n):
        total += s.step[i] * (damping * s.here.matrix[<size_t>i * s.n + i] * s.step[i] - s.here.gradient[i])
    return total


cdef int _descend(const PeakRegion* region, double* x, const double* lower, const double* upper, double* minimum,
                  MarquardtSearch* s) noexcept nogil:
    """Minimise from x; a `LeastSquaresCode`."""
    cdef double damping = FIRST_DAMPING, growth = FIRST_GROWTH, trial, surplus
    cdef double stop = STOP if region.full == NULL else STOP_OF_CLIPPED
    cdef int small = 0
    minimum[0] = _linearise(region, x, s, &s.here)
    for _ in range(MAX_ITERATIONS):
        if stopped():
            break
        trial = INFINITY
        if _propose(s, damping, x, lower, upper):
            trial = _linearise(region, s.trial, s, &s.there)
        if trial < minimum[0]:
            small = small + 1 if minimum[0] - trial < stop * minimum[0] and damping <= LIGHT else 0
            surplus = 2.0 * (minimum[0] - trial) / _predicted(s, damping) - 1.0
            minimum[0] = trial
            memcpy(x, s.trial, s.n * sizeof(double))
            s.here, s.there = s.there, s.here
            damping *= max(LEAST_FALL, 1.0 - surplus * surplus * surplus)
            growth = FIRST_GROWTH
            if small == 2 or trial == 0.0:
                return CONVERGED
        else:
            damping *= growth
            growth *= 2.0
            # Not even a tiny step along the gradient helps: the last digits are reached.
            if damping > 1e12:
                return CONVERGED
    return ITERATION_LIMIT


cdef int least_squares(const PeakRegion* region, double* x, const double* lower, const double* upper, double* minimum,
                       double* workspace) noexcept nogil:
    """Fit the peaks of a region.

    Parameters
    ----------
    region : its pixels
    x : the start within the bounds; afterwards the best point
    lower, upper : bounds
    minimum : sum of (weighted) squares at x
    workspace : `least_squares_workspace` doubles

    Returns
    -------
    a `LeastSquaresCode`
    """
    cdef MarquardtSearch s
    cdef size_t n = region_parameters(region)
    s.n = <int>n
    s.here.matrix = workspace
    s.there.matrix = s.here.matrix + n * n
    s.factor = s.there.matrix + n * n
    s.here.gradient = s.factor + n * n
    s.there.gradient = s.here.gradient + n
    s.step = s.there.gradient + n
    s.trial = s.step + n
    s.near = s.trial + n
    s.columns = s.near + n
    s.residual = s.columns + n * TILE
    s.work = s.residual + TILE
    return _descend(region, x, lower, upper, minimum, &s)
