"""Peaks of regions: fitted pseudo-Voigt profiles or centroids (spec chapter 02 §4.4 to §4.8)."""
import numpy as np

from cython.parallel cimport prange
from libc.math cimport INFINITY, atan, cos, fmax, fmin, floor, sin, sqrt
from libc.stddef cimport size_t
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t
from libc.stdlib cimport free, malloc

from midas._ext.physics.geometry cimport DEG2RAD, RAD2DEG, eta_of
from midas._ext.numerics.nelder_mead cimport minimise, nelder_mead_workspace
from midas._ext.physics.panels cimport PANEL_NUMBERS, panel_shift
from midas._ext.peaks.least_squares cimport least_squares, least_squares_workspace
from midas._ext.peaks.model cimport (
    PEAK_SIZE, Peak, Region, misfit, peak_at, peak_profiles, peak_value, region_parameters
)

cdef enum:
    MAX_EVALUATIONS = 5000

cdef double TOLERANCE = 1e-5

#: what `fit_regions` and `centroid_regions` return per peak, in the order of `Row`
COLUMNS = tuple(
    "intensity y z i_max radius eta sigma_r sigma_eta pixels region_pixels region_peaks max_y max_z diff_y diff_z "
    "raw_i_max return_code residual background sigma_gauss_r sigma_lorentz_r sigma_gauss_eta sigma_lorentz_eta mixing "
    "raw_sum".split()
)

cdef struct Row:
    double intensity
    double y
    double z
    double i_max
    double radius
    double eta
    double sigma_r
    double sigma_eta
    double pixels
    double region_pixels
    double region_peaks
    double max_y
    double max_z
    double diff_y
    double diff_z
    double raw_i_max
    double return_code
    double residual
    double background
    double sigma_gauss_r
    double sigma_lorentz_r
    double sigma_gauss_eta
    double sigma_lorentz_eta
    double mixing
    double raw_sum

cdef struct Problem:
    const int16_t* y
    const int16_t* z
    const double* counts
    const int64_t* offsets
    const double* thresholds
    const int32_t* maxima
    const int64_t* maxima_offsets
    const double* panels
    Py_ssize_t panel_count
    double y_bc
    double z_bc
    bint centroids
    bint by_least_squares

# Work of one fit besides the minimiser's.
cdef struct Fit:
    Region region
    double* x              # parameters and their bounds
    double* lower
    double* upper
    double* sums           # three per peak
    double* workspace
    double reference       # eta that all others are within 180 degrees of
    double half_r          # half extent of the region with a margin: px, degrees
    double half_eta


cdef inline double _near(double eta, double reference) noexcept nogil:
    """The azimuth within 180 degrees of the reference, so that no region has a cut at ±180."""
    if eta - reference > 180.0:
        return eta - 360.0
    if eta - reference < -180.0:
        return eta + 360.0
    return eta


cdef inline double _wrapped(double eta) noexcept nogil:
    """Back to (-180, 180]."""
    if eta > 180.0:
        return eta - 360.0
    if eta <= -180.0:
        return eta + 360.0
    return eta


cdef inline double _azimuth(const Problem* p, double y, double z) noexcept nogil:
    """Eta of a pixel; 0 at the beam centre, which has none."""
    return 0.0 if y == p.y_bc and z == p.z_bc else eta_of(p.y_bc - y, z - p.z_bc)


cdef inline double _distance(const Problem* p, double y, double z) noexcept nogil:
    return sqrt((y - p.y_bc) * (y - p.y_bc) + (z - p.z_bc) * (z - p.z_bc))


cdef void _set_pixels(const Problem* p, Py_ssize_t r, Fit* fit) noexcept nogil:
    """Counts and polar coordinates of the region's pixels, panels corrected, eta without a cut (§4.4, §4.5)."""
    cdef Region* region = &fit.region
    cdef const int16_t* py = p.y + p.offsets[r]
    cdef const int16_t* pz = p.z + p.offsets[r]
    cdef double y, z, r_min = INFINITY, r_max = -INFINITY, eta_min = INFINITY, eta_max = -INFINITY
    cdef int i, highest = 0
    for i in range(region.pixels):
        y = py[i]
        z = pz[i]
        if p.panel_count:
            panel_shift(p.panels, p.panel_count, &y, &z)
        region.radius[i] = _distance(p, y, z)
        region.eta[i] = _azimuth(p, y, z)
        region.counts[i] = p.counts[p.offsets[r] + i]
        if region.counts[i] > region.counts[highest]:
            highest = i
    fit.reference = region.eta[highest]
    for i in range(region.pixels):
        region.eta[i] = _near(region.eta[i], fit.reference)
        r_min = fmin(r_min, region.radius[i])
        r_max = fmax(r_max, region.radius[i])
        eta_min = fmin(eta_min, region.eta[i])
        eta_max = fmax(eta_max, region.eta[i])
    fit.half_r = (r_max - r_min) / 2 + 1
    fit.half_eta = (eta_max - eta_min) / 2 + RAD2DEG * atan(2 / (r_max + r_min))


