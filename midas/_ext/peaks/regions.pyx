"""Connected regions of pixels above threshold in raw detector frames (docs/theory/peaks.md#connected-regions).

Only the pixels that belong to rings are looked at, in the frame's own number type and orientation. Those that pass a
cautious limit get the exact test in float64, and everything after that works on the few pixels that pass it.
"""
import numpy as np

from libc.stdint cimport INT16_MAX, int16_t, int32_t, int64_t, uint8_t, uint32_t
from libc.string cimport memset

from midas._ext.numerics.pixel cimport pixel_t
from midas._ext.peaks.full_scale cimport FullScale, mark_full
from midas._ext.peaks.hits cimport Hit, HitMap, neighbour_of
from midas._ext.peaks.maxima cimport Component, Maximum, every_top, plateau_tops, strongest

from midas._ext.peaks.frame_regions import Regions

cdef extern from *:
    """
    #define midas_prefetch(address) __builtin_prefetch(address)
    """
    void midas_prefetch(const void* address) noexcept nogil

cdef enum:
    BLOCK = 64             # pixels that are compared at once
    AHEAD = 12             # runs whose first pixels are on their way from memory
    # A region is no set of peaks with more maxima than this, or fewer pixels for each.
    MOST_MAXIMA = 100
    LEAST_PIXELS = 5

#: the same for Python
MOST_MAXIMA_OF_PEAKS = MOST_MAXIMA
LEAST_PIXELS_OF_PEAK = LEAST_PIXELS


