"""The peaks of each frame in the order in which they are linked (docs/theory/merge.md#order-of-the-peaks)."""
import numpy as np

from cython.parallel cimport prange
from libc.math cimport isfinite
from libc.string cimport memcpy

from midas._ext.numerics.ordering cimport merge_sort


def order_peaks(const long long[::1] first, const double[::1] eta, const double[::1] intensity,
                const double[::1] y, const double[::1] z, int threads):
    """Order of the peaks of each frame by eta, without the weak and the impossible ones.

    Parameters
    ----------
    first : (f + 1,) int64, where each frame begins
    eta : (n,) float64, degrees; less than 0.001 apart counts as equal
    intensity : (n,) float64; peaks below 1 are dropped
    y, z : (n,) float64, px
    threads : number of threads

    Returns
    -------
    kept_first : (f + 1,) int64, where each frame begins in `order`
    order : (m,) int64, rows of the kept peaks
    invalid : number of peaks dropped because eta, intensity, y or z is not finite
    """
    cdef Py_ssize_t frames = first.shape[0] - 1, f
    cdef long long total = first[frames]
    sorted_rows = np.empty(total, dtype=np.int64)
    counts = np.zeros(frames + 1, dtype=np.int64)
    invalid = np.zeros(frames, dtype=np.int64)
    cdef long long[::1] rows = sorted_rows
    cdef long long[::1] scratch = np.empty(total, dtype=np.int64)
    cdef long long[::1] kept = counts
    cdef long long[::1] bad = invalid
    for f in prange(frames, nogil=True, num_threads=threads, schedule="dynamic"):
        if first[f + 1] > first[f]:
            kept[f + 1] = _order_frame(first[f], first[f + 1], &eta[0], &intensity[0], &y[0], &z[0], &rows[first[f]],
                                       &scratch[first[f]], &bad[f])
    kept_first = np.cumsum(counts)
    order = np.empty(kept_first[frames], dtype=np.int64)
    cdef long long[::1] out = order
    cdef long long[::1] begin = kept_first
    for f in range(frames):
        if kept[f + 1]:
            memcpy(&out[begin[f]], &rows[first[f]], kept[f + 1] * sizeof(long long))
    return kept_first, order, int(invalid.sum())


cdef long long _order_frame(long long begin, long long end, const double* eta, const double* intensity,
                            const double* y, const double* z, long long* rows, long long* scratch,
                            long long* invalid) noexcept nogil:
    cdef long long row, count = 0, kept = 0, i
    for row in range(begin, end):
        if isfinite(eta[row]) and isfinite(intensity[row]) and isfinite(y[row]) and isfinite(z[row]):
            rows[count] = row
            count += 1
    invalid[0] = end - begin - count
    merge_sort(eta, rows, scratch, count)
    for i in range(count):
        if not intensity[rows[i]] < 1.0:
            rows[kept] = rows[i]
            kept += 1
    return kept
