"""From merged peaks in pixels to spots on the ideal detector (spec chapter 04 §4.1, §4.3).

Every function takes and returns whole columns and works on each spot alone, so the number of threads changes nothing.
"""
import numpy as np

from cython.parallel cimport prange
from libc.math cimport NAN, asin, atan2, cos, fabs, fmod, sin, sqrt, tan

from midas._ext.diffraction cimport wedge_omega_shift
from midas._ext.geometry cimport (
    DEG2RAD, RAD2DEG, Detector, IdealPoint, detector_to_ideal, eta_of, two_theta_of, unpack_detector,
)

#: why a spot is not used; the codes of `accept_spots`
ACCEPTED, NO_WEDGE_SOLUTION, OUTSIDE_ETA, OUTSIDE_OMEGA, OUTSIDE_BOX = range(5)

cdef enum:
    CHUNK = 256            # spots that a thread takes at a time
    AZIMUTH_WIDTH = 5      # degrees
    AZIMUTHS = 72

# Two omegas closer than this (degrees) are the same solution of the wedge equation.
cdef double SAME_OMEGA = 1e-6


cdef inline double _wrap_omega(double omega) noexcept nogil:
    # Both ends stay: the tables may hold -180 as well as 180.
    if omega < -180.0:
        return omega + 360.0
    if omega > 180.0:
        return omega - 360.0
    return omega


def read_out_correction(const double[::1] omega, const double[::1] z_px, double gap_step, int size, int threads):
    """Rotation angle at which the pixel row of a spot was read out.

    Parameters
    ----------
    omega : (n,) float64, degrees, of the frame
    z_px : (n,) float64, px
    gap_step : rotation during the read-out gap, tGap/(tGap + tInt)·step, degrees
    size : larger side of the detector, px

    Returns
    -------
    (n,) float64, degrees in [-180, 180] (chapter 04 §4.1 step 4)
    """
    cdef Py_ssize_t i, n = omega.shape[0]
    out = np.empty(n)
    cdef double[::1] corrected = out
    if z_px.shape[0] != n:
        raise ValueError("one row coordinate per omega")
    for i in prange(n, nogil=True, num_threads=threads, schedule="static"):
        corrected[i] = _wrap_omega(omega[i] - gap_step * (1.0 - fabs(2.0 * z_px[i] - size) / size))
    return out


cdef struct Wedge:
    double cosine
    double sine
    double lsd             # µm
    double wavelength      # Å


cdef struct Reflection:
    double k[3]            # scattering vector in the laboratory, 1/Å
    double eta             # degrees
    double ds              # its length by Bragg's law


cdef inline Reflection _reflection(const Wedge* wedge, double y, double z) noexcept nogil:
    """Scattering vector of a spot at (y, z) on the ideal plane, each product from left to right."""
    cdef Reflection r
    cdef double theta = two_theta_of(sqrt(y * y + z * z), wedge.lsd) / 2.0
    cdef double sin_theta = sin(DEG2RAD * theta), cos_theta = cos(DEG2RAD * theta)
    r.eta = eta_of(y, z)
    r.ds = 2.0 * sin_theta / wedge.wavelength
    r.k[0] = -r.ds * sin_theta
    r.k[1] = -r.ds * cos_theta * sin(DEG2RAD * r.eta)
    r.k[2] = r.ds * cos_theta * cos(DEG2RAD * r.eta)
    return r


cdef inline void _quadratic_pair(double b, double c, double a, double* first, double* second) noexcept nogil:
    """Roots of a s² + b s + c for a sine or cosine: zeros without real ones, and one of them clamped to [-1, 1]."""
    cdef double root = b * b - 4.0 * a * c
    if root < 0.0:
        first[0] = second[0] = 0.0
        return
    root = sqrt(root)
    first[0] = (-b - root) / (2.0 * a)
    second[0] = (-b + root) / (2.0 * a)
    if first[0] < -1.0:
        first[0] = -1.0
    elif first[0] > 1.0:
        first[0] = 1.0
    elif second[0] < -1.0:
        second[0] = -1.0
    elif second[0] > 1.0:
        second[0] = 1.0


cdef inline double _distance_to_candidate(double* candidate, double omega) noexcept nogil:
    cdef double distance = fabs(candidate[0] - omega)
    if fabs(distance - 360.0) < 0.1:
        candidate[0] = -candidate[0]
        return 0.0
    return distance