cdef class FrameScanner:
    """Finds the regions of one frame after another; one scanner per thread.

    Parameters
    ----------
    selection : the selected pixels, with the attributes size (of the padded square image, at most 32767), starts and
        lengths ((s,) int64, first raw pixel and length of each run of them), and in the order of the runs positions
        ((k,) int32, y * size + z), limits ((k,) in the type of the frames; a pixel below certainly fails), thresholds,
        dark, flood ((k,) float64) and masked ((k,) bool, a region with such a pixel is dropped)
    blanks : (b,) float64, raw values that count as 0
    current : factor on the corrected counts
    saturation : a larger value is saturated; infinite: the raw values tell (docs/theory/peaks.md#full-pixels)
    legacy : whether a saturated region is dropped, and each pixel of a plateau is a maximum
    min_pixels, max_pixels : regions have more and fewer pixels than this
    max_peaks : maxima kept per region, at least 1

    Raises
    ------
    ValueError : arrays that do not fit each other.
    """

    cdef readonly int size
    cdef int64_t[::1] starts, lengths
    cdef int32_t[::1] positions
    cdef object limits
    cdef double[::1] thresholds, dark, flood
    cdef uint8_t[::1] masked
    cdef double[::1] blanks
    cdef double current
    cdef FullScale scale
    cdef bint legacy
    cdef int64_t min_pixels, max_pixels, max_peaks, last_pixel
    cdef int64_t unresolved, cut
    # Work space: stamp[position] - base is the number of a hit of this frame; older stamps are out of range.
    cdef uint32_t[::1] stamp
    #: stamp of the first hit of the next frame
    cdef public uint32_t base
    cdef object memory
    cdef Hit* hits
    cdef Hit* sorted_hits
    cdef Maximum* candidates
    cdef int32_t* bins
    cdef int32_t* stack
    cdef int32_t* listed       # hits in list order, region after region
    cdef int32_t* ends         # end of each component in `listed`
    cdef int32_t* kept         # components that are kept
    cdef int32_t* peaks        # maxima of the kept ones, as places in `listed`
    cdef int32_t* peak_ends
    cdef int32_t* members      # hits of a plateau
    cdef uint8_t* labelled
    cdef uint8_t* full         # hits at the end of the scale

    def __init__(self, selection, blanks, *, double current=1.0, double saturation=np.inf, int64_t min_pixels=1,
                 int64_t max_pixels=10000, int64_t max_peaks=400, bint legacy=False):
        cdef Py_ssize_t k = len(selection.positions)
        self.size = selection.size
        self.starts, self.lengths = np.array(selection.starts, np.int64), np.array(selection.lengths, np.int64)
        self.positions = np.array(selection.positions, np.int32)
        self.limits = np.ascontiguousarray(selection.limits)
        self.thresholds = np.array(selection.thresholds, np.float64)
        self.dark, self.flood = np.array(selection.dark, np.float64), np.array(selection.flood, np.float64)
        self.masked = np.array(selection.masked, np.uint8)
        self.blanks = np.array(blanks, np.float64)
        in_range = k == 0 or 0 <= np.min(self.positions) <= np.max(self.positions) < self.size * self.size
        if (not 0 < self.size <= INT16_MAX or not in_range or max_peaks < 1 or np.min(self.starts, initial=0) < 0
                or np.min(self.lengths, initial=1) < 1 or np.sum(self.lengths) != k
                or not len(self.limits) == len(self.thresholds) == len(self.dark) == len(self.flood) == k
                or not len(self.masked) == k or not len(self.starts) == len(self.lengths)):
            raise ValueError("the arrays of the selection do not fit each other")
        self.last_pixel = int(np.add(self.starts, self.lengths).max(initial=0)) - 1
        self.current = current
        self.scale.limit = saturation
        type_ = self.limits.dtype
        self.scale.largest = np.iinfo(type_.name).max if type_.kind in "iu" else np.inf
        # Counters of 32 bits never get there: the value stands for one that was not measured.
        self.scale.is_mark = type_.itemsize >= 4
        self.legacy = legacy
        self.min_pixels = min_pixels
        self.max_pixels = max_pixels
        self.max_peaks = max_peaks
        # All of it is touched now: memory does not grow while spots come to lie everywhere.
        self.stamp = np.full(self.size * self.size, 0, np.uint32)
        self.base = 1
        self._reserve(k)

    cdef _reserve(self, Py_ssize_t k):
        """Room for the case that every selected pixel is a hit; the system provides what is touched."""
        cdef uint8_t[::1] raw
        parts = [2 * k * sizeof(Hit), k * sizeof(Maximum), (self.size + 1 + 8 * k + 1 + 6 * k) * sizeof(int32_t), 2 * k]
        self.memory = np.empty(sum(parts) + 64, np.uint8)
        raw = self.memory
        self.hits = <Hit*>&raw[0]
        self.sorted_hits = self.hits + k
        self.candidates = <Maximum*>(self.sorted_hits + k)
        self.bins = <int32_t*>(self.candidates + k)
        self.stack = self.bins + self.size + 1
        self.listed = self.stack + 8 * k + 1
        self.ends = self.listed + k
        self.kept = self.ends + k
        self.peaks = self.kept + k
        self.peak_ends = self.peaks + k
        self.members = self.peak_ends + k
        self.labelled = <uint8_t*>(self.members + k)
        self.full = self.labelled + k

    def scan(self, const pixel_t[::1] raw):
        """The regions of a frame.

        Parameters
        ----------
        raw : (rows * columns,) the frame as the detector wrote it, in the type of `limits`

        Returns
        -------
        `Regions`

        Raises
        ------
        ValueError : the frame is too small or has another type than the limits.
        """
        cdef const pixel_t[::1] limits = self.limits
        cdef Py_ssize_t found, components, in_window = 0, kept
        if raw.shape[0] <= self.last_pixel:
            raise ValueError(f"the selection needs {self.last_pixel + 1} pixels, the frame has {raw.shape[0]}")
        if limits.shape[0] == 0:
            self.unresolved = self.cut = 0
            return self._collect(0, 0, 0)
        with nogil:
            found = self._find_hits(&raw[0], &limits[0])
            self._sort(found)
            components = self._label(found)
            kept = self._select(found, components, &in_window)
            self.base += <uint32_t>found
        return self._collect(components, in_window, kept)

    cdef Py_ssize_t _find_hits(self, const pixel_t* raw, const pixel_t* limits) noexcept nogil:
        """Selected pixels that reach their threshold, in raw order."""
        cdef Py_ssize_t s, i, length, first, block, selected = 0, found = 0
        cdef Py_ssize_t runs = self.starts.shape[0]
        cdef bint any_above
        cdef double measured, value
        for s in range(runs):
            first = self.starts[s]
            length = self.lengths[s]
            # Rings are narrow, so that the runs lie far apart and the memory would be waited for at each.
            if s + AHEAD < runs:
                midas_prefetch(raw + self.starts[s + AHEAD])
            while length > 0:
                block = length if length < BLOCK else BLOCK
                any_above = False
                # "Not below" and not "at least", so that NaN pixels go on to the exact test.
                for i in range(block):
                    any_above |= not raw[first + i] < limits[selected + i]
                if any_above:
                    for i in range(block):
                        if not raw[first + i] < limits[selected + i]:
                            measured = self._measured(<double>raw[first + i])
                            value = self._corrected(measured, selected + i)
                            if value != 0.0:
                                self.hits[found].position = self.positions[selected + i]
                                self.hits[found].pixel = <int32_t>(selected + i)
                                self.hits[found].value = value
                                self.hits[found].raw = measured
                                found += 1
                first += block
                selected += block
                length -= block
        return found

    cdef inline double _measured(self, double value) noexcept nogil:
        """The raw value; 0 for one that is no number or means a bad pixel."""
        cdef Py_ssize_t i
        if value != value:
            value = 0.0
        for i in range(self.blanks.shape[0]):
            if value == self.blanks[i]:
                value = 0.0
        return value

    cdef inline double _corrected(self, double value, Py_ssize_t pixel) noexcept nogil:
        """Counts after dark, flood and current; 0 below the threshold."""
        value = ((value - self.dark[pixel]) / self.flood[pixel]) * self.current
        return 0.0 if value < self.thresholds[pixel] else value

    cdef void _sort(self, Py_ssize_t found) noexcept nogil:
        """Hits by position: a stable counting sort by z, then by y."""
        self._sort_by(self.hits, self.sorted_hits, found, False)
        self._sort_by(self.sorted_hits, self.hits, found, True)

    cdef void _sort_by(self, const Hit* source, Hit* target, Py_ssize_t found, bint by_y) noexcept nogil:
        cdef Py_ssize_t i
        cdef int32_t key
        memset(self.bins, 0, (self.size + 1) * sizeof(int32_t))
        for i in range(found):
            key = source[i].position // self.size if by_y else source[i].position % self.size
            self.bins[key + 1] += 1
        for i in range(self.size):
            self.bins[i + 1] += self.bins[i]
        for i in range(found):
            key = source[i].position // self.size if by_y else source[i].position % self.size
            target[self.bins[key]] = source[i]
            self.bins[key] += 1

    cdef Py_ssize_t _label(self, Py_ssize_t found) noexcept nogil:
        """Connected components in scan order, their pixels in depth-first order; how many."""
        cdef Py_ssize_t i, components = 0, listed = 0
        cdef HitMap map
        if self.base > <uint32_t>0xffffffff - <uint32_t>found:
            memset(&self.stamp[0], 0, self.stamp.shape[0] * sizeof(uint32_t))
            self.base = 1
        for i in range(found):
            self.stamp[self.hits[i].position] = self.base + <uint32_t>i
        memset(self.labelled, 0, <size_t>found)
        map = self._map(found)
        for i in range(found):
            if not self.labelled[i]:
                listed = self._fill(<int32_t>i, &map, listed)
                self.ends[components] = <int32_t>listed
                components += 1
        return components

    cdef inline HitMap _map(self, Py_ssize_t found) noexcept nogil:
        cdef HitMap map
        map.stamps, map.base, map.found, map.size = &self.stamp[0], self.base, found, self.size
        return map

    cdef Py_ssize_t _fill(self, int32_t seed, const HitMap* map, Py_ssize_t listed) noexcept nogil:
        """List the component of a hit; the new length of the list."""
        cdef Py_ssize_t height = 1
        cdef int32_t hit, neighbour
        cdef int step
        self.stack[0] = seed
        while height > 0:
            height -= 1
            hit = self.stack[height]
            if self.labelled[hit]:
                continue
            self.labelled[hit] = True
            self.listed[listed] = hit
            listed += 1
            for step in range(8):
                neighbour = neighbour_of(map, self.hits[hit].position, step)
                if neighbour >= 0 and not self.labelled[neighbour]:
                    self.stack[height] = neighbour
                    height += 1
        return listed

    cdef Py_ssize_t _select(self, Py_ssize_t found, Py_ssize_t components, Py_ssize_t* in_window) noexcept nogil:
        """Drop components by size and mask, find the maxima of the others; how many are kept."""
        cdef Py_ssize_t c, begin = 0, end, kept = 0, peaks = 0, with_these
        cdef HitMap map = self._map(found)
        cdef Py_ssize_t full = 0
        self.unresolved = self.cut = 0
        for c in range(components):
            end = self.ends[c]
            if end - begin < LEAST_PIXELS or end - begin >= self.max_pixels:
                self.unresolved += end - begin
            if self.min_pixels < end - begin < self.max_pixels:
                in_window[0] += 1
                if not self.legacy:
                    full = mark_full(&self.scale, self.hits, self.listed + begin, end - begin, self.full)
                with_these = self._find_maxima(begin, end, &map, full > 0, peaks)
                if full >= 0 and self._usable(begin, end):
                    peaks = with_these
                    self.kept[kept] = <int32_t>c
                    self.peak_ends[kept] = <int32_t>peaks
                    kept += 1
            begin = end
        return kept

    cdef bint _usable(self, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
        cdef Py_ssize_t i
        cdef const Hit* hit
        for i in range(begin, end):
            hit = self.hits + self.listed[i]
            if self.masked[hit.pixel] or (self.legacy and hit.value > self.scale.limit):
                return False
        return True

    cdef Py_ssize_t _find_maxima(self, Py_ssize_t begin, Py_ssize_t end, const HitMap* map, bint any_full,
                                 Py_ssize_t peaks) noexcept nogil:
        """Append the maxima of a component; the new number of maxima."""
        cdef Py_ssize_t i, count, tops = 0
        cdef Component region
        region.hits, region.listed, region.count = self.hits, self.listed + begin, end - begin
        region.full = self.full if any_full else NULL
        region.visited, region.stack, region.members = self.labelled, self.stack, self.members
        if self.legacy:
            count = every_top(map, &region, self.candidates, &tops)
        else:
            tops = count = plateau_tops(map, &region, self.candidates)
        if end - begin >= LEAST_PIXELS and (tops > MOST_MAXIMA or end - begin < LEAST_PIXELS * tops):
            self.unresolved += end - begin
        self.cut += tops > max(self.max_peaks, <int64_t>MOST_MAXIMA)
        count = strongest(self.candidates, count, self.max_peaks)
        for i in range(count):
            self.peaks[peaks + i] = self.candidates[i].item
        return peaks + count

    cdef _collect(self, Py_ssize_t components, Py_ssize_t in_window, Py_ssize_t kept):
        """Copies of the kept regions that outlive the next frame."""
        cdef Py_ssize_t r, i, pixels = 0, begin, end
        cdef Py_ssize_t peaks = self.peak_ends[kept - 1] if kept else 0
        cdef int64_t[::1] offsets = np.zeros(kept + 1, np.int64), maxima_offsets = np.zeros(kept + 1, np.int64)
        cdef double[::1] thresholds = np.empty(kept)
        cdef int32_t[::1] maxima = np.empty(peaks, np.int32)
        cdef int16_t[::1] y, z
        cdef double[::1] counts
        cdef uint8_t[::1] full
        cdef const Hit* hit
        for r in range(kept):
            begin = self.ends[self.kept[r] - 1] if self.kept[r] else 0
            pixels += self.ends[self.kept[r]] - begin
            offsets[r + 1] = pixels
            maxima_offsets[r + 1] = self.peak_ends[r]
            thresholds[r] = self.thresholds[self.hits[self.listed[begin]].pixel]
        for i in range(peaks):
            maxima[i] = self.peaks[i]
        y = np.empty(pixels, np.int16)
        z = np.empty(pixels, np.int16)
        counts = np.empty(pixels)
        full = np.zeros(pixels, np.uint8)
        pixels = 0
        for r in range(kept):
            begin = self.ends[self.kept[r] - 1] if self.kept[r] else 0
            end = self.ends[self.kept[r]]
            for i in range(begin, end):
                hit = self.hits + self.listed[i]
                y[pixels] = <int16_t>(hit.position // self.size)
                z[pixels] = <int16_t>(hit.position % self.size)
                counts[pixels] = hit.value
                if not self.legacy:
                    full[pixels] = self.full[self.listed[i]]
                pixels += 1
        return Regions(components, in_window, np.asarray(y), np.asarray(z), np.asarray(counts), np.asarray(offsets),
                       np.asarray(thresholds), np.asarray(maxima), np.asarray(maxima_offsets), self.unresolved,
                       self.cut, np.asarray(full))
