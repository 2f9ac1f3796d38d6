"""Small dense least squares: normal equations and damped steps inside bounds."""

cdef enum:
    MAX_VARIABLES = 12


cdef inline double dot(const double* a, const double* b, Py_ssize_t n) noexcept nogil:
    """Sum of a·b in four interleaved lanes: one fixed order of summation that vectorises; n a multiple of 4."""
    cdef double s0 = 0.0, s1 = 0.0, s2 = 0.0, s3 = 0.0
    cdef Py_ssize_t i
    for i in range(0, n, 4):
        s0 += a[i] * b[i]
        s1 += a[i + 1] * b[i + 1]
        s2 += a[i + 2] * b[i + 2]
        s3 += a[i + 3] * b[i + 3]
    return (s0 + s1) + (s2 + s3)


cdef void normal_equations(const double* jacobian, const double* residuals, Py_ssize_t rows, int n, double* normal,
                           double* gradient) noexcept nogil
cdef bint damped_step(const double* normal, const double* gradient, const double* x, const double* lower,
                      const double* upper, double damping, int n, double* step) noexcept nogil
cdef double predicted_decrease(const double* normal, const double* gradient, const double* step, int n) noexcept nogil
