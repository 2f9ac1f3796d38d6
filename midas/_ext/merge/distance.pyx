"""Chains of peaks whose centres are close from frame to frame (docs/theory/merge.md#distance-mode)."""
import numpy as np

from cython.parallel cimport prange

from midas._ext.merge.chains cimport Chains
from midas._ext.numerics.grid cimport Grid, build_grid, neighbours
from midas._ext.numerics.stop cimport Listening, stopped

cdef enum:
    #: candidate pairs that are held at a time, unless one frame alone has more
    BATCH_PAIRS = 1 << 22


cdef struct Pairs:
    const long long* first      # of each peak: its pairs with peaks of the next frame, counted over all frames
    long long base              # number of the first pair that is held
    int* peer                   # place of the other peak within its frame
    double* distance            # px
    long long* back_first       # the same pairs, by the peak of the later frame
    int* back_peer
    double* back_distance


cdef void _fill_pairs(const Pairs* pairs, const Grid* next_grid, const double* y, const double* z, long long begin,
                      long long middle, long long end, double limit) noexcept nogil:
    """All pairs of a frame (peaks begin ... middle) and the next one (middle ... end), from both sides."""
    cdef long long a, p, total = pairs.first[begin] - pairs.base
    cdef long long* back = pairs.back_first
    for a in range(begin, middle):
        p = pairs.first[a] - pairs.base
        neighbours(next_grid, y + middle, z + middle, y[a], z[a], limit, pairs.peer + p, pairs.distance + p)
    for a in range(middle, end):
        back[a] = 0
    for p in range(total, pairs.first[middle] - pairs.base):
        back[middle + pairs.peer[p]] += 1
    for a in range(middle, end):
        total += back[a]
        back[a] = total
    for a in range(middle - 1, begin - 1, -1):
        for p in range(pairs.first[a] - pairs.base, pairs.first[a + 1] - pairs.base):
            back[middle + pairs.peer[p]] -= 1
            pairs.back_peer[back[middle + pairs.peer[p]]] = <int>(a - begin)
            pairs.back_distance[back[middle + pairs.peer[p]]] = pairs.distance[p]


cdef bint _has_rival(const Pairs* pairs, const int* partner, long long begin, long long middle, long long end,
                     int chain, int peak, double distance) noexcept nogil:
    """Whether another chain without a partner is closer to the peak."""
    cdef long long p, stop
    stop = pairs.back_first[middle + peak + 1] if middle + peak + 1 < end else pairs.first[middle] - pairs.base
    for p in range(pairs.back_first[middle + peak], stop):
        if (pairs.back_peer[p] != chain and partner[pairs.back_peer[p]] < 0
                and pairs.back_distance[p] < distance):
            return True
    return False


cdef void _resolve(const Pairs* pairs, const int* chains, unsigned char* taken, int* partner, long long begin,
                   long long middle, long long end) noexcept nogil:
    """Give the chains their partners, first come first served."""
    cdef long long i, p
    cdef int chain, best
    cdef double distance = 0.0
    for i in range(middle - begin):
        partner[i] = -1
    for i in range(middle - begin):
        chain = chains[i]
        best = -1
        for p in range(pairs.first[begin + chain] - pairs.base, pairs.first[begin + chain + 1] - pairs.base):
            if taken[pairs.peer[p]]:
                continue
            if (best < 0 or pairs.distance[p] < distance
                    or (pairs.distance[p] == distance and pairs.peer[p] < best)):
                best = pairs.peer[p]
                distance = pairs.distance[p]
        if best >= 0 and not _has_rival(pairs, partner, begin, middle, end, chain, best, distance):
            partner[chain] = best
            taken[best] = 1


