"""The grain that a fit tries: twelve variables, and the matrices that follow from them."""

cdef enum:
    POSITION = 0           # first variable of each group
    ORIENTATION = 3
    CELL = 6
    VARIABLES = 12

cdef enum Parameterisation:
    ROTATION_VECTOR        # U = exp([t]×)·base
    EULER                  # Bunge angles; base is not used


cdef struct Grain:
    int parameterisation
    double base[9]
    double u[9]
    double b[9]
    double ub[9]


cdef void set_grain(Grain* grain, const double* x) noexcept nogil
cdef void derivative_matrices(const Grain* grain, const double* x, double* matrices) noexcept nogil
