"""Which pixels of the detector belong to a ring (docs/theory/peaks.md#ring-mask)."""
import numpy as np

from cython.parallel cimport prange
from libc.math cimport fabs

from midas._ext.physics.geometry cimport Detector, distortion_factor, eta_of, projected_radius, unpack_detector


cdef bint _near_a_band(const Detector* d, double radius, const double* radii, int rings,
                       double half_width) noexcept nogil:
    """Whether the distortion, whatever the azimuth, may bring this radius (µm) into a band; errs towards yes."""
    cdef double rho2 = (radius / d.rho_d) * (radius / d.rho_d)
    cdef double reach = (fabs(d.p0) + fabs(d.p1) * rho2) * rho2 + 1e-9
    cdef double middle = radius * (1.0 + d.p2 * rho2) / d.px
    cdef double margin = half_width + radius * reach / d.px
    cdef int r
    for r in range(rings):
        if fabs(middle - radii[r]) <= margin:
            return True
    return False


cdef double _threshold(const Detector* d, double y_px, double z_px, const double* radii, const double* thresholds,
                       int rings, double half_width) noexcept nogil:
    cdef double y = 0.0, z = 0.0, threshold = 0.0
    cdef double radius = projected_radius(d, y_px, z_px, &y, &z)
    cdef int r
    # The beam centre has no azimuth, and never belongs to a ring.
    if not radius > 0.0 or not _near_a_band(d, radius, radii, rings, half_width):
        return 0.0
    radius = radius * distortion_factor(d, radius, eta_of(y, z)) / d.px
    for r in range(rings):
        if radii[r] - half_width < radius < radii[r] + half_width:
            threshold = thresholds[r]
    return threshold


def ring_thresholds(int size, const double[::1] detector, const double[::1] radii, const double[::1] thresholds,
                    double half_width, int threads=1):
    """Threshold of each pixel: that of the last ring whose band holds it, 0 outside all bands.

    Parameters
    ----------
    size : side N of the padded square image
    detector : (12,) float64, `midas.experiment.detector.DetectorGeometry.packed`
    radii : (r,) float64, ring radii, px
    thresholds : (r,) float64, counts
    half_width : half width of a band, px; both edges are outside
    threads : OpenMP threads

    Returns
    -------
    (N, N) float64, indexed [y, z]

    Raises
    ------
    ValueError : unequal numbers of radii and thresholds.
    """
    cdef int rings = radii.shape[0]
    cdef int a, b
    cdef Detector d = unpack_detector(detector)
    if thresholds.shape[0] != rings:
        raise ValueError(f"{rings} radii, {thresholds.shape[0]} thresholds")
    out = np.zeros((size, size))
    cdef double[:, ::1] view = out
    if rings == 0 or size == 0:
        return out
    for a in prange(size, nogil=True, num_threads=threads, schedule='static', chunksize=16):
        for b in range(size):
            view[a, b] = _threshold(&d, a, b, &radii[0], &thresholds[0], rings, half_width)
    return out
