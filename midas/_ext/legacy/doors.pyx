"""The legacy arithmetic for Python, one reflection, spot or matrix at a time: to compare it with the exact forms."""
import numpy as np


from midas._ext.legacy.diffraction cimport RingSpot, legacy_omegas, ring_spot
from midas._ext.legacy.displacement cimport shift_along_ray, shift_spot_first_order, unshift_spot_by_ray
from midas._ext.legacy.euler cimport start_angles
from midas._ext.legacy.wedge cimport wedge_omega_shift
from midas._ext.numerics.elementary cimport cos, sin
from midas._ext.physics.geometry cimport DEG2RAD


cdef tuple _three(numbers):
    x, y, z = map(float, numbers)
    return x, y, z


def ring_spots(g, double wavelength, double radius):
    """Where a reflection of a grain at the origin is on a ring, for each omega at which it fires.

    Parameters
    ----------
    g : three numbers, sample frame, 1/Å
    wavelength, radius : Å, µm

    Returns
    -------
    list of (omega, eta, y, z) : degrees, degrees, µm, µm; the larger cosine of omega first
    """
    cdef double vector[3]
    cdef double omega[2]
    cdef RingSpot spot
    cdef int i
    vector[0], vector[1], vector[2] = _three(g)
    found = []
    for i in range(legacy_omegas(vector[0], vector[1], 0.5 * wavelength * np.dot(g, g), omega)):
        ring_spot(vector, omega[i], radius, &spot)
        found.append((omega[i], spot.eta, spot.y, spot.z))
    return found


def omega_shift(k, double wedge):
    """Degrees that take an omega recorded with the wedge (degrees) to that without; None beside the pole."""
    cdef double vector[3]
    cdef double shift
    vector[0], vector[1], vector[2] = _three(k)
    return shift if wedge_omega_shift(vector, cos(DEG2RAD * wedge), sin(DEG2RAD * wedge), &shift) else None


def start_angles_of(const double[::1] orientation):
    """phi1, Phi, phi2 (degrees) of a row-major matrix of nine numbers, by arc cosines, there and back twice."""
    if orientation.shape[0] != 9:
        raise ValueError("nine numbers")
    angles = np.empty(3)
    cdef double[::1] out = angles
    start_angles(&orientation[0], &out[0])
    return angles


def displaced_spots(double lsd, double y, double z, grain):
    """A spot of a grain at the origin as the three forms displace it.

    Parameters
    ----------
    lsd, y, z : µm
    grain : position in the laboratory frame, µm

    Returns
    -------
    along_ray : (y, z) of the indexer's form
    first_order : (y, z) of the simulator's form
    back : (y, z) of `along_ray`, centred again by the form of the staged refinement's simplex
    """
    cdef double position[3]
    cdef double along_y = y, along_z = z, first_y = y, first_z = z, back_y, back_z
    position[0], position[1], position[2] = _three(grain)
    shift_along_ray(1.0, 0.0, lsd, y, z, position[0], position[1], position[2], &along_y, &along_z)
    shift_spot_first_order(lsd, position, &first_y, &first_z)
    back_y, back_z = along_y, along_z
    unshift_spot_by_ray(lsd, position, &back_y, &back_z)
    return (along_y, along_z), (first_y, first_z), (back_y, back_z)
