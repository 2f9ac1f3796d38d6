"""Whether the user wants the work to end (docs/theory/conventions.md#interrupts); implemented in stop.pyx."""

cdef class Listening:
    pass

cdef bint stopped() noexcept nogil
