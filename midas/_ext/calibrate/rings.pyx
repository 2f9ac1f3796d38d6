"""How far points are from their rings, and how that changes with the numbers of the detector.

See docs/theory/calibration.md#least-squares.
"""
import numpy as np

from libc.math cimport sqrt

from midas._ext.numerics.elementary cimport cos, sin
from midas._ext.physics.geometry cimport DEG2RAD, Detector, unpack_detector
from midas._ext.physics.panels cimport PANEL_NUMBERS, shift_on_panel
from midas._ext.physics.slopes cimport PlaneSlopes, distortion_slopes, moved_on_plane, plane_slopes, tilt_slopes

cdef enum:
    # Slopes of a strain: by the instrument, then by its panel
    BY_LSD = 0
    BY_BC = 1              # y_bc and z_bc, px
    BY_TILT = 3            # tx, ty and tz, degrees
    BY_DISTORTION = 6      # p0, p1 cos p3, p1 sin p3 and p2
    BY_PANEL = 10          # dY and dZ, px, dTheta, degrees
    SLOPES = 13


cdef struct SlopedDetector:
    Detector d
    double p1c
    double p1s
    double by_tilt[27]     # of the tilt matrix, per degree


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
    cdef Py_ssize_t n = y_px.shape[0], i, last = -1
    _check(y_px, z_px, tangents, image, panel, detectors, panels)
    strain, slopes = np.empty(n), np.zeros((n, SLOPES))
    cdef double[::1] strains = strain
    cdef double[:, ::1] out = slopes
    cdef SlopedDetector s
    cdef double y, z
    with nogil:
        for i in range(n):
            if image[i] != last:
                last = image[i]
                s = _sloped(detectors[last])
            y, z = y_px[i], z_px[i]
            if panel[i] >= 0:
                shift_on_panel(&panels[panel[i], 0], &y, &z)
            strains[i] = _strain(&s, y, z, tangents[i], &out[i, 0])
            if panel[i] >= 0:
                _panel_slopes(&panels[panel[i], 0], y_px[i], z_px[i], &out[i, 0])
    return strain, slopes


cdef SlopedDetector _sloped(const double[::1] packed) noexcept nogil:
    """Everything that points of an image share."""
    cdef SlopedDetector s
    s.d = unpack_detector(packed)
    s.p1c = s.d.p1 * cos(DEG2RAD * s.d.p3)
    s.p1s = s.d.p1 * sin(DEG2RAD * s.d.p3)
    tilt_slopes(cos(DEG2RAD * packed[9]), sin(DEG2RAD * packed[9]), s.d.tilt, s.by_tilt)
    return s


cdef double _strain(const SlopedDetector* s, double y_px, double z_px, double tangent, double* slopes) noexcept nogil:
    """Strain of a point, its slopes by the instrument; none at the beam centre, which has no radius."""
    cdef PlaneSlopes p
    cdef double factor = 1.0 / (s.d.lsd * tangent), radius, unit_y, unit_z, dy = 0.0, dz = 0.0, px
    cdef const double* by
    cdef int i
    plane_slopes(&s.d, s.p1c, s.p1s, y_px, z_px, &p)
    radius = sqrt(p.y * p.y + p.z * p.z)
    if radius == 0.0:
        return -1.0
    unit_y = factor * p.y / radius
    unit_z = factor * p.z / radius
    moved_on_plane(&p, 1.0, 0.0, 0.0, 0.0, &dy, &dz)
    slopes[<int>BY_LSD] = dy * unit_y + dz * unit_z - radius * p.f * factor / s.d.lsd
    for i in range(2):
        px = s.d.px if i == 0 else -s.d.px
        moved_on_plane(&p, 0.0, px * s.d.tilt[1 + i], px * s.d.tilt[4 + i], px * s.d.tilt[7 + i], &dy, &dz)
        slopes[BY_BC + i] = dy * unit_y + dz * unit_z
    for i in range(3):
        by = s.by_tilt + 9 * i
        moved_on_plane(&p, 0.0, by[1] * p.yc + by[2] * p.zc, by[4] * p.yc + by[5] * p.zc, by[7] * p.yc + by[8] * p.zc,
                       &dy, &dz)
        slopes[BY_TILT + i] = dy * unit_y + dz * unit_z
    distortion_slopes(s.d.rho_d, p.y, p.z, &slopes[<int>BY_DISTORTION])
    for i in range(4):
        slopes[BY_DISTORTION + i] *= radius * factor
    return radius * p.f * factor - 1.0


cdef inline void _panel_slopes(const double* panel, double y, double z, double* slopes) noexcept nogil:
    """By the shift of the point's panel in y and z and by its turn: a pixel moves against the beam centre."""
    cdef double u = y - 0.5 * (panel[0] + panel[1]), v = z - 0.5 * (panel[2] + panel[3])
    cdef double by_y = -slopes[<int>BY_BC], by_z = -slopes[BY_BC + 1]
    slopes[<int>BY_PANEL] = by_y
    slopes[BY_PANEL + 1] = by_z
    slopes[BY_PANEL + 2] = DEG2RAD * (by_z * (u * panel[4] - v * panel[5]) - by_y * (u * panel[5] + v * panel[4]))


def _check(y_px, z_px, tangents, image, panel, detectors, panels):
    if not len(y_px) == len(z_px) == len(tangents) == len(image) == len(panel):
        raise ValueError("one z_px, tangent, image and panel per y_px")
    if detectors.shape[1] != 12 or panels.shape[1] != PANEL_NUMBERS:
        raise ValueError("twelve numbers per detector, eight per panel")
    if len(y_px) and not (0 <= np.min(image) and np.max(image) < len(detectors)
                          and -1 <= np.min(panel) and np.max(panel) < len(panels)):
        raise ValueError("a point names an image or a panel that is not there")
