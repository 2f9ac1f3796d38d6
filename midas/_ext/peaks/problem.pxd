"""The regions of a batch of frames, and the work space of the fit of one of them.

See docs/theory/peaks.md#pixels-of-a-region.
"""
from libc.math cimport sqrt
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t

from midas._ext.peaks.model cimport PeakRegion
from midas._ext.physics.geometry cimport eta_of


cdef struct PeakProblem:
    const int16_t* y
    const int16_t* z
    const double* counts
    const uint8_t* full    # pixels at the end of the scale; NULL = none is
    const uint8_t* centred    # regions that become their centroids; NULL = none does
    const int64_t* offsets
    const double* thresholds
    const int32_t* maxima
    const int64_t* maxima_offsets
    const double* panels
    Py_ssize_t panel_count
    double y_bc
    double z_bc
    bint centroids
    bint by_least_squares
    bint poisson           # weights of least squares: counts are those of particles


cdef struct PeakFit:
    # Work of one fit besides the minimiser's
    PeakRegion region
    double* x              # parameters and their bounds
    double* lower
    double* upper
    double* sums           # three per peak
    double* workspace
    double reference       # eta that all others are within 180 degrees of
    double half_r          # half extent of the region with a margin: px, degrees
    double half_eta


cdef inline double eta_near(double eta, double reference) noexcept nogil:
    """The azimuth within 180 degrees of the reference, so that no region has a cut at ±180."""
    if eta - reference > 180.0:
        return eta - 360.0
    if eta - reference < -180.0:
        return eta + 360.0
    return eta


cdef inline double azimuth(const PeakProblem* p, double y, double z) noexcept nogil:
    """Eta of a pixel; 0 at the beam centre, which has none."""
    return 0.0 if y == p.y_bc and z == p.z_bc else eta_of(p.y_bc - y, z - p.z_bc)


cdef inline double centre_distance(const PeakProblem* p, double y, double z) noexcept nogil:
    return sqrt((y - p.y_bc) * (y - p.y_bc) + (z - p.z_bc) * (z - p.z_bc))


cdef inline bint is_centroid(const PeakProblem* p, Py_ssize_t r) noexcept nogil:
    """Whether the region becomes one peak at its centroid."""
    return p.centroids or (p.centred != NULL and p.centred[r])


cdef inline bint has_full(const PeakProblem* p, Py_ssize_t r) noexcept nogil:
    """Whether a pixel of the region is at the end of the scale."""
    cdef Py_ssize_t i
    if p.full != NULL:
        for i in range(p.offsets[r], p.offsets[r + 1]):
            if p.full[i]:
                return True
    return False
