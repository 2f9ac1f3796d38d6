"""Sharp matches: reflections of crystals and spots that lie where they are predicted.

See docs/theory/resolving.md#sharp-matches.
"""
import numpy as np

from cython.parallel cimport prange, threadid
from libc.math cimport floor
from libc.stdlib cimport calloc, free, qsort, realloc

from midas._ext.grains.reflections cimport CrystalReflection, ReflectionList, ReflectionModel, predict_crystal
from midas._ext.numerics.stop cimport Listening, stopped
from midas._ext.physics.geometry cimport wrap180

from typing import NamedTuple

cdef enum:
    CHUNK = 1024           # crystals whose matches are in memory before they are packed
    MOST_BINS = 1 << 20


class SharpMatches(NamedTuple):
    """Matches of crystals, nearest first; crystal i has ``offsets[i] : offsets[i + 1]`` of the arrays (m,).

    `spot` is the row of the spot, `hkl` the place in the list of reflections, `branch` the sign of the laboratory y,
    `distance` in units of the scales. `expected` (c, rings) counts the reflections that can be observed.
    """

    offsets: object
    spot: object
    hkl: object
    branch: object
    distance: object
    expected: object


cdef struct SortedSpots:
    # By ring, then bin of omega, then y
    const long long* first     # (rings · bins + 1,)
    const double* y            # µm
    const double* z
    const double* omega        # degrees
    const long long* row
    Py_ssize_t bins            # of a turn, none narrower than the window
    double reach               # of the window, µm
    double sigma_spot
    double sigma_omega
    double largest             # square of the window


cdef struct SharpPair:
    double square              # of the distance, in units of the scales
    long long row
    int reflection


cdef struct PairWork:
    # Of one thread
    CrystalReflection* predicted
    SharpPair* pairs
    Py_ssize_t capacity
    long long* taken           # by spot: the last crystal that has it, counted from 1
    long long* used            # by reflection


cdef int _by_distance(const void* a, const void* b) noexcept nogil:
    """Nearer first, then the lower row, then the earlier reflection."""
    cdef const SharpPair* p = <const SharpPair*>a
    cdef const SharpPair* q = <const SharpPair*>b
    if p.square != q.square:
        return -1 if p.square < q.square else 1
    if p.row != q.row:
        return -1 if p.row < q.row else 1
    return (p.reflection > q.reflection) - (p.reflection < q.reflection)


cdef inline Py_ssize_t _bin_of(double omega, Py_ssize_t bins) noexcept nogil:
    """Bin of an omega of any turn."""
    cdef double turn = omega / 360.0
    return min(<Py_ssize_t>((turn - floor(turn)) * bins), bins - 1)


cdef inline long long _first_at(const double* y, long long start, long long end, double low) noexcept nogil:
    """The first place of start … end whose y is not below `low`; y ascends."""
    cdef long long middle
    while start < end:
        middle = (start + end) // 2
        if y[middle] < low:
            start = middle + 1
        else:
            end = middle
    return start


cdef inline double _square(const SortedSpots* spots, long long at, double y, double z, double omega) noexcept nogil:
    """Square of the distance of a spot from a predicted place, in units of the scales."""
    cdef double dy = spots.y[at] - y, dz = spots.z[at] - z
    cdef double turn = wrap180(spots.omega[at] - omega) / spots.sigma_omega
    return (dy * dy + dz * dz) / (spots.sigma_spot * spots.sigma_spot) + turn * turn


cdef Py_ssize_t _collect(const SortedSpots* spots, int ring, int reflection, const CrystalReflection* place,
                         PairWork* work, Py_ssize_t n) noexcept nogil:
    """Append the pairs of a reflection to the n there are; returns how many there are now, -1 without memory."""
    cdef Py_ssize_t b = _bin_of(place.omega_recorded, spots.bins), k
    cdef Py_ssize_t start = b - 1 if spots.bins > 2 else 0, end = b + 2 if spots.bins > 2 else spots.bins
    cdef const long long* first
    cdef long long at
    cdef double square
    cdef void* grown
    for k in range(start, end):
        first = spots.first + ring * spots.bins + (k + spots.bins) % spots.bins
        at = _first_at(spots.y, first[0], first[1], place.y_plane - spots.reach)
        while at < first[1] and spots.y[at] <= place.y_plane + spots.reach:
            square = _square(spots, at, place.y_plane, place.z_plane, place.omega_recorded)
            if square <= spots.largest:
                if n == work.capacity:
                    grown = realloc(work.pairs, (2 * n + 64) * sizeof(SharpPair))
                    if grown == NULL:
                        return -1
                    work.pairs = <SharpPair*>grown
                    work.capacity = 2 * n + 64
                work.pairs[n].square = square
                work.pairs[n].row = spots.row[at]
                work.pairs[n].reflection = reflection
                n += 1
            at += 1
    return n


