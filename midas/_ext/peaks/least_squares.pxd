"""Bounded Levenberg-Marquardt fit of a region; see least_squares.pyx."""
from libc.stddef cimport size_t

from midas._ext.peaks.model cimport PeakRegion

cdef enum LeastSquaresCode:
    CONVERGED = 4
    ITERATION_LIMIT = 5

cdef size_t least_squares_workspace(int n) noexcept nogil

cdef int least_squares(const PeakRegion* region, double* x, const double* lower, const double* upper, double* minimum,
                       double* workspace) noexcept nogil
