"""Regions whose peaks are fitted one by one (docs/theory/peaks.md#too-many-peaks-for-one-fit).

A lit-up ring is one region with hundreds of maxima. A joint fit of thousands of parameters takes minutes and ends
where it began.
"""
from libc.stddef cimport size_t
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t
from libc.stdlib cimport free, malloc, qsort

from midas._ext.numerics.stop cimport stopped


cdef struct Share:             # of one peak in the region's pixels
    double* counts
    int16_t* y
    int16_t* z
    uint8_t* full
    int32_t maximum            # its place among them
    int64_t offsets[2]
    int64_t maxima_offsets[2]


cdef int _ascending(const void* left, const void* right) noexcept nogil:
    cdef int64_t a = (<const int64_t*>left)[0], b = (<const int64_t*>right)[0]
    return -1 if a < b else a > b


cdef inline bint _nearer(int64_t dy, int64_t dz, int32_t peak, int64_t* best, int32_t* nearest) noexcept nogil:
    """Remember a peak at this distance if it is the nearest so far; False when no other one farther in y can be."""
    cdef int64_t distance = dy * dy + dz * dz
    if dy * dy > best[0]:
        return False
    if distance < best[0] or (distance == best[0] and peak < nearest[0]):
        best[0] = distance
        nearest[0] = peak
    return True


cdef void assign_nearest(const PeakProblem* p, Py_ssize_t r, int64_t* order, int32_t* nearest) noexcept nogil:
    """The peak that each pixel of the region is nearest to; the first of several.

    From the y of the pixel the peaks are looked at in both directions until they are farther in y alone than the
    nearest one, so that thousands of peaks on a million pixels take a second.

    Parameters
    ----------
    p, r : the region
    order : one per peak, work space
    nearest : one per pixel, filled
    """
    cdef const int16_t* y = p.y + p.offsets[r]
    cdef const int16_t* z = p.z + p.offsets[r]
    cdef const int32_t* maxima = p.maxima + p.maxima_offsets[r]
    cdef Py_ssize_t pixels = p.offsets[r + 1] - p.offsets[r], i
    cdef int32_t peaks = <int32_t>(p.maxima_offsets[r + 1] - p.maxima_offsets[r]), j, up, down, low
    cdef int64_t best
    for j in range(peaks):
        order[j] = (<int64_t>y[maxima[j]] << 32) + j
    qsort(order, peaks, sizeof(int64_t), _ascending)
    for i in range(pixels):
        low, up = 0, peaks
        while low < up:
            j = (low + up) // 2
            if (order[j] >> 32) < y[i]:
                low = j + 1
            else:
                up = j
        best = 1 << 62
        nearest[i] = 0
        down = up - 1
        while up < peaks or down >= 0:
            if up < peaks:
                j = <int32_t>order[up]      # its lower half
                up = up + 1 if _nearer(y[i] - y[maxima[j]], z[i] - z[maxima[j]], j, &best, nearest + i) else peaks
            if down >= 0:
                j = <int32_t>order[down]
                down = down - 1 if _nearer(y[i] - y[maxima[j]], z[i] - z[maxima[j]], j, &best, nearest + i) else -1


cdef void _take(const PeakProblem* p, Py_ssize_t r, const int32_t* nearest, int peak, Share* share) noexcept nogil:
    """The pixels of a peak, at least its maximum, in the order of the region's list."""
    cdef Py_ssize_t pixels = p.offsets[r + 1] - p.offsets[r], i, n = 0
    cdef int32_t maximum = p.maxima[p.maxima_offsets[r] + peak]
    for i in range(pixels):
        if nearest[i] == peak or i == maximum:
            if i == maximum:
                share.maximum = <int32_t>n
            share.y[n] = p.y[p.offsets[r] + i]
            share.z[n] = p.z[p.offsets[r] + i]
            share.counts[n] = p.counts[p.offsets[r] + i]
            share.full[n] = p.full[p.offsets[r] + i] if p.full != NULL else 0
            n += 1
    share.offsets[1] = n


cdef bint _solve_share(const PeakProblem* p, Py_ssize_t r, Share* share, solver_t solve,
                       FittedPeak* row) noexcept nogil:
    cdef PeakProblem own = p[0]
    own.y, own.z, own.counts, own.full = share.y, share.z, share.counts, share.full
    own.centred = NULL
    own.thresholds = p.thresholds + r
    own.offsets, own.maxima, own.maxima_offsets = share.offsets, &share.maximum, share.maxima_offsets
    return solve(&own, 0, row)


cdef bint solve_apart(const PeakProblem* p, Py_ssize_t r, solver_t solve, FittedPeak* rows) noexcept nogil:
    """Rows of a region, each peak fitted to the pixels that are nearer to it than to the others.

    Parameters
    ----------
    p, r : the region
    solve : what fits a region
    rows : one per peak, filled

    Returns
    -------
    False when memory is short
    """
    cdef size_t pixels = p.offsets[r + 1] - p.offsets[r]
    cdef int peaks = <int>(p.maxima_offsets[r + 1] - p.maxima_offsets[r]), j
    cdef size_t of_pixels = pixels * (sizeof(double) + sizeof(int32_t) + 2 * sizeof(int16_t) + 1)
    cdef double* memory = <double*>malloc(peaks * sizeof(int64_t) + of_pixels)
    cdef int64_t* order
    cdef int32_t* nearest
    cdef Share share
    cdef bint done = memory != NULL
    if not done:
        return False
    order = <int64_t*>memory
    share.counts = memory + peaks
    nearest = <int32_t*>(share.counts + pixels)
    share.y = <int16_t*>(nearest + pixels)
    share.z = share.y + pixels
    share.full = <uint8_t*>(share.z + pixels)
    share.offsets[0] = share.maxima_offsets[0] = share.maximum = 0
    share.maxima_offsets[1] = 1
    assign_nearest(p, r, order, nearest)
    for j in range(peaks):
        if stopped() or not done:
            break
        _take(p, r, nearest, j, &share)
        done = _solve_share(p, r, &share, solve, rows + j)
        rows[j].region_pixels = pixels
        rows[j].region_peaks = peaks
    free(memory)
    return done
