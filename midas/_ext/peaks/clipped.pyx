"""Peaks whose tops are cut off at the end of the detector's scale (docs/theory/peaks.md#saturated-peaks)."""
from libc.math cimport fabs, fmax, fmin
from libc.stdint cimport int64_t

from midas._ext.peaks.model cimport Peak, peak_at, peak_profiles, peak_value, region_parameters

#: how far above the end of the scale a top may be
cdef double HIGHEST = 100.0
#: what is needed of pixels that are not full, for each number that is fitted
cdef double LEAST_PIXELS = 2.0


cdef int _nearest(const PeakProblem* p, Py_ssize_t r, Py_ssize_t i) noexcept nogil:
    """The maximum that a pixel of the region is nearest to; the first of several."""
    cdef Py_ssize_t first = p.offsets[r]
    cdef Py_ssize_t pixel
    cdef int64_t dy, dz, distance, best = -1
    cdef int j, nearest = 0
    for j in range(<int>(p.maxima_offsets[r + 1] - p.maxima_offsets[r])):
        pixel = first + p.maxima[p.maxima_offsets[r] + j]
        dy = p.y[first + i] - p.y[pixel]
        dz = p.z[first + i] - p.z[pixel]
        distance = dy * dy + dz * dz
        if best < 0 or distance < best:
            best = distance
            nearest = j
    return nearest


cdef bint is_clipped(const PeakProblem* p, Py_ssize_t r, const PeakRegion* region, int j) noexcept nogil:
    """Whether a full pixel belongs to maximum j of the region."""
    cdef int i
    if region.full != NULL:
        for i in range(region.pixels):
            if region.full[i] and _nearest(p, r, i) == j:
                return True
    return False


cdef void open_clipped(const PeakProblem* p, Py_ssize_t r, PeakFit* fit) noexcept nogil:
    """Bounds of the peaks that are cut off, after `set_start`: a Gaussian of any height, its centre below the top."""
    cdef const PeakRegion* region = &fit.region
    cdef Peak* peak
    cdef Peak* low
    cdef Peak* high
    cdef double reach_r, reach_eta
    cdef int i, j
    for j in range(region.peaks):
        if not is_clipped(p, r, region, j):
            continue
        peak, low, high = <Peak*>peak_at(fit.x, j), <Peak*>peak_at(fit.lower, j), <Peak*>peak_at(fit.upper, j)
        reach_r = reach_eta = 0.0
        for i in range(region.pixels):
            if region.full[i] and _nearest(p, r, i) == j:
                reach_r = fmax(reach_r, fabs(region.radius[i] - peak.radius))
                reach_eta = fmax(reach_eta, fabs(region.eta[i] - peak.eta))
        low.radius -= reach_r
        high.radius += reach_r
        low.eta -= reach_eta
        high.eta += reach_eta
        low.amplitude = peak.amplitude
        high.amplitude = HIGHEST * peak.amplitude
        peak.amplitude *= 2.0
        # The flanks do not tell a mixture from a higher top.
        peak.mixing = low.mixing = high.mixing = 0.0


cdef bint is_determined(const PeakProblem* p, Py_ssize_t r, const PeakFit* fit) noexcept nogil:
    """Whether the fit of a region with full pixels says where its peaks are."""
    cdef const PeakRegion* region = &fit.region
    cdef const Peak* peak
    cdef const Peak* low
    cdef const Peak* high
    cdef int i, j, measured = 0, clipped = 0
    for i in range(region.pixels):
        measured += not region.full[i]
    for j in range(region.peaks):
        if not is_clipped(p, r, region, j):
            continue
        clipped += 1
        peak, low, high = peak_at(fit.x, j), peak_at(fit.lower, j), peak_at(fit.upper, j)
        if (peak.amplitude > 0.99 * high.amplitude
                or fmin(peak.radius - low.radius, high.radius - peak.radius) < 0.01 * (high.radius - low.radius)
                or fmin(peak.eta - low.eta, high.eta - peak.eta) < 0.01 * (high.eta - low.eta)):
            return False
    # A Gaussian has no mixing and no Lorentzian widths.
    return measured >= LEAST_PIXELS * (region_parameters(region) - 3 * clipped)


cdef void count_measured(const PeakFit* fit, FittedPeak* rows) noexcept nogil:
    """Intensities of the peaks of a region with full pixels: what was counted, and the model where it was cut off.

    Several peaks share both as the model does. A Gaussian alone would lack the tails.
    """
    cdef const PeakRegion* region = &fit.region
    cdef double own
    cdef int i, j
    for i in range(region.pixels):
        region.model[i] = 0.0
    for j in range(region.peaks):
        rows[j].intensity = 0.0
        peak_profiles(region, peak_at(fit.x, j))
        for i in range(region.pixels):
            region.model[i] += peak_value(region, peak_at(fit.x, j), i)
    for j in range(region.peaks):
        peak_profiles(region, peak_at(fit.x, j))
        for i in range(region.pixels):
            own = peak_value(region, peak_at(fit.x, j), i)
            if not region.full[i] and region.model[i] > 0.0:
                own *= region.counts[i] / region.model[i]
            rows[j].intensity += own
