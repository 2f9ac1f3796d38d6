"""Peaks of consecutive frames to spots (spec chapter 03 §4.1-4.4).

The peaks of all frames stand one behind the other; ``first`` (frames + 1,) says where each frame begins. A chain is the
spot in the making: one peak per frame, without gaps. Only *which* peak continues which chain depends on the order of
the frames; sorting, the search for neighbours and the sums over the finished chains run over all of them in parallel.
"""
import numpy as np

from cython.parallel cimport prange
from libc.math cimport isfinite
from libc.string cimport memcpy

from midas._ext.numerics.grid cimport Grid, build_grid, neighbours
from midas._ext.numerics.ordering cimport merge_sort

cdef enum:
    #: candidate pairs that are held at a time, unless one frame alone has more
    BATCH_PAIRS = 1 << 22


def order_peaks(const long long[::1] first, const double[::1] eta, const double[::1] intensity,
                const double[::1] y, const double[::1] z, int threads):
    """Order of the peaks of each frame by eta, without the weak and the impossible ones (chapter 03 §4.1).

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


cdef class Chains:
    """Chains under construction, frame after frame (chapter 03 §4.2).

    Parameters
    ----------
    first : (f + 1,) int64, where each frame begins in the ordered peaks

    """
    cdef const long long[::1] first
    cdef long long[::1] previous       # of each peak: the peak before it in its chain, or -1
    cdef long long[::1] ended          # last peak of each finished chain, in order of emission
    cdef Py_ssize_t ended_count
    cdef Py_ssize_t frame              # the frame, from 0, whose peaks end the open chains
    cdef int[::1] open                 # the open chains in their order: place of the last peak within the frame
    cdef int[::1] spare
    cdef int[::1] partner              # of each peak of the frame: the peak of the next frame that continues it, or -1
    cdef unsigned char[::1] taken      # of each peak of the next frame; all 0 between two frames

    def __init__(self, const long long[::1] first):
        cdef Py_ssize_t i
        widest = int(np.diff(first).max(initial=0))
        self.first = first
        self.previous = np.full(first[first.shape[0] - 1], -1, dtype=np.int64)
        self.ended = np.empty(first[first.shape[0] - 1], dtype=np.int64)
        self.open = np.empty(widest, dtype=np.int32)
        self.spare = np.empty(widest, dtype=np.int32)
        self.partner = np.full(widest, -1, dtype=np.int32)
        self.taken = np.zeros(widest, dtype=np.uint8)
        for i in range(self.count()):
            self.open[i] = <int>i

    cdef inline Py_ssize_t count(self) noexcept nogil:
        """Open chains, which is as many as the frame has peaks."""
        return <Py_ssize_t>(self.first[self.frame + 1] - self.first[self.frame])

    cdef void advance(self) noexcept nogil:
        """Go to the next frame: continue the chains that have a partner there, end the others, open the rest."""
        cdef long long begin = self.first[self.frame]
        cdef Py_ssize_t chains = self.count(), i, n = 0
        cdef int j
        self.frame += 1
        for i in range(chains):
            j = self.partner[self.open[i]]
            if j < 0:
                self.ended[self.ended_count] = begin + self.open[i]
                self.ended_count += 1
            else:
                self.previous[begin + chains + j] = begin + self.open[i]
                self.taken[j] = 1
                self.spare[n] = j
                n += 1
        for j in range(<int>self.count()):
            if not self.taken[j]:
                self.spare[n] = j
                n += 1
            self.taken[j] = 0
        if n:
            memcpy(&self.open[0], &self.spare[0], n * sizeof(int))

    def finish(self):
        """End the chains that are still open.

        Returns
        -------
        previous : (n,) int64, of each ordered peak the one before it in its chain, or -1
        last : (m,) int64, the last peak of each chain, in the order of the spots' numbers
        """
        cdef Py_ssize_t i
        if self.frame != self.first.shape[0] - 2:
            raise ValueError(f"at frame {self.frame} of {self.first.shape[0] - 1}")
        for i in range(self.count()):
            self.ended[self.ended_count] = self.first[self.frame] + self.open[i]
            self.ended_count += 1
        return np.asarray(self.previous), np.asarray(self.ended)[:self.ended_count]


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
    """Give the chains their partners, first come first served (chapter 03 §4.3)."""
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
    """Chains of peaks whose centres are closer than `limit` from frame to frame (chapter 03 §4.3).

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
    for f in prange(start, stop, nogil=True, num_threads=threads, schedule="dynamic"):
        _fill_pairs(pairs, &grids[f + 1], &y[0], &z[0], first[f], first[f + 1], first[f + 2], limit)
    with nogil:
        for f in range(start, stop):
            _resolve(pairs, &chains.open[0], &chains.taken[0], &chains.partner[0], first[f], first[f + 1],
                     first[f + 2])
            chains.advance()


