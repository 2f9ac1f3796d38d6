"""Bounded Nelder-Mead minimiser (docs/theory/peaks.md#nelder-mead); implemented in nelder_mead.pyx."""

# F(x) of n coordinates; the context is passed through.
ctypedef double (*objective_t)(const double* x, int n, void* context) noexcept nogil

cdef enum StopCode:
    STOP_FAILURE = -1      # a coordinate starts so close to its bound that a first vertex coincides with the start
    STOP_FTOL = 3          # values at best and worst vertex agree
    STOP_XTOL = 4          # the simplex has shrunk, or a move no longer changes a vertex
    STOP_EVALUATIONS = 5   # the limit is reached

cdef size_t nelder_mead_workspace(int n, int max_evaluations) noexcept nogil

cdef int minimise(objective_t objective, void* context, int n, double* x, const double* lower, const double* upper,
                  double ftol, double xtol, int max_evaluations, double* minimum, int* evaluations,
                  double* workspace) noexcept nogil
