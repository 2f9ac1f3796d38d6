"""The spots of the legacy simulator: angles in degrees, displacement to first order, no lean of the position.

See docs/theory/simulation.md#legacy-approximations.

For comparisons with its tables row by row (`LegacyDistortionMap 1`); `midas._ext.physics.predict` is exact.
"""

from midas._ext.legacy.diffraction cimport RingSpot, scattering_direction
from midas._ext.legacy.displacement cimport shift_spot_first_order
from midas._ext.legacy.wedge cimport wedge_omega_shift
from midas._ext.numerics.elementary cimport cos, sin
from midas._ext.physics.geometry cimport DEG2RAD, ring_radius_of, rotate_z
from midas._ext.physics.lattice cimport theta_of
from midas._ext.physics.wedge cimport Instrument


cdef struct SimulatedSpot:
    double omega_recorded  # degrees
    double omega_ideal
    double eta
    double theta
    double y_plane         # µm
    double z_plane
    double across          # laboratory y of the grain, µm


cdef inline bint first_order_spot(const Instrument* instrument, double omega_ideal, const RingSpot* ray,
                                  double g_length, double wavelength, const double* position,
                                  SimulatedSpot* spot) noexcept nogil:
    """A solution (degrees) of a reflection, recorded with one wavelength; False when it does not diffract that one.

    `ray` is its spot on a ring of radius 1.
    """
    cdef double half_ratio = 0.5 * wavelength * g_length
    cdef double shift = 0.0, radius
    cdef double[3] k
    cdef double[3] lab
    if not half_ratio <= 1.0:
        return False
    spot.theta = theta_of(half_ratio)
    if instrument.sin_wedge != 0.0:
        # Without a solution, beside the pole, the spot stays where it is.
        scattering_direction(sin(DEG2RAD * spot.theta), cos(DEG2RAD * spot.theta), -ray.y, ray.z, k)
        wedge_omega_shift(k, instrument.cos_wedge, instrument.sin_wedge, &shift)
    spot.omega_ideal = omega_ideal
    spot.omega_recorded = omega_ideal - shift
    spot.eta = ray.eta
    radius = ring_radius_of(2.0 * spot.theta, instrument.lsd)
    spot.y_plane = radius * ray.y
    spot.z_plane = radius * ray.z
    rotate_z(cos(DEG2RAD * spot.omega_recorded), sin(DEG2RAD * spot.omega_recorded), position, lab)
    spot.across = lab[1]
    shift_spot_first_order(instrument.lsd, lab, &spot.y_plane, &spot.z_plane)
    return True
