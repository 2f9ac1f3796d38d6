"""Chains under construction; see chains.pyx."""


cdef class Chains:
    cdef const long long[::1] first
    cdef long long[::1] previous       # of each peak: the peak before it in its chain, or -1
    cdef long long[::1] ended          # last peak of each finished chain, in order of emission
    cdef Py_ssize_t ended_count
    cdef Py_ssize_t frame              # the frame, from 0, whose peaks end the open chains
    cdef int[::1] open                 # the open chains in their order: place of the last peak within the frame
    cdef int[::1] spare
    cdef int[::1] partner              # of each peak of the frame: the peak of the next frame that continues it, or -1
    cdef unsigned char[::1] taken      # of each peak of the next frame; all 0 between two frames

    cdef Py_ssize_t count(self) noexcept nogil
    cdef void advance(self) noexcept nogil
