"""What a fit starts from; see start.pyx."""
from midas._ext.peaks.problem cimport PeakFit, PeakProblem

cdef void set_pixels(const PeakProblem* p, Py_ssize_t r, PeakFit* fit) noexcept nogil
cdef void set_start(const PeakProblem* p, Py_ssize_t r, PeakFit* fit) noexcept nogil
