"""Small dense least squares: normal equations and damped steps inside bounds."""

cdef enum:
    MAX_VARIABLES = 12

cdef void normal_equations(const double* jacobian, const double* residuals, Py_ssize_t rows, int n, double* normal,
                           double* gradient) noexcept nogil
cdef bint damped_step(const double* normal, const double* gradient, const double* x, const double* lower,
                      const double* upper, double damping, int n, double* step) noexcept nogil
cdef double predicted_decrease(const double* normal, const double* gradient, const double* step, int n) noexcept nogil