cdef void _estimate_widths(Fit* fit, double threshold) noexcept nogil:
    """Start values of the widths: second moments of the pixels nearest to each peak."""
    cdef const Region* region = &fit.region
    cdef Peak* peak
    cdef double weight, best, distance, dr, de, width_r, width_eta
    cdef double* sums
    cdef int i, j, nearest
    for j in range(3 * region.peaks):
        fit.sums[j] = 0.0
    for i in range(region.pixels):
        weight = region.counts[i] - threshold / 2
        if not weight > 0:
            continue
        best = 1e9
        nearest = -1
        for j in range(region.peaks):
            dr = region.radius[i] - peak_at(fit.x, j).radius
            de = region.eta[i] - peak_at(fit.x, j).eta
            distance = dr * dr + de * de
            if distance < best:
                best = distance
                nearest = j
        if nearest >= 0:
            dr = region.radius[i] - peak_at(fit.x, nearest).radius
            de = region.eta[i] - peak_at(fit.x, nearest).eta
            sums = fit.sums + 3 * nearest
            sums[0] += weight
            sums[1] += weight * (dr * dr)
            sums[2] += weight * (de * de)
    for j in range(region.peaks):
        sums = fit.sums + 3 * j
        if sums[0] > 0:
            width_r = fmin(fmax(sqrt(sums[1] / sums[0]), 0.1), fit.half_r)
            width_eta = fmax(sqrt(sums[2] / sums[0]), 0.1)
        else:
            width_r = width_eta = fmin(sqrt(floor(<double>region.pixels / region.peaks)), fit.half_r)
        peak = <Peak*>peak_at(fit.x, j)
        peak.gauss_r = peak.lorentz_r = width_r
        peak.gauss_eta = peak.lorentz_eta = width_eta


cdef void _set_start(const Problem* p, Py_ssize_t r, Fit* fit) noexcept nogil:
    """Start and bounds of the parameters (§4.5); the start lies within its bounds."""
    cdef const Region* region = &fit.region
    cdef Py_ssize_t pixel
    cdef Peak* peak
    cdef Peak* low
    cdef Peak* high
    cdef double delta
    cdef int i, j
    fit.x[0] = p.thresholds[r] / 2
    fit.lower[0] = 0.0
    fit.upper[0] = p.thresholds[r]
    for j in range(region.peaks):
        pixel = p.offsets[r] + p.maxima[p.maxima_offsets[r] + j]
        peak = <Peak*>peak_at(fit.x, j)
        low = <Peak*>peak_at(fit.lower, j)
        high = <Peak*>peak_at(fit.upper, j)
        peak.amplitude = p.counts[pixel]
        low.amplitude = peak.amplitude / 2
        high.amplitude = peak.amplitude * 5
        peak.radius = _distance(p, p.y[pixel], p.z[pixel])
        low.radius = peak.radius - 1
        high.radius = peak.radius + 1
        peak.eta = _near(_azimuth(p, p.y[pixel], p.z[pixel]), fit.reference)
        delta = RAD2DEG * atan(1 / peak.radius)
        low.eta = peak.eta - delta
        high.eta = peak.eta + delta
        peak.mixing = 0.5
        low.mixing = 0.0
        high.mixing = 1.0
        low.gauss_r = low.lorentz_r = 0.01
        low.gauss_eta = low.lorentz_eta = 0.005
        high.gauss_r = high.lorentz_r = 2 * fit.half_r
        high.gauss_eta = high.lorentz_eta = 2 * fit.half_eta
    _estimate_widths(fit, p.thresholds[r])
    for i in range(region_parameters(region)):
        fit.x[i] = fmin(fmax(fit.x[i], fit.lower[i]), fit.upper[i])


