"""What a grain's position does to a spot, rounded as the legacy programs round it, or to first order.

See docs/theory/geometry.md#displacement-of-a-spot.

`shift_spot` and `unshift_spot` of `midas._ext.physics.geometry` are the exact forms; those along a ray are equal to
them but for the last bits.
"""
from libc.math cimport sqrt

from midas._ext.physics.geometry cimport go_on_to_plane
from midas._ext.physics.wedge cimport Instrument, leaned_position


cdef inline void shift_along_ray(double cos_omega, double sin_omega, double ux, double uy, double uz, double x,
                                 double y, double z, double* spot_y, double* spot_z) noexcept nogil:
    """`shift_spot` in place, of a spot in the direction (ux, uy, uz), by a position (x, y, z) in the sample.

    The arithmetic of the indexer: it decides which spots it matches, and its records.
    """
    cdef double t = (x * cos_omega - y * sin_omega) / ux
    spot_y[0] = spot_y[0] + ((x * sin_omega + y * cos_omega) - t * uy)
    spot_z[0] = spot_z[0] + (z - t * uz)


cdef inline void unshift_spot_by_ray(double lsd, const double* grain, double* y, double* z) noexcept nogil:
    """`unshift_spot` along the unit vector of the ray: the arithmetic of the staged refinement's simplex."""
    cdef double u = lsd - grain[0], v = y[0] - grain[1], w = z[0] - grain[2]
    cdef double length = sqrt(u * u + v * v + w * w)
    cdef double along
    u /= length
    v /= length
    w /= length
    along = grain[0] / u
    y[0] = y[0] - (grain[1] - along * v)
    z[0] = z[0] - (grain[2] - along * w)


cdef inline void centre_by_ray(const Instrument* instrument, double cos_omega, double sin_omega,
                               const double* position, double* y, double* z) noexcept nogil:
    """`centre` of `midas._ext.physics.predict` by way of `unshift_spot_by_ray`."""
    cdef double leaned[3]
    leaned_position(instrument, cos_omega, sin_omega, position, leaned)
    if instrument.tilted:
        go_on_to_plane(instrument.lsd, instrument.slope_y, instrument.slope_z, leaned, y, z)
    unshift_spot_by_ray(instrument.lsd, leaned, y, z)


cdef inline void shift_spot_first_order(double lsd, const double* grain, double* y, double* z) noexcept nogil:
    """`shift_spot` along the ray from the grain to the undisplaced spot: differs by about X Y/Lsd."""
    y[0] = y[0] + grain[1] - grain[0] * (y[0] - grain[1]) / (lsd - grain[0])
    z[0] = z[0] + grain[2] - grain[0] * (z[0] - grain[2]) / (lsd - grain[0])
