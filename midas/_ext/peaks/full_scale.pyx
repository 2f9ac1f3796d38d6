"""Pixels at the end of the detector's scale (docs/theory/peaks.md#full-pixels)."""
from libc.math cimport INFINITY, isfinite

cdef enum:
    # As many pixels of a region do not have the same largest value by chance, from so many counts on.
    FLAT_TOP = 5
    LEAST_TOP = 1000

cdef double[4] COUNTERS = [4095.0, 16383.0, 65535.0, 1048575.0]
#: largest values of counters of 12, 14, 16 and 20 bits
FULL_SCALES = tuple(COUNTERS)


cdef bint _is_end(double top, Py_ssize_t count, const FullScale* scale) noexcept nogil:
    """Whether the largest raw value of a region, which `count` of its pixels have, is as far as the detector counts."""
    cdef int i
    if top >= scale.largest or (count >= FLAT_TOP and top >= LEAST_TOP):
        return True
    for i in range(4):
        if top == COUNTERS[i]:
            return True
    return False


cdef Py_ssize_t _cap(double limit, Hit* hits, const int32_t* listed, Py_ssize_t count, uint8_t* full) noexcept nogil:
    cdef Py_ssize_t i, found = 0
    for i in range(count):
        if hits[listed[i]].value > limit:
            hits[listed[i]].value = limit
            full[listed[i]] = 1
            found += 1
    return found


cdef Py_ssize_t mark_full(const FullScale* scale, Hit* hits, const int32_t* listed, Py_ssize_t count,
                          uint8_t* full) noexcept nogil:
    """Find the full pixels of a region.

    Parameters
    ----------
    hits, listed, count : the region; a full pixel above the limit gets the limit as its value, one whose raw value is a
        mark the largest value of the others
    full : of every hit whether it is full; those of the region are set

    Returns
    -------
    How many are full; -1 when all are marks, so that nothing was measured
    """
    cdef double top = -INFINITY, highest = 0.0
    cdef Py_ssize_t i, same = 0
    cdef const Hit* hit
    for i in range(count):
        hit = hits + listed[i]
        full[listed[i]] = 0
        if hit.raw > top:
            top = hit.raw
            same = 0
        same += hit.raw == top
    if isfinite(scale.limit):
        return _cap(scale.limit, hits, listed, count, full)
    if not _is_end(top, same, scale):
        return 0
    for i in range(count):
        hit = hits + listed[i]
        if hit.raw == top:
            full[listed[i]] = 1
        elif hit.value > highest:
            highest = hit.value
    if scale.is_mark and top >= scale.largest:
        if same == count:
            return -1
        for i in range(count):
            if full[listed[i]]:
                hits[listed[i]].value = highest
    return same
