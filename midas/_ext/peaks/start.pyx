"""Pixels of a region in polar coordinates, and start and bounds of its fit (docs/theory/peaks.md#start-and-bounds)."""
from libc.math cimport INFINITY, fmax, fmin, floor, sqrt
from libc.stdint cimport int16_t

from midas._ext.numerics.elementary cimport atan
from midas._ext.peaks.model cimport Peak, PeakRegion, peak_at, region_parameters
from midas._ext.peaks.problem cimport PeakFit, PeakProblem, azimuth, centre_distance, eta_near, has_full
from midas._ext.physics.geometry cimport RAD2DEG
from midas._ext.physics.panels cimport panel_shift


cdef void set_pixels(const PeakProblem* p, Py_ssize_t r, PeakFit* fit) noexcept nogil:
    """Counts and polar coordinates of the region's pixels, panels corrected, eta without a cut.

    See docs/theory/peaks.md#pixels-of-a-region.
    """
    cdef PeakRegion* region = &fit.region
    cdef const int16_t* py = p.y + p.offsets[r]
    cdef const int16_t* pz = p.z + p.offsets[r]
    cdef double y, z, r_min = INFINITY, r_max = -INFINITY, eta_min = INFINITY, eta_max = -INFINITY
    cdef int i, highest = 0
    for i in range(region.pixels):
        y = py[i]
        z = pz[i]
        if p.panel_count:
            panel_shift(p.panels, p.panel_count, &y, &z)
        region.radius[i] = centre_distance(p, y, z)
        region.eta[i] = azimuth(p, y, z)
        region.counts[i] = p.counts[p.offsets[r] + i]
        if region.root_weights != NULL:
            region.root_weights[i] = 1.0 / sqrt(fmax(region.counts[i], 1.0))
        if region.counts[i] > region.counts[highest]:
            highest = i
    region.full = p.full + p.offsets[r] if has_full(p, r) else NULL
    fit.reference = region.eta[highest]
    for i in range(region.pixels):
        region.eta[i] = eta_near(region.eta[i], fit.reference)
        r_min = fmin(r_min, region.radius[i])
        r_max = fmax(r_max, region.radius[i])
        eta_min = fmin(eta_min, region.eta[i])
        eta_max = fmax(eta_max, region.eta[i])
    fit.half_r = (r_max - r_min) / 2 + 1
    fit.half_eta = (eta_max - eta_min) / 2 + RAD2DEG * atan(2 / (r_max + r_min))


cdef void _estimate_widths(PeakFit* fit, double threshold) noexcept nogil:
    """Start values of the widths: second moments of the pixels nearest to each peak."""
    cdef const PeakRegion* region = &fit.region
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


cdef void set_start(const PeakProblem* p, Py_ssize_t r, PeakFit* fit) noexcept nogil:
    """Start and bounds of the parameters; the start lies within its bounds."""
    cdef const PeakRegion* region = &fit.region
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
        peak.radius = centre_distance(p, p.y[pixel], p.z[pixel])
        low.radius = peak.radius - 1
        high.radius = peak.radius + 1
        peak.eta = eta_near(azimuth(p, p.y[pixel], p.z[pixel]), fit.reference)
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
