"""Printing of numbers for kernels that format rows of their own."""

cdef enum:
    LONGEST = 400          # "%.12f" of the largest double has 309 digits before the point

cdef int write_fixed(char* out, double x, int decimals) noexcept nogil
