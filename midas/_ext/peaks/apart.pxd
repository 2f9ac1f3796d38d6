"""Regions whose peaks are fitted one by one (docs/theory/peaks.md#too-many-peaks-for-one-fit)."""
from midas._ext.peaks.problem cimport PeakProblem
from midas._ext.peaks.result cimport FittedPeak

# Rows of one region; False when memory is short.
ctypedef bint (*solver_t)(const PeakProblem* p, Py_ssize_t r, FittedPeak* rows) noexcept nogil

cdef bint solve_apart(const PeakProblem* p, Py_ssize_t r, solver_t solve, FittedPeak* rows) noexcept nogil
