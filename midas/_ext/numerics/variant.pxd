"""Whose elementary functions the kernels call; see variant.pyx."""


cdef bint c_library
