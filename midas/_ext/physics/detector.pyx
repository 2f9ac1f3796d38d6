"""The detector geometry for Python: arrays in, arrays out; `midas.experiment.DetectorGeometry` is its public face."""
import numpy as np

from midas._ext.physics.geometry cimport (
    Detector, IdealPoint, detector_to_ideal, ideal_to_detector, two_theta_of, unpack_detector)
from midas._ext.physics.geometry cimport DEG2RAD as _DEG2RAD, RAD2DEG as _RAD2DEG

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
    cdef IdealPoint p
    if z_px.shape[0] != n or detector.shape[0] != 12:
        raise ValueError("one z_px per y_px, and twelve numbers of the detector")
    d = unpack_detector(detector)
    result = np.empty((5, n))
    cdef double[:, ::1] out = result
    with nogil:
        for i in range(n):
            p = detector_to_ideal(&d, y_px[i], z_px[i])
            if y_px[i] == d.y_bc and z_px[i] == d.z_bc:
                p.y = p.z = p.radius = 0.0             # no azimuth, so that the distortion is no number
            out[0, i] = p.y
            out[1, i] = p.z
            out[2, i] = p.radius
            out[3, i] = p.eta
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
