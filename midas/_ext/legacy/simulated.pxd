"""The spots of the legacy simulator: angles in degrees, displacement to first order, no lean of the position.

For comparisons with its tables row by row (`LegacyDistortionMap 1`); `midas._ext.physics.predict` is exact.
"""
from libc.math cimport asin, cos, sin, tan

from midas._ext.physics.diffraction cimport scattering_direction, wedge_omega_shift
from midas._ext.physics.geometry cimport DEG2RAD, RAD2DEG, rotate_z
from midas._ext.physics.wedge cimport Instrument


cdef struct SimulatedSpot:
    double omega_recorded  # degrees
    double omega_ideal
    double eta
    double theta
    double y_plane         # µm
    double z_plane
    double across          # laboratory y of the grain, µm


cdef inline void shift_spot_first_order(double lsd, const double* grain, double* y, double* z) noexcept nogil:
    """`shift_spot` along the ray from the grain to the undisplaced spot: differs by about X Y/Lsd."""
    y[0] = y[0] + grain[1] - grain[0] * (y[0] - grain[1]) / (lsd - grain[0])
    z[0] = z[0] + grain[2] - grain[0] * (z[0] - grain[2]) / (lsd - grain[0])


cdef inline bint first_order_spot(const Instrument* instrument, double omega_ideal, double eta, double g_length,
                                  double wavelength, const double* position, SimulatedSpot* spot) noexcept nogil:
    """A solution (degrees) of a reflection, recorded with one wavelength; False when it does not diffract that one."""
    cdef double half_ratio = 0.5 * wavelength * g_length
    cdef double sin_eta = sin(DEG2RAD * eta), cos_eta = cos(DEG2RAD * eta), shift = 0.0, radius
    cdef double[3] k
    cdef double[3] lab
    if not half_ratio <= 1.0:
        return False
    spot.theta = RAD2DEG * asin(half_ratio)
    if instrument.sin_wedge != 0.0:
        # Without a solution, beside the pole, the spot stays where it is.
        scattering_direction(sin(DEG2RAD * spot.theta), cos(DEG2RAD * spot.theta), sin_eta, cos_eta, k)
        wedge_omega_shift(k, instrument.cos_wedge, instrument.sin_wedge, &shift)
    spot.omega_ideal = omega_ideal
    spot.omega_recorded = omega_ideal - shift
    spot.eta = eta
    radius = instrument.lsd * tan(2.0 * DEG2RAD * spot.theta)
    spot.y_plane = -radius * sin_eta
    spot.z_plane = radius * cos_eta
    rotate_z(cos(DEG2RAD * spot.omega_recorded), sin(DEG2RAD * spot.omega_recorded), position, lab)
    spot.across = lab[1]
    shift_spot_first_order(instrument.lsd, lab, &spot.y_plane, &spot.z_plane)
    return True
