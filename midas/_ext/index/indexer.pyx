"""Search for the orientation and position that explain a start spot and most other spots (docs/theory/indexing.md).

The result is the best of all candidates that the legacy program visits, record for record; why the bounds of
`midas._ext.index.filter` may drop the hopeless ones unseen is shown in
docs/theory/indexing.md#why-most-of-the-grid-need-not-be-visited.
"""
import numpy as np

from cython.parallel cimport prange, threadid
from libc.math cimport NAN
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from midas._ext.numerics.elementary cimport atan, cos, sin
from midas._ext.numerics.stop cimport Listening, stopped
from midas._ext.physics.geometry cimport DEG2RAD, RAD2DEG
from midas._ext.index.problem cimport IndexProblem, IndexRing, ReflectionPair
from midas._ext.index.record cimport IndexedSeed, write_seed
from midas._ext.index.score cimport Score, predict, score
from midas._ext.index.search cimport BestCandidate, IndexWorkspace, allocate_workspace, free_workspace, search_seed
from midas._ext.index.table cimport SpotTable
from midas._ext.physics.region cimport AcceptedRegion
from midas._ext.physics.wedge cimport instrument_of

from midas._ext.index.record import INDEXED_SEED

cdef tuple NO_TILTS = (0.0, 0.0, 0.0)


def _packed(counts, rows):
    """(n,) counts and (n, capacity) rows as offsets and one list."""
    offsets = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    return offsets, rows[np.arange(rows.shape[1]) < counts[:, None]]


