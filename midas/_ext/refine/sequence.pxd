"""Which variables are fitted in which order: all at once, the legacy sequence, the cell alone."""
from midas._ext.refine.grain cimport Grain
from midas._ext.refine.seed cimport RefineProblem, RefineWorkspace

cdef int fit_joint(Py_ssize_t n, const RefineProblem* problem, RefineWorkspace* work, Grain* grain,
                   double* x) noexcept nogil
cdef int fit_staged(Py_ssize_t n, const RefineProblem* problem, RefineWorkspace* work, Grain* grain,
                    double* x) noexcept nogil
cdef int fit_cell(Py_ssize_t n, const RefineProblem* problem, RefineWorkspace* work, Grain* grain,
                  double* x) noexcept nogil
