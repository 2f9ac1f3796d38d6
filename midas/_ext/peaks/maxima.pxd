"""Local maxima of a region; see maxima.pyx."""
from libc.stdint cimport int32_t, uint8_t

from midas._ext.peaks.hits cimport Hit, HitMap


cdef struct Maximum:
    double value
    int32_t item           # place in the region's list


cdef struct Component:
    # A connected region: its hits in list order, and what is known of every hit
    const Hit* hits
    const int32_t* listed
    Py_ssize_t count
    const uint8_t* full    # pixels at the end of the scale; NULL = none
    uint8_t* visited       # work space: 2 where a hit has been looked at
    int32_t* stack         # work space of as many items as hits
    int32_t* members


cdef int falling(const void* left, const void* right) noexcept nogil
cdef Py_ssize_t every_top(const HitMap* map, const Component* region, Maximum* out, Py_ssize_t* tops) noexcept nogil
cdef Py_ssize_t plateau_tops(const HitMap* map, const Component* region, Maximum* out) noexcept nogil
cdef Py_ssize_t strongest(Maximum* maxima, Py_ssize_t count, Py_ssize_t most) noexcept nogil