def link_by_distance(const long long[::1] first, const double[::1] y, const double[::1] z, double limit, int threads):
    """Chains of peaks whose centres are closer than `limit` from frame to frame.

    Parameters
    ----------
    first : (f + 1,) int64, where each frame begins; at least one frame
    y, z : (n,) float64, centres of the ordered peaks, px
    limit : px; peaks exactly this far apart are not linked
    threads : number of threads

    Returns
    -------
    previous : (n,) int64, of each peak the one before it in its chain, or -1
    last : (m,) int64, the last peak of each chain, in the order of the spots' numbers
    """
    cdef Py_ssize_t frames = first.shape[0] - 1, total = y.shape[0], f, start
    cdef Chains chains = Chains(first)
    cdef Pairs pairs
    sides = np.floor(np.sqrt(np.diff(first))).astype(np.int64) + 1
    cdef const long long[::1] room = np.append(0, np.cumsum(sides * sides + 1))
    cdef int[::1] starts = np.empty(room[frames], dtype=np.int32)
    cdef int[::1] cell_peaks = np.empty(max(total, 1), dtype=np.int32)
    grid_store = np.empty((frames, sizeof(Grid)), dtype=np.uint8)
    cdef unsigned char[:, ::1] grid_bytes = grid_store
    cdef Grid* grids = <Grid*>&grid_bytes[0, 0]
    pair_counts = np.zeros(total + 1, dtype=np.int64)
    cdef long long[::1] counts = pair_counts
    if total == 0 or frames == 1:
        for _ in range(frames - 1):
            chains.advance()
        return chains.finish()
    for f in range(frames):
        grids[f].starts = &starts[room[f]]
        grids[f].peaks = &cell_peaks[0] + first[f]
    for f in prange(frames, nogil=True, num_threads=threads, schedule="dynamic"):
        build_grid(&grids[f], &y[0] + first[f], &z[0] + first[f], first[f + 1] - first[f], limit)
    for f in prange(frames - 1, nogil=True, num_threads=threads, schedule="dynamic"):
        _count_pairs(&grids[f + 1], &y[0], &z[0], first[f], first[f + 1], limit, &counts[1])
    cdef long long[::1] pair_first = np.cumsum(pair_counts)
    cdef long long[::1] back_first = np.empty(total, dtype=np.int64)
    pairs.first = &pair_first[0]
    pairs.back_first = &back_first[0]
    f = 0
    while f < frames - 1:
        start = f
        f += 1
        while f < frames - 1 and pair_first[first[f + 1]] - pair_first[first[start]] <= BATCH_PAIRS:
            f += 1
        _link_batch(chains, &pairs, grids, first, y, z, limit, start, f, threads)
    return chains.finish()


cdef void _count_pairs(const Grid* next_grid, const double* y, const double* z, long long begin, long long middle,
                       double limit, long long* counts) noexcept nogil:
    cdef long long a
    for a in range(begin, middle):
        counts[a] = neighbours(next_grid, y + middle, z + middle, y[a], z[a], limit, NULL, NULL)


cdef _link_batch(Chains chains, Pairs* pairs, const Grid* grids, const long long[::1] first, const double[::1] y,
                 const double[::1] z, double limit, Py_ssize_t start, Py_ssize_t stop, int threads):
    """Link the frames start ... stop - 1 to the next one each."""
    cdef Py_ssize_t f
    pairs.base = pairs.first[first[start]]
    held = max(pairs.first[first[stop]] - pairs.base, 1)
    cdef int[::1] peer = np.empty(held, dtype=np.int32)
    cdef int[::1] back_peer = np.empty(held, dtype=np.int32)
    cdef double[::1] distance = np.empty(held, dtype=np.float64)
    cdef double[::1] back_distance = np.empty(held, dtype=np.float64)
    pairs.peer = &peer[0]
    pairs.back_peer = &back_peer[0]
    pairs.distance = &distance[0]
    pairs.back_distance = &back_distance[0]
    with Listening():
        for f in prange(start, stop, nogil=True, num_threads=threads, schedule="dynamic"):
            if not stopped():
                _fill_pairs(pairs, &grids[f + 1], &y[0], &z[0], first[f], first[f + 1], first[f + 2], limit)
    with nogil:
        for f in range(start, stop):
            _resolve(pairs, &chains.open[0], &chains.taken[0], &chains.partner[0], first[f], first[f + 1],
                     first[f + 2])
            chains.advance()
