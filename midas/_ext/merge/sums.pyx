"""Spots from the peaks of their chains (docs/theory/merge.md#sums-of-a-chain)."""
from cython.parallel cimport prange


cdef inline double _sum(const double* values, const long long* peaks, long long begin, long long end) noexcept nogil:
    cdef double total = values[peaks[end - 1]]
    cdef long long k
    for k in range(end - 2, begin - 1, -1):
        total += values[peaks[k]]
    return total


cdef inline double _extreme(const double* values, const long long* peaks, long long begin, long long end,
                            double sign) noexcept nogil:
    """The largest value, or with `sign` -1 the smallest; a NaN counts in the oldest frame only."""
    cdef double best = values[peaks[end - 1]]
    cdef long long k
    for k in range(end - 2, begin - 1, -1):
        if sign * values[peaks[k]] > sign * best:
            best = values[peaks[k]]
    return best


def fold_chains(const long long[::1] chain_first, const long long[::1] peaks, const double[::1] values, str how,
                double[::1] out, int threads):
    """One number per chain from those of its peaks, taken in the order of the frames.

    Parameters
    ----------
    chain_first, peaks : what `merge_map` returned
    values : (n,) float64, of each peak
    how : "sum", "largest" or "smallest"
    out : (m,) float64, filled with the numbers of the chains
    threads : number of threads

    Raises
    ------
    ValueError : another `how`, or another number of places than chains
    """
    cdef Py_ssize_t i, chains = chain_first.shape[0] - 1
    cdef bint add = how == "sum"
    cdef double sign = 1.0 if how == "largest" else -1.0
    if how not in ("sum", "largest", "smallest"):
        raise ValueError(how)
    if out.shape[0] != chains:
        raise ValueError("one place per chain")
    if chains == 0:
        return
    cdef const double* value = &values[0]
    cdef const long long* peak = &peaks[0]
    for i in prange(chains, nogil=True, num_threads=threads, schedule="static"):
        if add:
            out[i] = _sum(value, peak, chain_first[i], chain_first[i + 1])
        else:
            out[i] = _extreme(value, peak, chain_first[i], chain_first[i + 1], sign)