cdef inline double _quadratic_omega(double g1, double g2, double a, double omega) noexcept nogil:
    """Solution of g1 cos - g2 sin = a next to `omega`, degrees, in the legacy arithmetic (chapter 04 §4.3).

    Its rounding noise decides which spots at the limit of an omega range are accepted; it loses the right solution
    across ±180, so the caller compares it with the closed form.
    """
    cdef double norm = g1 * g1 + g2 * g2
    cdef double s1, s2, c1, c2, first, second, to_first, to_second
    _quadratic_pair(2.0 * a * g2, a * a - g1 * g1, norm, &s1, &s2)
    _quadratic_pair(-2.0 * a * g1, a * a - g2 * g2, norm, &c1, &c2)
    if fabs(s1 * s1 + c1 * c1 - 1.0) < fabs(s1 * s1 + c2 * c2 - 1.0):
        first = RAD2DEG * atan2(s1, c1)
        second = RAD2DEG * atan2(s2, c2)
    else:
        first = RAD2DEG * atan2(s1, c2)
        second = RAD2DEG * atan2(s2, c1)
    to_first = _distance_to_candidate(&first, omega)
    to_second = _distance_to_candidate(&second, omega)
    return first if to_first < to_second else second


cdef inline double _omega_without_wedge(const Wedge* wedge, const Reflection* r, double omega,
                                        double* g_length) noexcept nogil:
    """Omega (degrees) at which the reflection would fire with no wedge; NaN if it never would."""
    cdef double a = r.k[0] * wedge.cosine + r.k[2] * wedge.sine
    cdef double b = r.k[1]
    cdef double c = r.k[2] * wedge.cosine - r.k[0] * wedge.sine
    cdef double cos_omega = cos(DEG2RAD * omega), sin_omega = sin(DEG2RAD * omega)
    cdef double g1 = a * cos_omega + b * sin_omega
    cdef double g2 = b * cos_omega - a * sin_omega
    cdef double length = sqrt(g1 * g1 + g2 * g2 + c * c)
    cdef double shift, closed, legacy
    g1 = g1 * r.ds / length
    g2 = g2 * r.ds / length
    c = c * r.ds / length
    length = sqrt(g1 * g1 + g2 * g2 + c * c)
    g_length[0] = length
    if not wedge_omega_shift(r.k, wedge.cosine, wedge.sine, &shift):
        return NAN
    closed = omega + shift
    legacy = _quadratic_omega(g1, g2, -(length * length * wedge.wavelength) / 2.0, omega)
    if fabs(fmod(fabs(legacy - closed) + 180.0, 360.0) - 180.0) < SAME_OMEGA:
        return legacy
    return _wrap_omega(closed)


def laboratory_spots(const double[::1] y_px, const double[::1] z_px, const double[::1] omega,
                     const double[::1] detector, double wavelength, double wedge, int threads):
    """Detector and wedge correction of every spot (chapter 04 §4.1 steps 7-8).

    Parameters
    ----------
    y_px, z_px : (n,) float64, px
    omega : (n,) float64, degrees, as recorded
    detector : (12,) float64 of `midas.detector.DetectorGeometry.packed`
    wavelength : Å
    wedge : degrees

    Returns
    -------
    (7, n) float64: y, z (µm), omega, eta, two_theta (degrees), y_no_wedge, z_no_wedge (µm). All of them are on the
    ideal plane; omega is NaN where no rotation without wedge gives the reflection, eta is NaN at the beam centre.
    """
    cdef Py_ssize_t i, n = omega.shape[0]
    cdef Detector geometry = unpack_detector(detector)
    cdef Wedge tilt
    out = np.empty((7, n))
    cdef double[:, ::1] spots = out
    if y_px.shape[0] != n or z_px.shape[0] != n or detector.shape[0] != 12:
        raise ValueError("one position per omega, and twelve numbers of the detector")
    tilt.cosine = cos(DEG2RAD * wedge)
    tilt.sine = sin(DEG2RAD * wedge)
    tilt.lsd = geometry.lsd
    tilt.wavelength = wavelength
    for i in prange(n, nogil=True, num_threads=threads, schedule="dynamic", chunksize=CHUNK):
        _laboratory_spot(&geometry, &tilt, y_px[i], z_px[i], omega[i], spots, i)
    return out


cdef inline void _laboratory_spot(const Detector* geometry, const Wedge* wedge, double y_px, double z_px,
                                  double omega, double[:, ::1] spots, Py_ssize_t i) noexcept nogil:
    cdef IdealPoint point = detector_to_ideal(geometry, y_px, z_px)
    cdef Reflection reflection = _reflection(wedge, point.y, point.z)
    cdef double g_length, radius
    spots[2, i] = _omega_without_wedge(wedge, &reflection, omega, &g_length)
    radius = wedge.lsd * tan(DEG2RAD * (2.0 * RAD2DEG * asin(wedge.wavelength * g_length / 2.0)))
    spots[0, i] = -radius * sin(DEG2RAD * reflection.eta)
    spots[1, i] = radius * cos(DEG2RAD * reflection.eta)
    spots[3, i] = reflection.eta
    spots[4, i] = two_theta_of(radius, wedge.lsd)
    spots[5, i] = point.y
    spots[6, i] = point.z


