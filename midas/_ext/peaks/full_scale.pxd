"""Pixels at the end of the detector's scale; see full_scale.pyx."""
from libc.stdint cimport int32_t, uint8_t

from midas._ext.peaks.hits cimport Hit


cdef struct FullScale:
    double limit           # corrected counts above which a pixel is full; infinite: the raw values tell
    double largest         # value of the pixel type; infinite for floats
    bint is_mark           # the largest value means "more than can be counted" or "no measurement"


cdef Py_ssize_t mark_full(const FullScale* scale, Hit* hits, const int32_t* listed, Py_ssize_t count,
                          uint8_t* full) noexcept nogil
