"""Rings of spots, and grain sizes from intensities (docs/theory/radius.md)."""
import numpy as np

from libc.math cimport NAN, copysign, fabs, isnan, sqrt

from midas._ext.numerics.elementary cimport cbrt, cos, sin
from midas._ext.physics.geometry cimport DEG2RAD, two_theta_of
from midas._ext.physics.lattice cimport theta_of

cdef double PI = 3.14159265358979323846


def match_rings(const double[::1] radius, const double[::1] ring_radii, double width):
    """Rings whose band holds a spot; a spot in several bands has a row for each.

    Parameters
    ----------
    radius : (n,) float64, distance of the spots from the beam centre, µm
    ring_radii : (r,) float64, µm; NaN for a ring that does not exist
    width : half width of a band, µm; a spot exactly this far from the ring is outside

    Returns
    -------
    spots, rings : (k,) int64, indices into `radius` and `ring_radii`, in the order of the spots
    """
    cdef Py_ssize_t i, r, k = 0, n = radius.shape[0], count = ring_radii.shape[0]
    with nogil:
        for i in range(n):
            for r in range(count):
                k += fabs(radius[i] - ring_radii[r]) < width
    spots = np.empty(k, dtype=np.int64)
    rings = np.empty(k, dtype=np.int64)
    cdef long long[::1] spot = spots
    cdef long long[::1] ring = rings
    k = 0
    with nogil:
        for i in range(n):
            for r in range(count):
                if fabs(radius[i] - ring_radii[r]) < width:
                    spot[k] = i
                    ring[k] = r
                    k += 1
    return spots, rings


cdef inline double _spelled(double x) noexcept nogil:
    """x; a NaN with the sign that the processor gives it and printf shows, on every processor."""
    return copysign(NAN, -1.0) if isnan(x) else x


def grain_sizes(const double[::1] radius, const double[::1] eta, const double[::1] min_omega,
                const double[::1] max_omega, const double[::1] intensity, const double[::1] powder,
                const double[::1] multiplicity, double lsd, double omega_step, double gauge, bint disc):
    """Grain volume of each spot from its share of its ring's intensity (docs/theory/radius.md#grain-volume).

    Parameters
    ----------
    radius : (n,) float64, distance from the beam centre, µm
    eta : (n,) float64, degrees
    min_omega, max_omega : (n,) float64, degrees
    intensity : (n,) float64, counts
    powder, multiplicity : (n,) float64, of the spot's ring: intensity per frame, reflections
    lsd : sample to detector, µm
    omega_step : rotation per frame, degrees; its sign does not matter
    gauge : illuminated volume, µm³ (disc: area, µm²)
    disc : grains are discs: areas instead of volumes

    Returns
    -------
    dict of (n,) float64: theta, delta_omega (degrees), frames, grain_volume (µm³, µm²), grain_radius (µm)

    Notes
    -----
    Near eta = 0 and ±180 the volume and the radius come out negative, the radius of a disc NaN.
    """
    cdef Py_ssize_t i, n = radius.shape[0]
    cdef double delta_theta, size
    columns = {name: np.empty(n) for name in ("theta", "delta_omega", "frames", "grain_volume", "grain_radius")}
    cdef double[::1] theta = columns["theta"], delta_omega = columns["delta_omega"], frames = columns["frames"]
    cdef double[::1] grain_volume = columns["grain_volume"], grain_radius = columns["grain_radius"]
    omega_step = fabs(omega_step)
    with nogil:
        for i in range(n):
            theta[i] = 0.5 * two_theta_of(radius[i], lsd)
            delta_omega[i] = (omega_step + max_omega[i]) - min_omega[i]
            frames[i] = delta_omega[i] / omega_step
            delta_theta = DEG2RAD * (theta_of(
                sin(DEG2RAD * theta[i]) * cos(DEG2RAD * delta_omega[i])
                + (cos(DEG2RAD * theta[i]) * fabs(sin(DEG2RAD * eta[i]))) * sin(DEG2RAD * delta_omega[i])) - theta[i])
            size = (0.5 * multiplicity[i] * delta_theta * cos(DEG2RAD * theta[i]) * gauge * intensity[i]
                    / (frames[i] * powder[i]))
            grain_volume[i] = _spelled(size)
            grain_radius[i] = _spelled(sqrt(size / PI) if disc else cbrt(3.0 * size / (4.0 * PI)))
    return columns


def sum_by_ring(const double[::1] intensity, const long long[::1] rings, Py_ssize_t count):
    """Sum of the intensities of each ring, in the order of the rows; (count,) float64."""
    cdef Py_ssize_t i
    sums = np.zeros(count, dtype=np.float64)
    cdef double[::1] out = sums
    for i in range(intensity.shape[0]):
        out[rings[i]] += intensity[i]
    return sums
