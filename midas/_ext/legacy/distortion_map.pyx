"""The map that `mapped` of the header looks up; made once for a detector."""
import numpy as np

from libc.math cimport NAN, isnan

from midas._ext.physics.geometry cimport Detector, PlanePoint, detector_to_ideal, unpack_detector
from midas._ext.physics.panels cimport panel_shift


def distortion_map(const double[::1] detector, shape, const double[:, ::1] panels):
    """Raw minus ideal position of the pixel whose ideal position falls into each cell.

    See docs/theory/simulation.md#legacy-approximations.

    A nearest-pixel approximation of the inverse geometry, as the legacy program has it, for comparisons row by row.

    Parameters
    ----------
    detector : (12,) float64, `midas.experiment.detector.DetectorGeometry.packed`
    shape : pixels along z and y
    panels : (p, 8) float64

    Returns
    -------
    (z, y, 2) float64, µm along y and z; NaN where no pixel falls. Of several pixels in a cell the last in order of y,
    then z, counts.
    """
    cdef Py_ssize_t pixels_z, pixels_y, i, j, ci, cj
    cdef Py_ssize_t count = panels.shape[0]
    cdef const double* panel = &panels[0, 0] if count else NULL
    cdef Detector d = unpack_detector(detector)
    cdef PlanePoint p
    cdef double y, z
    pixels_z, pixels_y = shape
    result = np.full((pixels_z, pixels_y, 2), NAN)
    cdef double[:, :, ::1] out = result
    with nogil:
        for i in range(pixels_y):
            for j in range(pixels_z):
                y = i
                z = j
                panel_shift(panel, count, &y, &z)
                p = detector_to_ideal(&d, y, z)
                if isnan(p.eta_plane):
                    p.y_plane = p.z_plane = 0.0
                ci = <Py_ssize_t>(-p.y_plane / d.px + d.y_bc)
                cj = <Py_ssize_t>(p.z_plane / d.px + d.z_bc)
                if 0 <= ci < pixels_y and 0 <= cj < pixels_z:
                    out[cj, ci, 0] = -(i - d.y_bc) * d.px - p.y_plane
                    out[cj, ci, 1] = (j - d.z_bc) * d.px - p.z_plane
    return result
