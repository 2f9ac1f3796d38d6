"""The minimiser of the legacy refinement: plain sums, lowered by a bounded simplex."""
from midas._ext.physics.region cimport Region
from midas._ext.physics.wedge cimport Instrument


cdef struct PlainSum:
    const Instrument* instrument
    const Region* region
    bint of_angles         # between directions, degrees; else of distances on the detector, µm
    # The grain that is tried; `free` points to the first of the variables that are fitted, adjacent ones of these
    double* position
    double* euler          # Bunge angles, degrees
    double* cell
    double* free
    bint moves             # which of the three are among the free ones
    bint turns
    bint strains
    double u[9]            # orientation, also where the Euler angles are not fitted
    # Miller indices of all reflections, and the distinct ones that a spot was matched with
    const double* h
    const double* k
    const double* l
    int* in_use
    int reflections
    # Predicted: two rows per reflection, of which the first `observable` can be observed at the moment
    int* observable
    double* y_ideal
    double* z_ideal
    double* gx             # unit vector of G
    double* gy
    double* gz
    # Observed, one entry a spot; `place` is the row of its reflection that it is compared with
    Py_ssize_t spots
    const double* y_plane
    const double* z_plane
    const double* omega_recorded
    const double* cos_recorded
    const double* sin_recorded
    const int* reflection
    const double* branch   # sign of the laboratory y
    int* place
    # The same as if the grain were at the origin and there were no wedge, and its direction
    double* y_centred
    double* z_centred
    double* direction[3]


cdef void search(PlainSum* s, int count, int n, const double* lower, const double* upper, double* x) noexcept nogil