cdef void _describe(const Problem* p, Py_ssize_t r, const Region* region, int j, Row* row) noexcept nogil:
    """The numbers that do not depend on the fit."""
    cdef Py_ssize_t pixel = p.offsets[r] + p.maxima[p.maxima_offsets[r] + j]
    cdef int i
    row.region_pixels = region.pixels
    row.max_y = p.y[pixel]
    row.max_z = p.z[pixel]
    row.raw_i_max = p.counts[pixel]
    row.raw_sum = 0.0
    for i in range(region.pixels):
        row.raw_sum += region.counts[i]


cdef void _place(const Problem* p, double radius, double eta, Row* row) noexcept nogil:
    row.radius = radius
    row.eta = _wrapped(eta)
    row.y = p.y_bc + radius * sin(DEG2RAD * row.eta)
    row.z = p.z_bc + radius * cos(DEG2RAD * row.eta)
    row.diff_y = row.max_y - row.y
    row.diff_z = row.max_z - row.z


cdef void _derive(const Problem* p, Py_ssize_t r, const Fit* fit, Row* rows) noexcept nogil:
    """Output quantities of the fitted peaks (§4.7)."""
    cdef const Region* region = &fit.region
    cdef const Peak* peak
    cdef Row* row
    cdef double value, amplitudes = 0.0
    cdef int i, j
    for j in range(region.peaks):
        amplitudes += peak_at(fit.x, j).amplitude
    for j in range(region.peaks):
        peak = peak_at(fit.x, j)
        row = rows + j
        _describe(p, r, region, j, row)
        _place(p, peak.radius, peak.eta, row)
        row.region_peaks = region.peaks
        row.i_max = peak.amplitude
        row.mixing = peak.mixing
        row.background = fit.x[0]
        row.sigma_gauss_r = peak.gauss_r
        row.sigma_lorentz_r = peak.lorentz_r
        row.sigma_gauss_eta = peak.gauss_eta
        row.sigma_lorentz_eta = peak.lorentz_eta
        row.sigma_r = peak.mixing * peak.lorentz_r + (1 - peak.mixing) * peak.gauss_r
        row.sigma_eta = peak.mixing * peak.lorentz_eta + (1 - peak.mixing) * peak.gauss_eta
        row.pixels = 0
        row.intensity = 0.0
        peak_profiles(region, peak)
        for i in range(region.pixels):
            value = peak_value(region, peak, i)
            # The background counts under the peak: for an isolated one the sum is close to that of the pixels.
            if value > fit.x[0]:
                row.pixels += 1
                value += fit.x[0]
            row.intensity += value
        if region.peaks > 1:
            row.raw_sum = row.raw_sum * peak.amplitude / amplitudes if amplitudes > 0 else row.raw_sum / region.peaks


cdef void _fit(const Problem* p, Py_ssize_t r, Fit* fit, Row* rows) noexcept nogil:
    cdef double minimum = 0.0
    cdef int evaluations = 0, code, j
    _set_start(p, r, fit)
    if p.by_least_squares:
        code = least_squares(&fit.region, fit.x, fit.lower, fit.upper, &minimum, fit.workspace)
    else:
        code = minimise(misfit, &fit.region, region_parameters(&fit.region), fit.x, fit.lower, fit.upper, TOLERANCE,
                        TOLERANCE, MAX_EVALUATIONS, &minimum, &evaluations, fit.workspace)
    _derive(p, r, fit, rows)
    for j in range(fit.region.peaks):
        rows[j].return_code = code
        rows[j].residual = sqrt(minimum)


cdef void _centroid(const Problem* p, Py_ssize_t r, const Region* region, Row* row) noexcept nogil:
    """The whole region as one peak at its centre of intensity in radius and eta (§4.8)."""
    cdef double radius = 0.0, eta = 0.0
    cdef int i
    _describe(p, r, region, 0, row)
    for i in range(region.pixels):
        radius += region.counts[i] * region.radius[i]
        eta += region.counts[i] * region.eta[i]
    _place(p, radius / row.raw_sum, eta / row.raw_sum, row)
    row.intensity = row.raw_sum
    row.i_max = row.raw_i_max
    row.pixels = region.pixels
    row.region_peaks = 1


