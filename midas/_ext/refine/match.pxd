"""Which predicted spot an observed one belongs to."""
from midas._ext.physics.region cimport Region
from midas._ext.physics.wedge cimport Instrument
from midas._ext.refine.grain cimport Grain


cdef struct Reflections:
    # Sorted by ring; group g holds first[g] … first[g + 1] - 1.
    Py_ssize_t n
    Py_ssize_t groups
    const double* h
    const double* k
    const double* l
    const int* first


cdef struct PredictedSpots:
    # Spots of one grain, ring by ring, (groups + 1) starts
    int* first
    int* reflection
    double* branch         # sign of the laboratory y
    double* gx             # unit vector of G
    double* gy
    double* gz
    double* d_spacing
    double* y_ideal        # of a grain at the origin
    double* z_ideal
    double* cos_ideal
    double* sin_ideal


cdef struct CentredSpot:
    # An observed spot as if its grain were at the origin and the axis upright
    double y
    double z
    double cos_ideal
    double sin_ideal
    double direction[3]    # unit scattering vector in the sample frame


cdef void predict_spots(const Reflections* reflections, const Grain* grain, const Instrument* instrument,
                        const Region* region, PredictedSpots* out) noexcept nogil
cdef bint centre_spot(double y_plane, double z_plane, double cos_recorded, double sin_recorded, const double* position,
                      const Instrument* instrument, CentredSpot* out) noexcept nogil
cdef bint centre_turned_spot(double y_plane, double z_plane, double cos_recorded, double sin_recorded, double cos_turn,
                             double sin_turn, const double* position, const Instrument* instrument,
                             CentredSpot* out) noexcept nogil
cdef double direction_angle(const double* a, double bx, double by, double bz) noexcept nogil
cdef int nearest_predicted(const CentredSpot* spot, int group, const PredictedSpots* predicted) noexcept nogil
