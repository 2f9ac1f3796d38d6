"""From merged peaks in pixels to spots on the ideal detector (docs/theory/fit_setup.md#steps).

Every function takes and returns whole columns and works on each spot alone, so the number of threads changes nothing.
"""
import numpy as np

from cython.parallel cimport prange
from libc.math cimport fabs

from midas._ext.legacy.wedge cimport without_wedge
from midas._ext.physics.geometry cimport Detector, PlanePoint, detector_to_ideal, unpack_detector, wrap_omega
from midas._ext.physics.wedge cimport Instrument, UprightSpot, instrument_of

cdef enum:
    CHUNK = 256            # spots that a thread takes at a time
    AZIMUTH_WIDTH = 5      # degrees
    AZIMUTHS = 72


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
    (n,) float64, degrees in [-180, 180] (docs/theory/fit_setup.md#read-out-gap)
    """
    cdef Py_ssize_t i, n = omega.shape[0]
    out = np.empty(n)
    cdef double[::1] corrected = out
    if z_px.shape[0] != n:
        raise ValueError("one row coordinate per omega")
    for i in prange(n, nogil=True, num_threads=threads, schedule="static"):
        corrected[i] = wrap_omega(omega[i] - gap_step * (1.0 - fabs(2.0 * z_px[i] - size) / size))
    return out


def laboratory_spots(const double[::1] y_px, const double[::1] z_px, const double[::1] omega,
                     const double[::1] detector, double wavelength, double wedge, bint exact, int threads):
    """Detector and wedge correction of every spot (docs/theory/wedge.md#which-form-counts).

    Parameters
    ----------
    y_px, z_px : (n,) float64, px
    omega : (n,) float64, degrees, as recorded
    detector : (12,) float64 of `midas.experiment.detector.DetectorGeometry.packed`
    wavelength : Å
    wedge : degrees
    exact : whether spots turn with the leaning axis, or the wedge moves omega only; a wedge of 0 has one form

    Returns
    -------
    (8, n) float64: y_ideal, z_ideal (µm), omega_ideal, eta, two_theta (degrees), y_plane, z_plane (µm), eta_plane
    (degrees). omega_ideal is NaN where no rotation without wedge gives the reflection, eta is NaN at the beam centre.
    """
    cdef Py_ssize_t i, n = omega.shape[0]
    cdef Detector geometry = unpack_detector(detector)
    # The wedge of a spot is undone as if its grain were at the origin, where no tilt matters.
    cdef Instrument instrument = instrument_of(geometry.lsd, wavelength, wedge, exact, 0.0, 0.0, 0.0)
    out = np.empty((8, n))
    cdef double[:, ::1] spots = out
    if y_px.shape[0] != n or z_px.shape[0] != n or detector.shape[0] != 12:
        raise ValueError("one position per omega, and twelve numbers of the detector")
    for i in prange(n, nogil=True, num_threads=threads, schedule="dynamic", chunksize=CHUNK):
        _laboratory_spot(&geometry, &instrument, y_px[i], z_px[i], omega[i], spots, i)
    return out


cdef inline void _laboratory_spot(const Detector* geometry, const Instrument* instrument, double y_px, double z_px,
                                  double omega, double[:, ::1] spots, Py_ssize_t i) noexcept nogil:
    cdef PlanePoint point = detector_to_ideal(geometry, y_px, z_px)
    cdef UprightSpot spot = without_wedge(instrument, point.y_plane, point.z_plane, omega)
    spots[0, i] = spot.y_ideal
    spots[1, i] = spot.z_ideal
    spots[2, i] = spot.omega_ideal
    spots[3, i] = spot.eta
    spots[4, i] = spot.two_theta
    spots[5, i] = point.y_plane
    spots[6, i] = point.z_plane
    spots[7, i] = point.eta_plane


def ring_misfit(const double[::1] y_px, const double[::1] z_px, const double[::1] tangents,
                const double[::1] detector, int threads):
    """How far spots lie from their ideal rings, every azimuth weighing the same.

    See docs/theory/fit_setup.md#legacy-ring-misfit.

    Parameters
    ----------
    y_px, z_px : (n,) float64, px
    tangents : (n,) float64, tan(2θ) of each spot's ring
    detector : (12,) float64 of `midas.experiment.detector.DetectorGeometry.packed`

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
    cdef PlanePoint point = detector_to_ideal(geometry, y_px, z_px)
    deviation[0] = fabs(1.0 - point.radius / (geometry.lsd * tangent))
    if not point.radius > 0.0:
        return -1
    return min(<int>((point.eta_plane + 180.0) / AZIMUTH_WIDTH), AZIMUTHS - 1)
