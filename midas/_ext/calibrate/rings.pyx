"""How far points are from their rings, and how that changes with the numbers of the detector.

See docs/theory/calibration.md#least-squares.
"""
import numpy as np

from midas._ext.physics.geometry cimport DEG2RAD, Detector, unpack_detector
from midas._ext.physics.panels cimport PANEL_NUMBERS, shift_on_panel
from midas._ext.physics.slopes cimport (
    BY_LSD, BY_Y_PX, BY_Z_PX, DETECTOR_SLOPES, PlaneSlopes, SlopedDetector, plane_slopes, slope_of_y, slope_of_z,
    sloped_detector)

cdef enum:
    OF_PANEL = 3           # dY, dZ, dTheta


def ring_strains(const double[::1] y_px, const double[::1] z_px, const double[::1] tangents, const long long[::1] image,
                 const long long[::1] panel, const double[:, ::1] detectors, const double[:, ::1] panels):
    """Strain of points against their rings, and its slopes.

    Parameters
    ----------
    y_px, z_px : (n,) float64, px, as on the image, without the shift of a panel
    tangents : (n,) float64, of the ring's two_theta
    image : (n,) int64, row of `detectors`
    panel : (n,) int64, row of `panels`; -1 beside all of them
    detectors : (m, 12) float64, `DetectorGeometry.packed` of every image
    panels : (p, 8) float64, see `midas.experiment.panels.panels_of`

    Returns
    -------
    strain : (n,) float64, radius / (lsd tangent) - 1; -1 at the beam centre
    slopes : (n, 13) float64, of the strain by lsd (µm), y_bc, z_bc (px), tx, ty, tz (degrees), p0, p1c, p1s, p2, and by
        the panel's shift in y and z (px) and turn (degrees)

    Raises
    ------
    ValueError : when lengths differ or a point names an image or a panel that is not there
    """
    cdef Py_ssize_t n = y_px.shape[0], i, k, last = -1
    _check(y_px, z_px, tangents, image, panel, detectors, panels)
    strain, slopes = np.empty(n), np.zeros((n, DETECTOR_SLOPES + OF_PANEL))
    cdef double[::1] strains = strain
    cdef double[:, ::1] out = slopes
    cdef SlopedDetector s
    cdef Detector d
    cdef PlaneSlopes p
    cdef double y, z, factor
    with nogil:
        for i in range(n):
            if image[i] != last:
                last = image[i]
                d = unpack_detector(detectors[last])
                s = sloped_detector(detectors[last], &d)
            y, z = y_px[i], z_px[i]
            if panel[i] >= 0:
                shift_on_panel(&panels[panel[i], 0], &y, &z)
            plane_slopes(&s, y, z, &p)
            factor = 1.0 / (s.d.lsd * tangents[i])
            strains[i] = p.radius * factor - 1.0
            for k in range(DETECTOR_SLOPES):
                out[i, k] = p.radial[k] * factor
            out[i, <int>BY_LSD] = out[i, <int>BY_LSD] - p.radius * factor / s.d.lsd
            if panel[i] >= 0:
                _panel_slopes(&panels[panel[i], 0], y_px[i], z_px[i], &p, factor, &out[i, <int>DETECTOR_SLOPES])
    return strain, slopes


def places(const double[::1] y_px, const double[::1] z_px, const double[::1] detector):
    """Pixels on the plane, with the slopes of their place.

    Parameters
    ----------
    y_px, z_px : (n,) float64, px
    detector : (12,) float64, `DetectorGeometry.packed`

    Returns
    -------
    place : (n, 2) float64, y_plane and z_plane, µm
    slopes : (n, 2, 12) float64, of both by lsd, y_bc, z_bc, tx, ty, tz, p0, p1c, p1s, p2, y_px, z_px
    """
    cdef Py_ssize_t n = y_px.shape[0], i
    cdef int k
    if z_px.shape[0] != n or detector.shape[0] != 12:
        raise ValueError("one z_px per y_px, and twelve numbers of the detector")
    place, slopes = np.empty((n, 2)), np.empty((n, 2, DETECTOR_SLOPES + 2))
    cdef double[:, ::1] at = place
    cdef double[:, :, ::1] out = slopes
    cdef Detector d = unpack_detector(detector)
    cdef SlopedDetector s = sloped_detector(detector, &d)
    cdef PlaneSlopes p
    with nogil:
        for i in range(n):
            plane_slopes(&s, y_px[i], z_px[i], &p)
            at[i, 0] = p.radius * p.unit_y
            at[i, 1] = p.radius * p.unit_z
            for k in range(DETECTOR_SLOPES + 2):
                out[i, 0, k] = slope_of_y(&p, k)
                out[i, 1, k] = slope_of_z(&p, k)
    return place, slopes


cdef inline void _panel_slopes(const double* panel, double y, double z, const PlaneSlopes* p, double factor,
                               double* out) noexcept nogil:
    """By the shift of the point's panel in y and z and by its turn."""
    cdef double u = y - 0.5 * (panel[0] + panel[1]), v = z - 0.5 * (panel[2] + panel[3])
    out[0] = p.radial[<int>BY_Y_PX] * factor
    out[1] = p.radial[<int>BY_Z_PX] * factor
    out[2] = DEG2RAD * (out[1] * (u * panel[4] - v * panel[5]) - out[0] * (u * panel[5] + v * panel[4]))


def _check(y_px, z_px, tangents, image, panel, detectors, panels):
    if not len(y_px) == len(z_px) == len(tangents) == len(image) == len(panel):
        raise ValueError("one z_px, tangent, image and panel per y_px")
    if detectors.shape[1] != 12 or panels.shape[1] != PANEL_NUMBERS:
        raise ValueError("twelve numbers per detector, eight per panel")
    if len(y_px) and not (0 <= np.min(image) and np.max(image) < len(detectors)
                          and -1 <= np.min(panel) and np.max(panel) < len(panels)):
        raise ValueError("a point names an image or a panel that is not there")
