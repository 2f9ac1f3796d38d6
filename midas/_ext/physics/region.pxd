"""Where spots are accepted: omega ranges with their boxes, the poles, the mask."""
from libc.math cimport atan2, fabs, sqrt

from midas._ext.physics.geometry cimport RAD2DEG


cdef struct AcceptedRegion:
    # Where spots can be observed; `ranges` and `boxes` are parallel, none of them means no limit.
    double cos_pole        # cosine of the excluded angle around eta = 0 and 180
    Py_ssize_t n
    const double* ranges   # (n, 2) omega, degrees
    const double* boxes    # (n, 4) ymin ymax zmin zmax, µm
    const int* mask        # bits of the detector, row-major
    Py_ssize_t mask_words
    long long mask_size    # pixels along a side; 0: no mask
    double px


cdef inline bint pixel_is_live(const AcceptedRegion* region, double y, double z) noexcept nogil:
    """Whether the mask bit of the pixel is set (§4.3); a spot beside the detector has none."""
    cdef long long size = region.mask_size
    cdef long long along = size // 2 - <long long>(-y / region.px)
    cdef long long row = <long long>(z / region.px) + size // 2
    cdef long long bit = along + size * row
    if along < 0 or along >= size or row < 0 or row >= size or bit // 32 >= region.mask_words:
        return False
    return (<unsigned int>region.mask[bit // 32] >> <int>(bit % 32)) & 1


cdef inline bint is_observable(const AcceptedRegion* region, double y, double z, double cos_omega,
                               double sin_omega) noexcept nogil:
    """Whether a simulated spot lies outside the poles, in a range with its box, and on a live pixel."""
    cdef double omega
    cdef Py_ssize_t i
    cdef const double* box
    cdef bint inside = region.n == 0
    if fabs(z) > region.cos_pole * sqrt(y * y + z * z):
        return False
    if region.n:
        omega = RAD2DEG * atan2(sin_omega, cos_omega)
    for i in range(region.n):
        box = region.boxes + 4 * i
        # A range of a full turn has no seam at its ends.
        if ((region.ranges[2 * i + 1] - region.ranges[2 * i] >= 360.0
             or region.ranges[2 * i] < omega < region.ranges[2 * i + 1])
                and box[0] < y < box[1] and box[2] < z < box[3]):
            inside = True
            break
    return inside and (region.mask_size == 0 or pixel_is_live(region, y, z))
