"""What joint fits cost, and which peak a pixel is nearest to (docs/theory/peaks.md#too-many-peaks-for-one-fit)."""
import numpy as np

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t

from midas._ext.peaks.apart cimport LARGEST_WORK, assign_nearest, joint_work
from midas._ext.peaks.problem cimport PeakProblem, has_full

#: a joint fit that costs more than this takes about a second, and more than it gives
MOST_WORK = float(LARGEST_WORK)


cdef PeakProblem _pixels_of(regions):
    """What is needed of the regions, at least one of them."""
    cdef const int16_t[::1] y = regions.y, z = regions.z
    cdef const int64_t[::1] offsets = regions.offsets, maxima_offsets = regions.maxima_offsets
    cdef const int32_t[::1] maxima = regions.maxima
    cdef const uint8_t[::1] full
    cdef PeakProblem p
    p.y, p.z, p.offsets, p.maxima, p.maxima_offsets = &y[0], &z[0], &offsets[0], &maxima[0], &maxima_offsets[0]
    p.full = NULL
    if regions.full is not None:
        full = regions.full
        p.full = &full[0]
    return p


def fit_costs(regions, *, bint by_least_squares):
    """What the joint fit of each region costs.

    Parameters
    ----------
    regions : `midas._ext.peaks.frame_regions.Regions`
    by_least_squares : whether all of them are fitted by least squares, and not only the saturated ones

    Returns
    -------
    (n,) float64, on the scale of `MOST_WORK`
    """
    cdef Py_ssize_t n = len(regions.thresholds), r
    cdef double[::1] costs = np.zeros(n)
    cdef PeakProblem p
    if n:
        p = _pixels_of(regions)
        for r in range(n):
            costs[r] = joint_work(by_least_squares or has_full(&p, r), p.offsets[r + 1] - p.offsets[r],
                                  p.maxima_offsets[r + 1] - p.maxima_offsets[r])
    return np.asarray(costs)


def nearest_peaks(regions, const uint8_t[::1] parted):
    """The peak that each pixel of the parted regions is nearest to.

    Parameters
    ----------
    regions : `midas._ext.peaks.frame_regions.Regions`
    parted : (n,) uint8, which of them

    Returns
    -------
    (p,) int64, the peak as a place among those of all regions; in a region that is not parted the first of its peaks
    """
    cdef Py_ssize_t n = len(regions.thresholds), r, i
    cdef int64_t[::1] owner = np.repeat(regions.maxima_offsets[:-1], np.diff(regions.offsets))
    cdef int32_t[::1] nearest = np.empty(len(regions.y), np.int32)
    cdef int64_t[::1] order = np.empty(len(regions.maxima), np.int64)
    cdef PeakProblem p
    if parted.shape[0] != n:
        raise ValueError(f"{parted.shape[0]} marks for {n} regions")
    if n:
        p = _pixels_of(regions)
        with nogil:
            for r in range(n):
                if parted[r]:
                    assign_nearest(&p, r, &order[p.maxima_offsets[r]], &nearest[p.offsets[r]])
                    for i in range(p.offsets[r], p.offsets[r + 1]):
                        owner[i] += nearest[i]
    return np.asarray(owner)
