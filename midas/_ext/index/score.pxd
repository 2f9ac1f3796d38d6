"""Theoretical spots of an orientation, their matches and the score of a position.

See docs/theory/indexing.md#theoretical-spots.

The order of the arithmetic is the legacy one: it decides the last bits of the records.
"""
from libc.math cimport sqrt

from midas._ext.index.problem cimport IndexProblem
from midas._ext.physics.geometry cimport stop_on_surface


cdef struct Prediction:
    int n                      # theoretical spots
    int n_counted              # those on rings that are not excluded
    double* y                  # of a grain at the origin, µm
    double* z
    double* omega              # degrees
    double* cos_omega
    double* sin_omega
    double* ux                 # unit vector from the sample to (lsd, y, z)
    double* uy
    double* uz
    int* ring


cdef struct Score:
    int matched
    int counted                # matched on rings that are not excluded
    double angle               # mean internal angle, degrees


cdef inline void unit_vector(double x, double y, double z, double* u) noexcept nogil:
    """(x, y, z) divided by its length."""
    cdef double length = sqrt(x * x + y * y + z * z)
    u[0] = x / length
    u[1] = y / length
    u[2] = z / length


cdef inline void scattering_vector(double x, double y, double z, double cos_omega, double sin_omega,
                                   double* g) noexcept nogil:
    """Scattering vector, sample frame, length 2 sin(theta), of a spot at (x, y, z) from the grain."""
    cdef double k[3]
    unit_vector(x, y, z, k)
    k[0] = k[0] - 1.0
    g[0] = k[0] * cos_omega + k[1] * sin_omega
    g[1] = k[1] * cos_omega - k[0] * sin_omega
    g[2] = k[2]


cdef inline void stop_beam(const IndexProblem* p, double cos_omega, double sin_omega, double a, double b, double c,
                           double* y, double* z) noexcept nogil:
    """A displaced spot, in place, of a grain at (a, b, c) in the sample to where a tilted detector sees it."""
    cdef double grain[3]
    grain[0] = a * cos_omega - b * sin_omega
    grain[1] = a * sin_omega + b * cos_omega
    grain[2] = c
    stop_on_surface(p.lsd, p.instrument.slope_y, p.instrument.slope_z, grain, y, z)


cdef int allocate_prediction(Prediction* s, int capacity) noexcept nogil
cdef void free_prediction(Prediction* s) noexcept nogil
cdef void predict(const IndexProblem* p, const double* orientation, Prediction* s) noexcept nogil
cdef void displaced(const IndexProblem* p, const Prediction* s, int i, const double* position,
                    double* y, double* z) noexcept nogil
cdef Score score(const IndexProblem* p, const Prediction* s, const double* position, double grain_radius,
                 int* rows) noexcept nogil
cdef int count_matches(const IndexProblem* p, const Prediction* s, const double* position,
                       double grain_radius) noexcept nogil
