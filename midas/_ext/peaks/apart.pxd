"""Regions whose peaks are fitted one by one (docs/theory/peaks.md#too-many-peaks-for-one-fit)."""
from libc.stdint cimport int32_t, int64_t

from midas._ext.peaks.problem cimport PeakProblem
from midas._ext.peaks.result cimport FittedPeak

# Rows of one region; False when memory is short.
ctypedef bint (*solver_t)(const PeakProblem* p, Py_ssize_t r, FittedPeak* rows) noexcept nogil

cdef enum:
    LARGEST_WORK = 40000   # of a joint fit: about a second


cdef inline double joint_work(bint by_least_squares, Py_ssize_t pixels, Py_ssize_t peaks) noexcept nogil:
    """What a joint fit costs: evaluations of a peak at a pixel, and what the minimiser does besides, on one scale."""
    cdef double k = peaks
    return k * k * pixels / 20.0 if by_least_squares else k * (pixels + 16.0 * k)


cdef void assign_nearest(const PeakProblem* p, Py_ssize_t r, int64_t* order, int32_t* nearest) noexcept nogil
cdef bint solve_apart(const PeakProblem* p, Py_ssize_t r, solver_t solve, FittedPeak* rows) noexcept nogil
