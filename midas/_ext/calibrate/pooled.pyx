"""What rings look like on the whole, and what they leave in the windows of their neighbours.

See docs/theory/calibration.md#points-on-rings.
"""
import numpy as np

from cython.parallel cimport prange
from libc.math cimport floor, fmax

from midas._ext.calibrate.ring_profile cimport pixel_mean, pseudo_voigt

#: counts², of a pixel without counts
cdef double LEAST_VARIANCE = 1.0


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
            pseudo_voigt(x[i] - neighbours[k, 1], neighbours[k, 2], neighbours[k, 3], &value, &slope)
            out[i] = out[i] + <float>(neighbours[k, 0] * value)


def pooled_profiles(const long long[::1] starts, const float[::1] x, const double[::1] values, const float[::1] tails,
                    const long long[::1] window_of, const double[:, ::1] peaks, const double[:, ::1] found,
                    const unsigned char[::1] used, Py_ssize_t windows, double bin_px, Py_ssize_t half):
    """Profile of the single rings of all windows: the pixels of its groups about their own centres.

    Parameters
    ----------
    starts, x, values : of `midas._ext.calibrate.groups.group_pixels`
    tails : (m,) float32, of `tails_of_neighbours`
    window_of : (g,) int64
    peaks : (w, 2) float64, as for `fit_groups`
    found : (g, 4) float64, place, height, background and slope of each group, see `midas._ext.calibrate.profiles`
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
                from_centre = x[i] - peaks[k, 0] - found[g, 0]
                bin = <Py_ssize_t>floor(from_centre / bin_px + 0.5) + half
                if 0 <= bin <= 2 * half:
                    out[k, 0, bin] += values[i] - tails[i] - found[g, 2] - found[g, 3] * x[i]
                    out[k, 1, bin] += found[g, 1]
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
        pixel_mean(x[i], fwhm, mixing, g_y, g_z, &out[i], &slope)
    return result