cdef class Indexer:
    """Finds, for start spots, the orientation and position that explain most observed spots.

    Parameters
    ----------
    table : the observed spots
    radii, two_theta, rotation_range : (r,) float64 per ring: µm, degrees, degrees
    ring_g : (r, 3) float64, Å⁻¹, crystal frame: the representative reflection of each ring
    excluded : (r,) bool, rings that do not count in the completeness
    g : (h, 3) float64, Å⁻¹, the reflections in the order of the list
    theta : (h,) float64, degrees
    hkl_ring : (h,) int32, index into the rings
    region : where spots are accepted
    wedge, exact_wedge : degrees, and whether spots turn with the leaning axis: the region is then tested on the spots
        as recorded; without effect otherwise
    tilts : of the detector about x, y and z, degrees, which beams from beside the origin know of
    lsd, r_sample, h_beam, position_step : µm
    orientation_step : degrees
    margin_omega : degrees; margin_eta, margin_radius, margin_radial : µm
    min_completeness : lowest acceptable completeness
    friedel : whether Friedel mates restrict the plane normals (else every point of the arc is tried)
    guard : nearer than this to the limit of the eta test, in units of the ring radius, the exact formulas decide

    References
    ----------
    docs/theory/indexing.md; Sharma, Huizenga and Offerman, J. Appl. Cryst. 45 (2012) 693-704 and 705-718.
    """

    cdef IndexProblem problem
    cdef tuple arrays
    cdef IndexRing* rings
    cdef ReflectionPair* pairs

    def __init__(self, SpotTable table, *, const double[::1] radii, const double[::1] two_theta,
                 const double[::1] rotation_range, const double[:, ::1] ring_g, excluded, const double[:, ::1] g,
                 const double[::1] theta, const int[::1] hkl_ring, AcceptedRegion region not None, double lsd,
                 double wedge, bint exact_wedge, double r_sample, double h_beam, double position_step,
                 double orientation_step, double margin_omega, double margin_eta, double margin_radius,
                 double margin_radial, double min_completeness, bint friedel, double guard=1e-9,
                 tilts=NO_TILTS):
        cdef IndexProblem* p = &self.problem
        if not (len(radii) == len(two_theta) == len(rotation_range) == len(ring_g) == len(excluded) > 0):
            raise ValueError("one radius, angle, range, vector and flag per ring")
        if not (len(g) == len(theta) == len(hkl_ring) > 0 and 0 <= min(hkl_ring) and max(hkl_ring) < len(radii)):
            raise ValueError("one vector, angle and ring per reflection")
        if g.shape[1] != 3 or ring_g.shape[1] != 3:
            raise ValueError("vectors have three columns")
        if not (position_step >= 1.0 and orientation_step > 0.0):
            raise ValueError("steps must be positive, that of the position at least 1")
        p.lsd, p.r_sample, p.h_beam, p.position_step = lsd, r_sample, h_beam, position_step
        p.orientation_step, p.margin_omega, p.margin_radius = orientation_step, margin_omega, margin_radius
        p.margin_radial, p.min_completeness, p.guard = margin_radial, min_completeness, guard
        p.friedel = friedel
        p.region = region.view
        p.instrument = instrument_of(lsd, NAN, wedge, exact_wedge, tilts[0], tilts[1], tilts[2])
        p.boxes_matter = bool(np.min(np.abs(region.arrays[1])) <= max(radii) + 1.0)
        p.spots = table.view
        self.arrays = (table, region, g)
        self._add_rings(radii, two_theta, rotation_range, ring_g, excluded, margin_eta)
        self._add_reflections(g, theta, hkl_ring, excluded)

    def __dealloc__(self):
        free(self.rings)
        free(self.pairs)

    cdef _add_rings(self, const double[::1] radii, const double[::1] two_theta, const double[::1] rotation_range,
                    const double[:, ::1] ring_g, excluded, double margin_eta):
        cdef IndexProblem* p = &self.problem
        cdef IndexRing* ring
        cdef int i, k
        self.rings = <IndexRing*>calloc(len(radii), sizeof(IndexRing))
        if self.rings == NULL:
            raise MemoryError
        for i in range(len(radii)):
            ring = &self.rings[i]
            ring.ring_radius = radii[i]
            ring.two_theta = two_theta[i]
            ring.rotation_range = rotation_range[i]
            for k in range(3):
                ring.g[k] = ring_g[i, k]
            ring.bare_eta_margin = RAD2DEG * atan(margin_eta / radii[i])
            ring.eta_margin = ring.bare_eta_margin + 0.5 * p.orientation_step
            ring.cos_eta_margin = cos(DEG2RAD * ring.eta_margin) if ring.eta_margin < 179.9 else -2.0
            ring.excluded = bool(excluded[i])
        p.n_rings = <int>len(radii)
        p.rings = self.rings
        p.n_rotations = <int>(max(rotation_range) / p.orientation_step)
        turns = np.empty((2, p.n_rotations + 1))
        cdef double[:, ::1] turn = turns
        for i in range(p.n_rotations + 1):
            turn[0, i] = cos(i * p.orientation_step * DEG2RAD)
            turn[1, i] = sin(i * p.orientation_step * DEG2RAD)
        p.cos_rotation = &turn[0, 0]
        p.sin_rotation = &turn[1, 0]
        self.arrays += (turns,)

    cdef _add_reflections(self, const double[:, ::1] g, const double[::1] theta, const int[::1] hkl_ring, excluded):
        cdef IndexProblem* p = &self.problem
        cdef ReflectionPair* pair
        cdef int i, k, remaining = 0
        cdef const long long* first = p.spots.ring_first
        p.n_hkls = <int>len(g)
        sines = np.empty(len(g))
        cdef double[::1] sine = sines
        for i in range(p.n_hkls):
            sine[i] = sin(theta[i] * DEG2RAD)
        p.g = &g[0, 0]
        p.sin_theta = &sine[0]
        p.hkl_ring = &hkl_ring[0]
        self.arrays += (sines, hkl_ring)
        counted = [i for i in range(p.n_hkls) if not excluded[hkl_ring[i]]]
        p.n_counted_max = 2 * <int>len(counted)
        # A reflection waits under its key until its opposite comes; the emptiest ring rejects most, so it goes first.
        population = [first[k + 1] - first[k] for k in range(p.n_rings)]
        rings_of = np.asarray(hkl_ring).tolist()
        counted.sort(key=lambda i: (population[rings_of[i]], i))
        waiting, pairs = {}, []
        for i in counted:
            opposite = (hkl_ring[i], theta[i], -g[i, 0], -g[i, 1], -g[i, 2])
            if waiting.get(opposite):
                pairs[waiting[opposite].pop()][1] = 2
            else:
                waiting.setdefault((hkl_ring[i], theta[i], g[i, 0], g[i, 1], g[i, 2]), []).append(len(pairs))
                pairs.append([i, 1])
        self.pairs = <ReflectionPair*>calloc(len(pairs) + 1, sizeof(ReflectionPair))
        if self.pairs == NULL:
            raise MemoryError
        for k in reversed(range(len(pairs))):
            i = pairs[k][0]
            pair = &self.pairs[k]
            pair.g[0], pair.g[1], pair.g[2] = g[i, 0], g[i, 1], g[i, 2]
            pair.v = sine[i] * (g[i, 0] ** 2 + g[i, 1] ** 2 + g[i, 2] ** 2) ** 0.5
            pair.ring = hkl_ring[i]
            pair.members = pairs[k][1]
            remaining += 2 * pair.members
            pair.remaining = remaining
        p.n_pairs = <int>len(pairs)
        p.pairs = self.pairs

    def search(self, const long long[::1] rows, *, int threads=1):
        """The best candidate of each start spot.

        Parameters
        ----------
        rows : (n,) int64, rows of the spot table; negative: no such spot
        threads : number of threads

        Returns
        -------
        seeds : (n,) of `INDEXED_SEED`; zeros where nothing was found
        offsets : (n + 1,) int64 into `matched`
        matched : (m,) int32, rows of the matched spots of one start spot after the other
        """
        cdef Py_ssize_t n = rows.shape[0], i
        if n and max(rows) >= self.problem.spots.n:
            raise ValueError("start spot beyond the table")
        seeds_array = np.zeros(n, INDEXED_SEED)
        counts = np.zeros(n, np.int64)
        matches = np.zeros((n, 2 * self.problem.n_hkls), np.int32)
        cdef long long[::1] count = counts
        cdef int[:, ::1] match = matches
        cdef IndexWorkspace* pool = self._pool(threads)
        cdef IndexedSeed[::1] seeds = seeds_array
        cdef int failed = 0
        try:
            with Listening():
                for i in prange(n, nogil=True, num_threads=threads, schedule="dynamic", chunksize=1):
                    if rows[i] >= 0 and not stopped():
                        failed += self._search_one(<int>rows[i], &pool[threadid()], &seeds[i], &match[i, 0],
                                                   &count[i])
        finally:
            self._release(pool, threads)
        if failed:
            raise MemoryError
        return seeds_array, *_packed(counts, matches)

    cdef int _search_one(self, int row, IndexWorkspace* w, IndexedSeed* seed, int* rows,
                         long long* count) noexcept nogil:
        cdef BestCandidate best
        if not search_seed(&self.problem, row, w, &best, rows):
            return 1
        if best.completeness >= 0.0:
            write_seed(&best, seed)
            count[0] = best.matched
        return 0

    def evaluate(self, const double[:, ::1] orientations, const double[:, ::1] positions, const double[::1] radii, *,
                 int threads=1):
        """Match given grains, without search (seed mode, docs/theory/indexing.md#given-grains).

        Parameters
        ----------
        orientations : (n, 9) float64, row-major matrices, crystal to sample
        positions : (n, 3) float64, µm, sample frame
        radii : (n,) float64, grain radius, µm

        Returns
        -------
        seeds, offsets, matched : as `search`; every grain has a record
        fractions : (n,) float64, completeness on the counted rings; 0 without theoretical spots
        """
        cdef Py_ssize_t n = orientations.shape[0], i
        if positions.shape[0] != n or radii.shape[0] != n or orientations.shape[1] != 9 or positions.shape[1] != 3:
            raise ValueError("one matrix, position and radius per grain")
        seeds_array = np.zeros(n, INDEXED_SEED)
        counts = np.zeros(n, np.int64)
        matches = np.zeros((n, 2 * self.problem.n_hkls), np.int32)
        fractions = np.zeros(n)
        cdef long long[::1] count = counts
        cdef int[:, ::1] match = matches
        cdef double[::1] fraction = fractions
        cdef IndexWorkspace* pool = self._pool(threads)
        cdef IndexedSeed[::1] seeds = seeds_array
        try:
            for i in prange(n, nogil=True, num_threads=threads, schedule="dynamic"):
                fraction[i] = self._evaluate_one(&orientations[i, 0], &positions[i, 0], radii[i], &pool[threadid()],
                                                 &seeds[i], &match[i, 0], &count[i])
        finally:
            self._release(pool, threads)
        return seeds_array, *_packed(counts, matches), fractions

    cdef double _evaluate_one(self, const double* orientation, const double* position, double grain_radius,
                              IndexWorkspace* w, IndexedSeed* seed, int* rows, long long* count) noexcept nogil:
        cdef BestCandidate best
        cdef Score result
        predict(&self.problem, orientation, &w.prediction)
        result = score(&self.problem, &w.prediction, position, grain_radius, rows)
        best.angle = result.angle
        memcpy(best.orientation, orientation, 9 * sizeof(double))
        memcpy(best.position, position, 3 * sizeof(double))
        best.expected = w.prediction.n
        best.matched = result.matched
        write_seed(&best, seed)
        count[0] = result.matched
        return <double>result.counted / w.prediction.n_counted if w.prediction.n_counted else 0.0

    cdef IndexWorkspace* _pool(self, int threads) except NULL:
        cdef IndexWorkspace* pool
        cdef int i, ready = 1
        if threads < 1:
            raise ValueError("at least one thread")
        pool = <IndexWorkspace*>calloc(threads, sizeof(IndexWorkspace))
        if pool == NULL:
            raise MemoryError
        for i in range(threads):
            ready = allocate_workspace(&pool[i], &self.problem) and ready
        if not ready:
            self._release(pool, threads)
            raise MemoryError
        return pool

    cdef void _release(self, IndexWorkspace* pool, int threads) noexcept:
        cdef int i
        for i in range(threads):
            free_workspace(&pool[i])
        free(pool)