cdef Py_ssize_t _match_crystal(const SortedSpots* spots, const int* ring, long long stamp, Py_ssize_t predicted,
                               PairWork* work, SharpPair* out, int* expected) noexcept nogil:
    """Matches of the predicted reflections, each reflection and each spot once; their number, -1 without memory."""
    cdef Py_ssize_t i, n = 0, kept = 0
    cdef const SharpPair* pair
    for i in range(predicted):
        if not work.predicted[i].accepted:
            continue
        expected[ring[work.predicted[i].hkl]] += 1
        n = _collect(spots, ring[work.predicted[i].hkl], <int>i, work.predicted + i, work, n)
        if n < 0:
            return -1
    if n > 0:                  # else there may be no array
        qsort(work.pairs, n, sizeof(SharpPair), _by_distance)
    for i in range(n):
        pair = work.pairs + i
        if work.taken[pair.row] != stamp and work.used[pair.reflection] != stamp:
            work.taken[pair.row] = work.used[pair.reflection] = stamp
            out[kept] = pair[0]
            kept += 1
    return kept


cdef class _Workspaces:
    """Buffers of so many threads."""

    cdef PairWork* works
    cdef int threads

    def __cinit__(self, int threads, Py_ssize_t spots, Py_ssize_t reflections):
        cdef int t
        self.threads = threads
        self.works = <PairWork*>calloc(threads, sizeof(PairWork))
        if self.works == NULL:
            raise MemoryError
        for t in range(threads):
            self.works[t].predicted = <CrystalReflection*>calloc(2 * reflections, sizeof(CrystalReflection))
            self.works[t].taken = <long long*>calloc(spots, sizeof(long long))
            self.works[t].used = <long long*>calloc(2 * reflections, sizeof(long long))
            if self.works[t].predicted == NULL or self.works[t].taken == NULL or self.works[t].used == NULL:
                raise MemoryError

    def __dealloc__(self):
        cdef int t
        if self.works == NULL:
            return
        for t in range(self.threads):
            free(self.works[t].predicted)
            free(self.works[t].pairs)
            free(self.works[t].taken)
            free(self.works[t].used)
        free(self.works)


