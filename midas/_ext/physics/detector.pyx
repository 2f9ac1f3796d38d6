"""The detector geometry for Python: arrays in, arrays out; `midas.experiment.DetectorGeometry` is its public face."""
import numpy as np

from libc.math cimport NAN, fabs
from libc.stdint cimport int64_t

from midas._ext.numerics.elementary cimport sincos
from midas._ext.physics.geometry cimport (
    Detector, PlanePoint, detector_to_ideal, ideal_to_detector, ring_radius_of, two_theta_of, unpack_detector)
from midas._ext.physics.geometry cimport DEG2RAD as _DEG2RAD, RAD2DEG as _RAD2DEG
from midas._ext.physics.lattice cimport bragg_angle
from midas._ext.physics.panels cimport PANEL_NUMBERS, panel_of, shift_on_panel

#: the fifteen digits that every kernel turns degrees and radians into each other with
DEG2RAD = _DEG2RAD
RAD2DEG = _RAD2DEG


def pixels_to_plane(const double[::1] y_px, const double[::1] z_px, const double[::1] detector):
    """Pixels to the plane without tilt and distortion.

    Parameters
    ----------
    y_px, z_px : (n,) float64, px, after the image transformation
    detector : (12,) float64, `midas.experiment.DetectorGeometry.packed`

    Returns
    -------
    (5, n) float64: y, z, radius (µm), eta, two_theta (degrees); eta is NaN at the beam centre

    Raises
    ------
    ValueError : when the lengths differ, or the detector has not twelve numbers
    """
    cdef Py_ssize_t i, n = y_px.shape[0]
    cdef Detector d
    cdef PlanePoint p
    if z_px.shape[0] != n or detector.shape[0] != 12:
        raise ValueError("one z_px per y_px, and twelve numbers of the detector")
    d = unpack_detector(detector)
    result = np.empty((5, n))
    cdef double[:, ::1] out = result
    with nogil:
        for i in range(n):
            p = detector_to_ideal(&d, y_px[i], z_px[i])
            if y_px[i] == d.y_bc and z_px[i] == d.z_bc:
                p.y_plane = p.z_plane = p.radius = 0.0             # no azimuth, so that the distortion is no number
            out[0, i] = p.y_plane
            out[1, i] = p.z_plane
            out[2, i] = p.radius
            out[3, i] = p.eta_plane
            out[4, i] = two_theta_of(p.radius, d.lsd)
    return result


def plane_to_pixels(const double[::1] y, const double[::1] z, const double[::1] detector):
    """Inverse of `pixels_to_plane`.

    Parameters
    ----------
    y, z : (n,) float64, µm on the plane without tilt and distortion
    detector : (12,) float64, `midas.experiment.DetectorGeometry.packed`

    Returns
    -------
    (2, n) float64: y_px, z_px

    Raises
    ------
    ValueError : when the lengths differ, or the detector has not twelve numbers
    """
    cdef Py_ssize_t i, n = y.shape[0]
    cdef Detector d
    if z.shape[0] != n or detector.shape[0] != 12:
        raise ValueError("one z per y, and twelve numbers of the detector")
    d = unpack_detector(detector)
    result = np.empty((2, n))
    cdef double[:, ::1] out = result
    with nogil:
        for i in range(n):
            ideal_to_detector(&d, y[i], z[i], &out[0, i], &out[1, i])
    return result


def angles_to_plane(const double[::1] two_theta, const double[::1] eta, double lsd):
    """Where diffracted beams from the origin meet the plane without tilt and distortion.

    Parameters
    ----------
    two_theta, eta : (n,) float64, degrees
    lsd : µm

    Returns
    -------
    (2, n) float64: y, z, µm; NaN for two_theta of 90 degrees and more

    Raises
    ------
    ValueError : when the lengths differ
    """
    cdef Py_ssize_t i, n = two_theta.shape[0]
    cdef double radius, sine = 0.0, cosine = 0.0
    if eta.shape[0] != n:
        raise ValueError("one eta per two_theta")
    result = np.empty((2, n))
    cdef double[:, ::1] out = result
    with nogil:
        for i in range(n):
            radius = ring_radius_of(two_theta[i], lsd) if fabs(two_theta[i]) < 90.0 else NAN
            sincos(_DEG2RAD * eta[i], &sine, &cosine)
            out[0, i] = -radius * sine
            out[1, i] = radius * cosine
    return result


def bragg_angles(const double[::1] d_spacing, double wavelength):
    """Diffraction angles of lattice spacings.

    Parameters
    ----------
    d_spacing : (n,) float64, Å
    wavelength : Å

    Returns
    -------
    (n,) float64, two_theta, degrees; NaN for what is too small to diffract
    """
    cdef Py_ssize_t i, n = d_spacing.shape[0]
    result = np.empty(n)
    cdef double[::1] out = result
    with nogil:
        for i in range(n):
            out[i] = 2.0 * bragg_angle(wavelength, d_spacing[i])
    return result


def shifted_pixels(const double[::1] y_px, const double[::1] z_px, const double[:, ::1] panels):
    """Nominal pixels to where they sit, and the panel of each (docs/theory/geometry.md#panels).

    Parameters
    ----------
    y_px, z_px : (n,) float64, px, after the image transformation
    panels : (p, 8) float64, `midas.experiment.panels.panels_of`

    Returns
    -------
    (2, n) float64: y_px, z_px, in gaps as they were; (n,) int64: number of the panel, -1 in gaps

    Raises
    ------
    ValueError : when the lengths differ, or a panel has not eight numbers
    """
    cdef Py_ssize_t i, p, n = y_px.shape[0], count = panels.shape[0]
    if z_px.shape[0] != n or panels.shape[1] != PANEL_NUMBERS:
        raise ValueError("one z_px per y_px, and eight numbers of every panel")
    moved = np.empty((2, n))
    numbers = np.full(n, -1, np.int64)
    cdef double[:, ::1] out = moved
    cdef int64_t[::1] panel = numbers
    cdef const double* first = &panels[0, 0] if count else NULL
    with nogil:
        for i in range(n):
            out[0, i] = y_px[i]
            out[1, i] = z_px[i]
            p = panel_of(first, count, y_px[i], z_px[i])
            if p >= 0:
                panel[i] = p
                shift_on_panel(first + PANEL_NUMBERS * p, &out[0, i], &out[1, i])
    return moved, numbers
