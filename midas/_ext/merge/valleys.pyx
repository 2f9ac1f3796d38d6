"""Chains that are two spots: their intensity falls and rises again (docs/theory/merge.md#valleys)."""
import numpy as np

from libc.math cimport sqrt


cdef inline bint _is_valley(double lowest, double lower_top, double part, double deviations) noexcept nogil:
    """Whether a dip is deep against the lower of the tops beside it, and against what counting makes of both."""
    return lowest < part * lower_top and lower_top - lowest > deviations * sqrt(lower_top + lowest)


cdef inline double _step(const double* y, const double* z, long long a, long long b) noexcept nogil:
    return (y[a] - y[b]) * (y[a] - y[b]) + (z[a] - z[b]) * (z[a] - z[b])


cdef Py_ssize_t _split(const long long* chain, Py_ssize_t n, const double* intensity, const double* y, const double* z,
                       double part, double deviations, long long begin, long long* cuts) noexcept nogil:
    """Where the parts of a chain of `n` peaks behind its first one begin, counted from `begin`; how many there are.

    The peak of the valley goes to the side that it stands nearer to.
    """
    cdef double top = intensity[chain[0]], lowest = top, value
    cdef Py_ssize_t i, valley = 0, cut, found = 0
    for i in range(1, n):
        value = intensity[chain[i]]
        if value < lowest:
            lowest = value
            valley = i
        elif _is_valley(lowest, min(top, value), part, deviations):
            cut = valley
            if valley + 1 < n and (_step(y, z, chain[valley], chain[valley - 1])
                                   <= _step(y, z, chain[valley], chain[valley + 1])):
                cut = valley + 1
            cuts[found] = begin + cut
            found += 1
            top = lowest = value
            valley = i
        elif value > top:
            top = lowest = value
            valley = i
    return found


def split_chains(const long long[::1] chain_first, const long long[::1] peaks, const double[::1] intensity,
                 const double[::1] y, const double[::1] z, const unsigned char[::1] whole, double part,
                 double deviations):
    """Begin a new chain behind every valley of the intensity.

    Parameters
    ----------
    chain_first, peaks : what `merge_map` returned
    intensity, y, z : (n,) float64, of the ordered peaks; y and z in px
    whole : (n,) uint8, a chain with such a peak stays as it is
    part : of the lower top, below which a valley lies
    deviations : by how many standard deviations of a count the lower top stands above it at least

    Returns
    -------
    chain_first : (m + parts + 1,) int64, where each chain begins in the same `peaks`
    """
    cdef Py_ssize_t c, i, m = chain_first.shape[0] - 1, n = 0
    cdef long long begin, end
    cdef bint kept
    if not intensity.shape[0] == y.shape[0] == z.shape[0] == whole.shape[0]:
        raise ValueError("an intensity, a place and a mark per peak")
    out = np.zeros(peaks.shape[0] + 1, np.int64)
    cdef long long[::1] first = out
    with nogil:
        for c in range(m):
            begin = chain_first[c]
            end = chain_first[c + 1]
            kept = end - begin < 3
            for i in range(begin, end):
                kept = kept or whole[peaks[i]] != 0
            if not kept:
                n += _split(&peaks[begin], <Py_ssize_t>(end - begin), &intensity[0], &y[0], &z[0], part, deviations,
                            begin, &first[n + 1])
            n += 1
            first[n] = end
    return out[:n + 1].copy()