cdef class SharpMatcher:
    """Spots, sorted so that those near a predicted place are found at once.

    Parameters
    ----------
    y, z : (s,) float64, of the spots on the plane, µm
    omega : (s,) float64, as recorded, degrees of any turn
    ring : (s,) int32, ring number of each; spots of rings that are not in `rings` are left out
    rings : (r,) int32, ascending
    sigma_spot, sigma_omega : scales, µm and degrees
    window : largest distance of a match, in units of the scales

    Raises
    ------
    ValueError
        for arrays that do not fit together, and scales that are not positive
    """

    cdef SortedSpots spots
    cdef Py_ssize_t count
    cdef object rings
    cdef tuple arrays

    def __init__(self, const double[::1] y, const double[::1] z, const double[::1] omega, const int[::1] ring,
                 const int[::1] rings, double sigma_spot, double sigma_omega, double window):
        if not y.shape[0] == z.shape[0] == omega.shape[0] == ring.shape[0] or rings.shape[0] == 0:
            raise ValueError("one y, z, omega and ring per spot, and at least one ring")
        if not (sigma_spot > 0.0 and sigma_omega > 0.0 and window > 0.0):
            raise ValueError("scales and window must be positive")
        self.spots.bins = max(1, min(MOST_BINS, int(360.0 / (window * sigma_omega))))
        self.spots.sigma_spot, self.spots.sigma_omega = sigma_spot, sigma_omega
        # A little wider than the test, whose rounding then decides.
        self.spots.reach = window * sigma_spot * (1.0 + 1e-12)
        self.spots.largest = window * window
        self.rings = np.asarray(rings)
        self.count = y.shape[0]
        self._sort(np.asarray(y), np.asarray(z), np.asarray(omega), np.asarray(ring))

    cdef _sort(self, y, z, omega, ring):
        cdef Py_ssize_t i
        cdef const double[::1] angle = omega
        places = self._places(ring)
        bins_array = np.empty(self.count, np.int64)
        cdef long long[::1] bin_of = bins_array
        for i in range(self.count):
            bin_of[i] = _bin_of(angle[i], self.spots.bins)
        cell = places * self.spots.bins + bins_array
        order = np.lexsort((y, cell))
        order = order[places[order] >= 0]
        counts = np.bincount(cell[order], minlength=len(self.rings) * self.spots.bins)
        first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        # One entry more, so that there is an address without spots.
        self.arrays = (first, np.append(order, 0), *(np.append(column[order], 0.0) for column in (y, z, omega)))
        cdef const long long[::1] starts = self.arrays[0], row = self.arrays[1]
        cdef const double[::1] sorted_y = self.arrays[2], sorted_z = self.arrays[3], sorted_omega = self.arrays[4]
        self.spots.first, self.spots.row = &starts[0], &row[0]
        self.spots.y, self.spots.z, self.spots.omega = &sorted_y[0], &sorted_z[0], &sorted_omega[0]

    def _places(self, ring):
        """Place of each ring number among the rings, -1 for one that is not there."""
        places = np.minimum(np.searchsorted(self.rings, ring), len(self.rings) - 1)
        return np.where(self.rings[places] == ring, places, -1).astype(np.int64)

    def match(self, ReflectionModel model not None, const double[:, :, ::1] u, const double[:, ::1] position,
              const double[:, ::1] cell, int threads=1):
        """Matches of crystals, each of its reflections and each spot once, the nearest pairs first.

        Parameters
        ----------
        model : reflections, all of them on rings of the matcher
        u : (c, 3, 3) float64, crystal to sample
        position : (c, 3) float64, µm
        cell : (c, 6) float64, Å and degrees

        Returns
        -------
        SharpMatches
        """
        cdef Py_ssize_t c = u.shape[0], start, end
        if u.shape[1] != 3 or u.shape[2] != 3 or not c == position.shape[0] == cell.shape[0] or (
                position.shape[1] != 3 or cell.shape[1] != 6):
            raise ValueError("one matrix, position and cell per crystal")
        place = self._places(model.ring).astype(np.int32)
        if (place < 0).any():
            raise ValueError("a reflection lies on a ring that the matcher does not have")
        work = _Workspaces(threads, max(self.count, 1), model.view.n)
        expected = np.zeros((c, len(self.rings)), np.int32)
        parts = []
        for start in range(0, c, CHUNK):
            end = min(start + CHUNK, c)
            parts.append(self._match_part(model, place, u[start:end], position[start:end], cell[start:end],
                                          expected[start:end], start, work, threads))
        counts = np.concatenate([np.zeros(1, np.int64), *(one[0] for one in parts)])
        columns = [np.concatenate([part[k] for part in parts]) if parts else np.empty(0, kind)
                   for k, kind in ((1, np.int64), (2, np.int32), (3, np.int8), (4, np.float64))]
        return SharpMatches(np.cumsum(counts), *columns, expected)

    cdef _match_part(self, ReflectionModel model, const int[::1] place, const double[:, :, ::1] u,
                     const double[:, ::1] position, const double[:, ::1] cell, int[:, ::1] expected, Py_ssize_t first,
                     _Workspaces space, int threads):
        """The same of some crystals."""
        cdef Py_ssize_t n = u.shape[0], i, most = 2 * model.view.n, found
        cdef SharpPair sample
        cdef PairWork* work = space.works
        cdef const ReflectionList* reflections = &model.view
        cdef const SortedSpots* spots = &self.spots
        pairs = np.empty((n, most), np.asarray(<SharpPair[:1]>&sample).dtype)
        hkls, branches = np.empty((n, most), np.int32), np.empty((n, most), np.int8)
        counts = np.zeros(n, np.int64)
        cdef SharpPair[:, ::1] out = pairs
        cdef int[:, ::1] hkl = hkls
        cdef signed char[:, ::1] branch = branches
        cdef long long[::1] count = counts
        with Listening():
            for i in prange(n, nogil=True, num_threads=threads, schedule="dynamic", chunksize=16):
                if not stopped():
                    found = predict_crystal(reflections, &u[i, 0, 0], &position[i, 0], &cell[i, 0],
                                            work[threadid()].predicted)
                    count[i] = _match_crystal(spots, &place[0], first + i + 1, found, &work[threadid()], &out[i, 0],
                                              &expected[i, 0])
                    _name(count[i], &out[i, 0], work[threadid()].predicted, &hkl[i, 0], &branch[i, 0])
        if counts.min() < 0:
            raise MemoryError
        kept = np.arange(most) < counts[:, None]
        return counts, pairs["row"][kept], hkls[kept], branches[kept], np.sqrt(pairs["square"][kept])

    def covers(self, const double[::1] y, const double[::1] z, const double[::1] omega, ring):
        """(n,) bool: at which places there is a spot of the same ring within the window."""
        cdef Py_ssize_t n = y.shape[0], i
        cdef CrystalReflection at
        cdef const long long[::1] place = self._places(ring)
        if not n == z.shape[0] == omega.shape[0] == place.shape[0]:
            raise ValueError("one y, z, omega and ring per place")
        space = _Workspaces(1, 1, 1)
        cdef PairWork* work = (<_Workspaces>space).works
        near = np.zeros(n, np.uint8)
        cdef unsigned char[::1] out = near
        for i in range(n):
            at.y_plane, at.z_plane, at.omega_recorded = y[i], z[i], omega[i]
            if place[i] >= 0:
                out[i] = _collect(&self.spots, <int>place[i], 0, &at, work, 0) > 0
        return near.view(np.bool_)


cdef void _name(Py_ssize_t n, const SharpPair* pairs, const CrystalReflection* predicted, int* hkl,
                signed char* branch) noexcept nogil:
    """What the matched reflections are called."""
    cdef Py_ssize_t i
    for i in range(n):
        hkl[i] = predicted[pairs[i].reflection].hkl
        branch[i] = <signed char>predicted[pairs[i].reflection].branch
