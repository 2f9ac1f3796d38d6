"""Output quantities of fitted peaks and of centroids (docs/theory/peaks.md#derived-quantities)."""
import numpy as np


from midas._ext.numerics.elementary cimport cos, sin
from midas._ext.peaks.model cimport Peak, PeakRegion, peak_at, peak_profiles, peak_value
from midas._ext.peaks.problem cimport PeakFit, PeakProblem
from midas._ext.physics.geometry cimport DEG2RAD, wrap_eta

cdef FittedPeak _a_peak

#: return code of a peak with a pixel at the end of the detector's scale
SATURATED = _SATURATED
#: a peak as a numpy type, whose names are those of the columns of a peak table
FITTED_PEAK = np.asarray(<FittedPeak[:1]>&_a_peak).dtype


cdef void _describe(const PeakProblem* p, Py_ssize_t r, const PeakRegion* region, int j,
                    FittedPeak* row) noexcept nogil:
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


cdef void _place(const PeakProblem* p, double radius, double eta, FittedPeak* row) noexcept nogil:
    row.radius = radius
    row.eta = wrap_eta(eta)
    row.y_recorded = p.y_bc + radius * sin(DEG2RAD * row.eta)
    row.z_recorded = p.z_bc + radius * cos(DEG2RAD * row.eta)
    row.diff_y = row.max_y - row.y_recorded
    row.diff_z = row.max_z - row.z_recorded


cdef void describe_fit(const PeakProblem* p, Py_ssize_t r, const PeakFit* fit, FittedPeak* rows) noexcept nogil:
    """Output quantities of the fitted peaks."""
    cdef const PeakRegion* region = &fit.region
    cdef const Peak* peak
    cdef FittedPeak* row
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


cdef void describe_centroid(const PeakProblem* p, Py_ssize_t r, const PeakRegion* region,
                            FittedPeak* row) noexcept nogil:
    """The whole region as one peak at its centre of intensity in radius and eta.

    See docs/theory/peaks.md#centroid-mode.
    """
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
    row.return_code = _SATURATED if region.full != NULL else 0
