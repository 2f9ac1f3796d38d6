"""The wedge correction of a spot and its shift to the rotation axis in the legacy arithmetic."""
from midas._ext.physics.wedge cimport Instrument


cdef struct WedgeFree:
    double y_ideal         # µm
    double z_ideal
    double omega_ideal     # degrees, NaN where no rotation without wedge gives the reflection
    double eta
    double two_theta


cdef WedgeFree without_wedge(const Instrument* instrument, double y_plane, double z_plane,
                             double omega_recorded) noexcept nogil
cdef void centre_by_ray(const Instrument* instrument, double cos_omega, double sin_omega, const double* position,
                        double* y, double* z) noexcept nogil
cdef bint loses_spot(const Instrument* instrument, double y, double z, double omega_recorded) noexcept nogil