cdef inline int _reason(double y, double z, double omega, double eta, double min_eta, const double[:, ::1] ranges,
                        const double[:, ::1] boxes) noexcept nogil:
    cdef Py_ssize_t j
    cdef int reason = 3                                    # OUTSIDE_OMEGA
    if not (-180.0 + min_eta < eta < -min_eta or min_eta < eta < 180.0 - min_eta):
        return 2                                           # OUTSIDE_ETA, the beam centre included
    if omega != omega:
        return 1                                           # NO_WEDGE_SOLUTION
    for j in range(ranges.shape[0]):
        if ranges[j, 0] <= omega <= ranges[j, 1]:
            if boxes[j, 0] < y < boxes[j, 1] and boxes[j, 2] < z < boxes[j, 3]:
                return 0                                   # ACCEPTED
            reason = 4                                     # OUTSIDE_BOX
    return reason


def accept_spots(const double[:, ::1] spots, double min_eta, const double[:, ::1] ranges, const double[:, ::1] boxes,
                 int threads):
    """Which spots lie in the accepted region (chapter 04 §4.1 step 9).

    Parameters
    ----------
    spots : (7, n) float64 of `laboratory_spots`
    min_eta : degrees around the poles that are left out
    ranges : (k, 2) float64, accepted omegas, degrees, limits included
    boxes : (k, 4) float64, accepted y and z of each range, µm, limits excluded

    Returns
    -------
    (n,) uint8: `ACCEPTED`, or the first reason against the spot
    """
    cdef Py_ssize_t i, n = spots.shape[1]
    out = np.empty(n, dtype=np.uint8)
    cdef unsigned char[::1] reason = out
    if spots.shape[0] != 7 or ranges.shape[1] != 2 or boxes.shape[1] != 4 or ranges.shape[0] != boxes.shape[0]:
        raise ValueError("seven rows of spots, and one box of four numbers per range of two")
    for i in prange(n, nogil=True, num_threads=threads, schedule="static"):
        reason[i] = <unsigned char>_reason(spots[0, i], spots[1, i], spots[2, i], spots[3, i], min_eta, ranges, boxes)
    return out


def ring_misfit(const double[::1] y_px, const double[::1] z_px, const double[::1] tangents,
                const double[::1] detector, int threads):
    """How far spots lie from their ideal rings, every azimuth weighing the same (chapter 04 §4.2).

    Parameters
    ----------
    y_px, z_px : (n,) float64, px
    tangents : (n,) float64, tan(2θ) of each spot's ring
    detector : (12,) float64 of `midas.detector.DetectorGeometry.packed`

    Returns
    -------
    misfit : sum over the azimuth bins of the mean |1 - R/(Lsd tan 2θ)| of their spots
    bins : number of bins that hold a spot
    """
    cdef Py_ssize_t i, b, n = y_px.shape[0]
    cdef Detector geometry = unpack_detector(detector)
    cdef double[::1] deviations = np.empty(n)
    cdef int[::1] bin_of = np.empty(n, dtype=np.int32)
    cdef double[AZIMUTHS] sums
    cdef Py_ssize_t[AZIMUTHS] counts
    cdef double misfit = 0.0
    cdef int filled = 0
    if z_px.shape[0] != n or tangents.shape[0] != n or detector.shape[0] != 12:
        raise ValueError("two coordinates and one ring per spot, and twelve numbers of the detector")
    for i in prange(n, nogil=True, num_threads=threads, schedule="static"):
        bin_of[i] = _deviation(&geometry, y_px[i], z_px[i], tangents[i], &deviations[i])
    for b in range(AZIMUTHS):
        sums[b] = 0.0
        counts[b] = 0
    for i in range(n):                                     # one thread: the same order of the sums always
        if bin_of[i] >= 0:
            sums[bin_of[i]] += deviations[i]
            counts[bin_of[i]] += 1
    for b in range(AZIMUTHS):
        if counts[b] > 0:
            misfit += sums[b] / counts[b]
            filled += 1
    return misfit, filled


cdef inline int _deviation(const Detector* geometry, double y_px, double z_px, double tangent,
                           double* deviation) noexcept nogil:
    """Relative distance from the ring; the spot's azimuth bin, -1 at the beam centre."""
    cdef IdealPoint point = detector_to_ideal(geometry, y_px, z_px)
    deviation[0] = fabs(1.0 - point.radius / (geometry.lsd * tangent))
    if not point.radius > 0.0:
        return -1
    return min(<int>((point.eta + 180.0) / AZIMUTH_WIDTH), AZIMUTHS - 1)
