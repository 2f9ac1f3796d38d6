"""Random counts of a detector from the table of their distribution (docs/theory/simulation.md#noise)."""
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.stdint cimport uint16_t

cdef extern from "numpy/random/bitgen.h":
    ctypedef struct bitgen_t:
        void* state
        double (*next_double)(void* state) nogil


def draw_counts(bit_generator, const double[::1] cumulative, int first, uint16_t[::1] out):
    """Independent draws from one discrete distribution by inversion of its table.

    Parameters
    ----------
    bit_generator : numpy BitGenerator; the caller must be its only user
    cumulative : (m,) float64, P(X <= first + i); the last one must be 1
    first : smallest value of the table; first + m must not exceed 65536
    out : (n,) uint16
    """
    cdef bitgen_t* source = <bitgen_t*>PyCapsule_GetPointer(bit_generator.capsule, "BitGenerator")
    cdef Py_ssize_t i, m = cumulative.shape[0]
    cdef int[1024] guide
    cdef int k = 0
    cdef double u
    if m == 0 or cumulative[m - 1] < 1.0:
        raise ValueError("the cumulative probabilities must end with 1")
    if first < 0 or first + m > 65536:
        raise ValueError("the values must lie in 0 ... 65535")
    for i in range(1024):
        while cumulative[k] <= i / 1024.0:
            k += 1
        guide[i] = k
    with nogil:
        for i in range(out.shape[0]):
            u = source.next_double(source.state)
            k = guide[<int>(u * 1024.0)]
            while cumulative[k] <= u:
                k += 1
            out[i] = <uint16_t>(first + k)
