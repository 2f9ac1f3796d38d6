"""Maxima that are more than noise on the flank of a higher one (docs/theory/peaks.md#significant-maxima)."""
import numpy as np

from libc.math cimport sqrt
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t
from libc.stdlib cimport free, malloc, qsort

from midas._ext.peaks.maxima cimport Maximum, falling

cdef struct Place:
    int64_t key            # y and z in one number
    int32_t pixel

cdef struct Flood:
    # One region: its pixels as they are flooded from the top down
    Place* places          # in the order of their keys
    Maximum* levels        # every pixel, in falling order
    int64_t* key           # of each pixel
    int32_t* parent        # -1: not flooded yet
    double* top            # of the pixel that stands for an island: counts of its highest one
    int32_t* peak          # the maximum that stands for it, -1 = none


cdef int _by_key(const void* left, const void* right) noexcept nogil:
    cdef int64_t a = (<const Place*>left).key, b = (<const Place*>right).key
    return -1 if a < b else a > b


cdef inline int32_t _find(const Place* places, Py_ssize_t n, int64_t key) noexcept nogil:
    """The pixel at a place, -1 if the region has none there."""
    cdef Py_ssize_t low = 0, high = n, middle
    while low < high:
        middle = (low + high) // 2
        if places[middle].key < key:
            low = middle + 1
        else:
            high = middle
    return places[low].pixel if low < n and places[low].key == key else -1


cdef inline int32_t _island(int32_t* parent, int32_t pixel) noexcept nogil:
    """The pixel that stands for the island; the way to it becomes shorter."""
    while parent[pixel] != pixel:
        parent[pixel] = parent[parent[pixel]]
        pixel = parent[pixel]
    return pixel


cdef void _join(Flood* f, int32_t one, int32_t two, double saddle, double sigmas, uint8_t* keep) noexcept nogil:
    """Make two islands one at the height of the saddle between them."""
    cdef int32_t high = one, low = two
    cdef double rise
    if f.top[two] > f.top[one] or (f.top[two] == f.top[one] and f.peak[one] < 0):
        high, low = two, one
    rise = f.top[low] - saddle
    if f.peak[low] >= 0 and rise <= sigmas * sqrt(f.top[low] + saddle):
        if f.peak[high] < 0:
            f.peak[high] = f.peak[low]
        elif f.peak[low] != f.peak[high]:
            keep[f.peak[low]] = 0
    f.parent[low] = high


cdef void _flood(Flood* f, Py_ssize_t n, const int32_t* of_pixel, double sigmas, uint8_t* keep) noexcept nogil:
    """Let pixels come up from the highest down; where islands meet, the lower one is judged."""
    cdef Py_ssize_t i
    cdef int32_t pixel, beside
    cdef int64_t dy, dz
    for i in range(n):
        pixel = f.levels[i].item
        f.parent[pixel] = pixel
        f.top[pixel] = f.levels[i].value
        f.peak[pixel] = of_pixel[pixel]
        for dy in range(-1, 2):
            for dz in range(-1, 2):
                beside = _find(f.places, n, f.key[pixel] + (dy << 16) + dz) if dy or dz else -1
                if beside < 0 or f.parent[beside] < 0:
                    continue
                beside = _island(f.parent, beside)
                if beside != _island(f.parent, pixel):
                    _join(f, beside, _island(f.parent, pixel), f.levels[i].value, sigmas, keep)


cdef bint _judge(const int16_t* y, const int16_t* z, const double* counts, Py_ssize_t n, const int32_t* maxima,
                 Py_ssize_t peaks, double sigmas, uint8_t* keep) noexcept nogil:
    """Mark the maxima of a region that are none; False when memory is short."""
    cdef Flood f
    cdef Py_ssize_t i
    cdef char* memory = <char*>malloc(n * (sizeof(double) + sizeof(Maximum) + sizeof(Place) + sizeof(int64_t)
                                           + 3 * sizeof(int32_t)))
    cdef int32_t* of_pixel
    if memory == NULL:
        return False
    f.top = <double*>memory
    f.levels = <Maximum*>(f.top + n)
    f.places = <Place*>(f.levels + n)
    f.key = <int64_t*>(f.places + n)
    f.parent = <int32_t*>(f.key + n)
    f.peak = f.parent + n
    of_pixel = f.peak + n
    for i in range(n):
        f.levels[i].value = counts[i]
        f.levels[i].item = <int32_t>i
        f.places[i].key = f.key[i] = ((<int64_t>y[i] + 1) << 16) + z[i] + 1
        f.places[i].pixel = <int32_t>i
        f.parent[i] = of_pixel[i] = -1
    for i in range(peaks):
        of_pixel[maxima[i]] = <int32_t>i
    qsort(f.levels, n, sizeof(Maximum), falling)
    qsort(f.places, n, sizeof(Place), _by_key)
    _flood(&f, n, of_pixel, sigmas, keep)
    free(memory)
    return True


def significant_maxima(const int16_t[::1] y, const int16_t[::1] z, const double[::1] counts,
                       const int64_t[::1] offsets, const int32_t[::1] maxima, const int64_t[::1] maxima_offsets,
                       double sigmas):
    """Which maxima of regions rise above the way to a higher one by more than noise.

    Parameters
    ----------
    y, z, counts : (p,) of the pixels of all regions
    offsets, maxima, maxima_offsets : as in `midas._ext.peaks.frame_regions.Regions`
    sigmas : of the difference of two counts, which are taken for numbers of photons

    Returns
    -------
    (m,) uint8, 1 for those that do; the highest of a region always does

    Raises
    ------
    MemoryError : no room for the work space of a region.
    """
    cdef Py_ssize_t r, first, end
    cdef bint done = True
    cdef uint8_t[::1] keep = np.ones(maxima.shape[0], np.uint8)
    with nogil:
        for r in range(offsets.shape[0] - 1):
            first, end = maxima_offsets[r], maxima_offsets[r + 1]
            if end - first < 2:
                continue
            done = _judge(&y[offsets[r]], &z[offsets[r]], &counts[offsets[r]], offsets[r + 1] - offsets[r],
                          &maxima[first], end - first, sigmas, &keep[first])
            if not done:
                break
    if not done:
        raise MemoryError("no room for the maxima of a region")
    return np.asarray(keep)