cdef bint _solve(const Problem* p, Py_ssize_t r, Row* rows) noexcept nogil:
    """Rows of one region; False when memory is short."""
    cdef Fit fit
    cdef Py_ssize_t n = p.offsets[r + 1] - p.offsets[r]
    cdef int k = <int>(p.maxima_offsets[r + 1] - p.maxima_offsets[r])
    cdef int m = 0 if p.centroids else 1 + PEAK_SIZE * k
    cdef size_t extra = 0
    cdef double* memory
    if not p.centroids:
        extra = least_squares_workspace(m) if p.by_least_squares else nelder_mead_workspace(m, MAX_EVALUATIONS)
    memory = <double*>malloc((6 * <size_t>n + 3 * <size_t>(m + k) + extra) * sizeof(double))
    if memory == NULL:
        return False
    fit.region.pixels = <int>n
    fit.region.peaks = k
    fit.region.radius = memory
    fit.region.eta = memory + n
    fit.region.counts = memory + 2 * n
    fit.region.model = memory + 3 * n
    fit.region.lorentz = memory + 4 * n
    fit.region.gauss = memory + 5 * n
    fit.x = memory + 6 * n
    fit.lower = fit.x + m
    fit.upper = fit.lower + m
    fit.sums = fit.upper + m
    fit.workspace = fit.sums + 3 * k
    _set_pixels(p, r, &fit)
    if p.centroids:
        _centroid(p, r, &fit.region, rows)
    else:
        _fit(p, r, &fit, rows)
    free(memory)
    return True


def solve_regions(regions, double y_bc, double z_bc, const double[:, ::1] panels, *, str method="nm", int threads=1):
    """Peaks of regions; the work is shared out region by region.

    Parameters
    ----------
    regions : `midas._ext.peaks.regions.Regions`
    y_bc, z_bc : beam centre, px
    panels : (p, 8) float64, see `midas._ext.physics.panels`; no rows when the detector is one piece
    method : "nm" fits with Nelder-Mead, "lm" with least squares, "centroid" takes each region as one peak
    threads : OpenMP threads

    Returns
    -------
    (m, 25) float64, one row per maximum, or per region for centroids; the columns are `COLUMNS`

    Raises
    ------
    ValueError : unknown method, or arrays that do not fit each other.
    MemoryError : no room for the work space of a region.
    """
    cdef const int16_t[::1] y = regions.y, z = regions.z
    cdef const double[::1] counts = regions.counts, thresholds = regions.thresholds
    cdef const int64_t[::1] offsets = regions.offsets, maxima_offsets = regions.maxima_offsets
    cdef const int32_t[::1] maxima = regions.maxima
    cdef Py_ssize_t n = thresholds.shape[0], i, r
    cdef Problem p
    cdef double[:, ::1] out
    cdef int64_t[::1] first, order
    cdef uint8_t[::1] done
    _check(regions, panels, method)
    p.centroids = method == "centroid"
    p.by_least_squares = method == "lm"
    result = np.zeros((n if p.centroids else len(maxima), len(COLUMNS)))
    if n == 0:
        return result
    out = result
    first = np.arange(n) if p.centroids else np.asarray(maxima_offsets[:n])
    # Dearest first, so that the last fits to end are cheap ones.
    order = np.argsort(-np.diff(offsets) * np.diff(maxima_offsets) ** 2, kind="stable").astype(np.int64)
    done = np.zeros(n, np.uint8)
    p.y = &y[0]
    p.z = &z[0]
    p.counts = &counts[0]
    p.offsets = &offsets[0]
    p.thresholds = &thresholds[0]
    p.maxima = &maxima[0]
    p.maxima_offsets = &maxima_offsets[0]
    p.panels = &panels[0, 0] if panels.shape[0] else NULL
    p.panel_count = panels.shape[0]
    p.y_bc = y_bc
    p.z_bc = z_bc
    for i in prange(n, nogil=True, num_threads=threads, schedule='dynamic', chunksize=1):
        r = order[i]
        done[r] = _solve(&p, r, <Row*>&out[first[r], 0])
    if not np.all(done):
        raise MemoryError("no room for the fit of a region")
    return result


def _check(regions, panels, method):
    pixels, peaks = np.diff(regions.offsets), np.diff(regions.maxima_offsets)
    if method not in ("nm", "lm", "centroid"):
        raise ValueError(method)
    if panels.shape[1] != PANEL_NUMBERS:
        raise ValueError(f"a panel has {PANEL_NUMBERS} numbers, not {panels.shape[1]}")
    if not len(pixels) == len(peaks) == len(regions.thresholds) or (pixels < 1).any() or (peaks < 1).any():
        raise ValueError("each region needs a threshold, a pixel and a maximum")
    if not regions.offsets[len(pixels)] == len(regions.y) == len(regions.z) == len(regions.counts):
        raise ValueError("the pixels do not fit the offsets")
    places = np.repeat(pixels, peaks)
    if len(places) != len(regions.maxima) or (regions.maxima < 0).any() or (regions.maxima >= places).any():
        raise ValueError("a maximum is no pixel of its region")
