"""Peaks whose tops are cut off; see clipped.pyx."""
from midas._ext.peaks.model cimport PeakRegion
from midas._ext.peaks.problem cimport PeakFit, PeakProblem
from midas._ext.peaks.result cimport FittedPeak

cdef void open_clipped(const PeakProblem* p, Py_ssize_t r, PeakFit* fit) noexcept nogil
cdef bint is_clipped(const PeakProblem* p, Py_ssize_t r, const PeakRegion* region, int j) noexcept nogil
cdef void count_measured(const PeakFit* fit, FittedPeak* rows) noexcept nogil
cdef bint is_determined(const PeakProblem* p, Py_ssize_t r, const PeakFit* fit) noexcept nogil
