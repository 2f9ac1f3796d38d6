"""Pseudo-Voigt peaks over a common background in polar detector coordinates (docs/theory/peaks.md#profile).

A parameter vector is the background and then eight numbers per peak.
"""
from libc.math cimport exp as c_exp
from libc.stdint cimport uint8_t

from midas._ext.numerics.exponential cimport exp_with_fixed_bits
from midas._ext.numerics.variant cimport c_library


cdef struct Peak:
    double amplitude       # counts
    double radius          # px
    double eta             # degrees
    double mixing          # 1 = Lorentzian, 0 = Gaussian
    double gauss_r         # widths: px along the radius, degrees along eta
    double lorentz_r
    double gauss_eta
    double lorentz_eta

cdef enum:
    PEAK_SIZE = 8

cdef struct PeakRegion:
    int pixels
    int peaks
    double* radius         # per pixel, px
    double* eta            # degrees
    double* counts
    const uint8_t* full    # pixels that may have had any larger counts; NULL = none
    double* root_weights   # of the squares of least squares; NULL = all 1
    double* model          # work space, one number per pixel each
    double* lorentz
    double* gauss


cdef inline int region_parameters(const PeakRegion* region) noexcept nogil:
    return 1 + PEAK_SIZE * region.peaks


cdef inline const Peak* peak_at(const double* x, int j) noexcept nogil:
    """Peak j of a parameter vector."""
    return <const Peak*>(x + 1 + PEAK_SIZE * j)


cdef inline void peak_profiles(const PeakRegion* region, const Peak* peak) noexcept nogil:
    """Lorentzian and Gaussian of height 1 at each pixel, into the work space."""
    cdef double gauss_r2 = peak.gauss_r * peak.gauss_r, gauss_eta2 = peak.gauss_eta * peak.gauss_eta
    cdef double lorentz_r2 = peak.lorentz_r * peak.lorentz_r, lorentz_eta2 = peak.lorentz_eta * peak.lorentz_eta
    cdef double u, v
    cdef int i
    # In loops of their own: the divisions vectorise, and the last bit of exp decides ties between vertices of the
    # minimiser.
    for i in range(region.pixels):
        u = region.radius[i] - peak.radius
        v = region.eta[i] - peak.eta
        u *= u
        v *= v
        region.lorentz[i] = 1.0 / ((1.0 + u / lorentz_r2) * (1.0 + v / lorentz_eta2))
        region.gauss[i] = -0.5 * (u / gauss_r2 + v / gauss_eta2)
    if c_library:
        for i in range(region.pixels):
            region.gauss[i] = c_exp(region.gauss[i])
    else:
        for i in range(region.pixels):
            region.gauss[i] = exp_with_fixed_bits(region.gauss[i])


cdef inline double peak_value(const PeakRegion* region, const Peak* peak, int i) noexcept nogil:
    """Counts of the peak at pixel i, after `peak_profiles`."""
    return peak.amplitude * (peak.mixing * region.lorentz[i] + (1.0 - peak.mixing) * region.gauss[i])


cdef inline double misfit(const double* x, int n, void* context) noexcept nogil:
    """Sum of squared differences between model and counts, over the pixels in list order.

    A full pixel says only that the model must not be below it.
    """
    cdef const PeakRegion* region = <const PeakRegion*>context
    cdef double total = 0.0, difference
    cdef int i, j
    for i in range(region.pixels):
        region.model[i] = x[0]
    for j in range(region.peaks):
        peak_profiles(region, peak_at(x, j))
        for i in range(region.pixels):
            region.model[i] += peak_value(region, peak_at(x, j), i)
    for i in range(region.pixels):
        difference = region.model[i] - region.counts[i]
        if region.full != NULL and region.full[i] and difference > 0.0:
            continue
        total += difference * difference
    return total
