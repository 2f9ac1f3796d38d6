"""Selected pixels of a frame that reach their threshold, and who is beside whom."""
from libc.stdint cimport int32_t, uint32_t

cdef extern from *:
    """
    /* The order in which neighbours go on the stack; it decides the order of every pixel list
       (docs/theory/peaks.md#pixel-order). */
    static const int midas_step_y[8] = {1, 0, -1, 0, 1, -1, 1, -1};
    static const int midas_step_z[8] = {0, 1, 0, -1, 1, 1, -1, -1};
    """
    const int midas_step_y[8]
    const int midas_step_z[8]


cdef struct Hit:
    int32_t position       # y * size + z
    int32_t pixel          # number in the selection
    double value           # corrected counts
    double raw             # what the detector wrote; 0 where that means no measurement


cdef struct HitMap:
    # stamps[position] - base is the number of a hit of this frame; older stamps are out of range
    const uint32_t* stamps
    uint32_t base
    Py_ssize_t found
    int size


cdef inline int32_t neighbour_of(const HitMap* map, int32_t position, int step) noexcept nogil:
    """Number of the hit at a neighbouring pixel, -1 when that is none or outside the image."""
    cdef int y = position // map.size + midas_step_y[step]
    cdef int z = position % map.size + midas_step_z[step]
    cdef uint32_t number
    if not 0 <= y < map.size or not 0 <= z < map.size:
        return -1
    number = map.stamps[y * map.size + z] - map.base
    return <int32_t>number if number < <uint32_t>map.found else -1
