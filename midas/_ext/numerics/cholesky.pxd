"""The Cholesky factorisation of the fits: refinement, peaks, strain."""

cdef bint cholesky(double* a, int n, bint by_reciprocal) noexcept nogil
cdef void cholesky_solve(const double* u, int n, double* b) noexcept nogil
