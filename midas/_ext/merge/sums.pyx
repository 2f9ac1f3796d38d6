"""Spots from the peaks of their chains (docs/theory/merge.md#sums-of-a-chain)."""
import numpy as np

from cython.parallel cimport prange

cdef enum:
    #: chains that are folded at a time, one column after the other, while their peaks are in the cache
    BLOCK = 1024
    #: chains of as many peaks and more are sorted together
    LONG = 32

cdef enum Rule:
    SUM
    MEAN                   # weighted; each product is rounded before it is added
    LARGEST
    SMALLEST
    NEWEST

_RULES = ("sum", "mean", "largest", "smallest", "newest")


cdef inline double _sum(const double* values, const long long* peaks, long long begin, long long end) noexcept nogil:
    cdef double total = values[peaks[end - 1]]
    cdef long long k
    for k in range(end - 2, begin - 1, -1):
        total += values[peaks[k]]
    return total


cdef inline double _weighted_sum(const double* values, const double* weights, const long long* peaks, long long begin,
                                 long long end) noexcept nogil:
    cdef double total = values[peaks[end - 1]] * weights[peaks[end - 1]]
    cdef long long k
    for k in range(end - 2, begin - 1, -1):
        total += values[peaks[k]] * weights[peaks[k]]
    return total


cdef inline double _largest(const double* values, const long long* peaks, long long begin,
                            long long end) noexcept nogil:
    """A NaN counts in the oldest frame only."""
    cdef double best = values[peaks[end - 1]], value
    cdef long long k
    for k in range(end - 2, begin - 1, -1):
        value = values[peaks[k]]
        best = value if value > best else best
    return best


cdef inline double _smallest(const double* values, const long long* peaks, long long begin,
                             long long end) noexcept nogil:
    """A NaN counts in the oldest frame only."""
    cdef double best = values[peaks[end - 1]], value
    cdef long long k
    for k in range(end - 2, begin - 1, -1):
        value = values[peaks[k]]
        best = value if value < best else best
    return best


cdef void _sort_by_length(const long long* first, int chains, int* order) noexcept nogil:
    """Shorter chains first: the processor foresees the end of a chain that is as long as the one before it."""
    cdef int places[LONG + 2]
    cdef int i, length
    for length in range(LONG + 2):
        places[length] = 0
    for i in range(chains):
        places[min(first[i + 1] - first[i], <long long>LONG) + 1] += 1
    for length in range(LONG + 1):
        places[length + 1] += places[length]
    for i in range(chains):
        length = <int>min(first[i + 1] - first[i], <long long>LONG)
        order[places[length]] = i
        places[length] += 1


cdef void _fold_column(int rule, const double* values, const double* weights, const double* total_weight,
                       const long long* first, const long long* peaks, const int* order, int chains,
                       double* out) noexcept nogil:
    """One number for each of some adjacent chains, which are visited in any order."""
    cdef int i, c
    if rule == SUM:
        for i in range(chains):
            c = order[i]
            out[c] = _sum(values, peaks, first[c], first[c + 1])
    elif rule == MEAN:
        for i in range(chains):
            c = order[i]
            out[c] = _weighted_sum(values, weights, peaks, first[c], first[c + 1]) / total_weight[c]
    elif rule == LARGEST:
        for i in range(chains):
            c = order[i]
            out[c] = _largest(values, peaks, first[c], first[c + 1])
    elif rule == SMALLEST:
        for i in range(chains):
            c = order[i]
            out[c] = _smallest(values, peaks, first[c], first[c + 1])
    else:
        for c in range(chains):
            out[c] = values[peaks[first[c]]]


cdef void _fold_block(const int[::1] rules, const int[::1] sources, const double[:, ::1] values, Py_ssize_t weight,
                      const long long* first, const long long* peaks, Py_ssize_t begin, int chains,
                      double[:, ::1] out) noexcept nogil:
    """All columns of the chains from `begin` on."""
    cdef double total_weight[BLOCK]
    cdef int order[BLOCK]
    cdef Py_ssize_t j
    first += begin
    _sort_by_length(first, chains, order)
    _fold_column(SUM, &values[weight, 0], NULL, NULL, first, peaks, order, chains, total_weight)
    for j in range(rules.shape[0]):
        _fold_column(rules[j], &values[sources[j], 0], &values[weight, 0], total_weight, first, peaks, order, chains,
                     &out[j, begin])


def fold_chains(const long long[::1] chain_first, const long long[::1] peaks, const double[:, ::1] values,
                Py_ssize_t weight, folds, double[:, ::1] out, int threads):
    """Columns of the chains from those of their peaks, taken in the order of the frames.

    Parameters
    ----------
    chain_first, peaks : what `merge_map` returned
    values : (c, n) float64, the columns of the peaks
    weight : which of them is the weight of a mean
    folds : of each of k columns of the chains how it comes about, "sum", "mean", "largest", "smallest" or "newest", and
        from which column of the peaks
    out : (k, m) float64, filled with the columns of the chains
    threads : number of threads

    Raises
    ------
    ValueError : another rule, a column that is not there, or another number of places than columns and chains
    """
    cdef Py_ssize_t chains = chain_first.shape[0] - 1, columns = len(folds), block, begin
    cdef const int[::1] rules = np.array([_RULES.index(fold[0]) for fold in folds], np.intc)
    cdef const int[::1] sources = np.array([fold[1] for fold in folds], np.intc)
    if out.shape[0] != columns or out.shape[1] != chains:
        raise ValueError("one place per column and chain")
    if min(weight, *sources) < 0 or max(weight, *sources) >= values.shape[0]:
        raise ValueError(f"there are {values.shape[0]} columns of peaks")
    if chains == 0:
        return
    for block in prange((chains + BLOCK - 1) // BLOCK, nogil=True, num_threads=threads, schedule="static"):
        begin = block * BLOCK
        _fold_block(rules, sources, values, weight, &chain_first[0], &peaks[0], begin,
                    <int>min(<Py_ssize_t>BLOCK, chains - begin), out)