def link_by_pixels(Chains chains, int[:, ::1] label_map, const long long[::1] rows, pixels,
                   const long long[::1] next_rows, next_pixels):
    """Continue the chains by shared pixels and go to the next frame (chapter 03 §4.4).

    Parameters
    ----------
    chains : the chains up to a frame
    label_map : (N, N) int32, all 0; and again when the function returns
    rows, next_rows : (n,) int64, of the ordered peaks of the two frames the record of their pixels
    pixels, next_pixels : offsets (int64), y and z (int16) of the two frames; y and z within the map
    """
    cdef const long long[::1] offsets, next_offsets
    cdef const short[::1] y, z, next_y, next_z
    offsets, y, z = pixels
    next_offsets, next_y, next_z = next_pixels
    cdef Py_ssize_t count = chains.count(), i, p
    cdef int[::1] votes = np.zeros(count + 1, dtype=np.int32)
    cdef int[::1] best = np.zeros(count, dtype=np.int32)
    cdef int label
    with nogil:
        for i in range(count):
            chains.partner[i] = -1
            for p in range(offsets[rows[chains.open[i]]], offsets[rows[chains.open[i]] + 1]):
                label_map[y[p], z[p]] = <int>i + 1
        for i in range(next_rows.shape[0]):
            label = _most_shared(label_map, votes, next_y, next_z, next_offsets[next_rows[i]],
                                 next_offsets[next_rows[i] + 1])
            # Of the peaks that prefer a chain the one with most shared pixels gets it, the first one among equals.
            if label and votes[0] > best[label - 1]:
                best[label - 1] = votes[0]
                chains.partner[chains.open[label - 1]] = <int>i
        for i in range(count):
            for p in range(offsets[rows[chains.open[i]]], offsets[rows[chains.open[i]] + 1]):
                label_map[y[p], z[p]] = 0
        chains.advance()


cdef int _most_shared(const int[:, ::1] label_map, int[::1] votes, const short[::1] y, const short[::1] z,
                      long long begin, long long end) noexcept nogil:
    """The label that first reaches the highest count under the pixels, or 0; its count goes to votes[0].

    All other votes are 0 before and after.
    """
    cdef long long p
    cdef int label, best = 0, most = 0
    for p in range(begin, end):
        label = label_map[y[p], z[p]]
        if label:
            votes[label] += 1
            if votes[label] > most:
                most = votes[label]
                best = label
    for p in range(begin, end):
        votes[label_map[y[p], z[p]]] = 0
    votes[0] = most
    return best


def merge_map(const long long[::1] previous, const long long[::1] last):
    """The peaks of each chain, newest first.

    Parameters
    ----------
    previous, last : what the links returned

    Returns
    -------
    chain_first : (m + 1,) int64, where each chain begins in `peaks`
    peaks : (n,) int64
    """
    cdef Py_ssize_t i, n = 0
    cdef long long peak
    chain_first = np.zeros(last.shape[0] + 1, dtype=np.int64)
    peaks = np.empty(previous.shape[0], dtype=np.int64)
    cdef long long[::1] first = chain_first
    cdef long long[::1] out = peaks
    with nogil:
        for i in range(last.shape[0]):
            peak = last[i]
            while peak >= 0:
                out[n] = peak
                n += 1
                peak = previous[peak]
            first[i + 1] = n
    return chain_first, peaks


def sum_chains(const long long[::1] chain_first, const long long[::1] peaks, const double[:, ::1] columns, int threads):
    """Spots from their peaks, summed in the order of the frames (chapter 03 §4.2).

    Parameters
    ----------
    chain_first, peaks : what `merge_map` returned
    columns : (12, n) float64: intensity, omega, y, z, i_max, sigma_r, sigma_eta, pixels, region_pixels, radius, eta,
        raw_sum
    threads : number of threads

    Returns
    -------
    (14, m) float64: intensity, omega, y, z, i_max, min_omega, max_omega, sigma_r, sigma_eta, pixels, region_pixels,
    radius, eta, raw_sum
    """
    cdef Py_ssize_t spots = chain_first.shape[0] - 1, i
    if columns.shape[0] != 12:
        raise ValueError("twelve columns")
    table = np.empty((14, spots), dtype=np.float64)
    cdef double[:, ::1] out = table
    for i in prange(spots, nogil=True, num_threads=threads, schedule="static"):
        _sum_chain(peaks, chain_first[i], chain_first[i + 1], columns, out, i)
    return table


cdef void _sum_chain(const long long[::1] peaks, long long begin, long long end, const double[:, ::1] c,
                     double[:, ::1] out, Py_ssize_t spot) noexcept nogil:
    cdef long long p = peaks[end - 1], k
    cdef double intensity = c[0, p], omega = c[1, p] * c[0, p], y = c[2, p] * c[0, p], z = c[3, p] * c[0, p]
    cdef double i_max = c[4, p], sigma_r = c[5, p], sigma_eta = c[6, p], low = c[1, p], high = c[1, p]
    cdef double pixels = c[7, p], region_pixels = c[8, p], raw_sum = c[11, p]
    for k in range(end - 2, begin - 1, -1):
        p = peaks[k]
        intensity += c[0, p]
        omega += c[1, p] * c[0, p]
        y += c[2, p] * c[0, p]
        z += c[3, p] * c[0, p]
        i_max = c[4, p] if c[4, p] > i_max else i_max
        low = c[1, p] if c[1, p] < low else low
        high = c[1, p] if c[1, p] > high else high
        sigma_r = c[5, p] if c[5, p] > sigma_r else sigma_r
        sigma_eta = c[6, p] if c[6, p] > sigma_eta else sigma_eta
        pixels += c[7, p]
        region_pixels += c[8, p]
        raw_sum += c[11, p]
    out[0, spot] = intensity
    out[1, spot] = omega / intensity
    out[2, spot] = y / intensity
    out[3, spot] = z / intensity
    out[4, spot] = i_max
    out[5, spot] = low
    out[6, spot] = high
    out[7, spot] = sigma_r
    out[8, spot] = sigma_eta
    out[9, spot] = pixels
    out[10, spot] = region_pixels
    out[11, spot] = c[9, peaks[begin]]
    out[12, spot] = c[10, peaks[begin]]
    out[13, spot] = raw_sum
