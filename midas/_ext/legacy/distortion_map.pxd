"""The legacy inverse of the detector geometry: a map of displacements, good to a pixel's fraction."""
from libc.math cimport isnan

from midas._ext.physics.geometry cimport Detector


cdef inline bint mapped(const double* table, Py_ssize_t pixels_y, Py_ssize_t pixels_z, const Detector* detector,
                        double* y, double* z) noexcept nogil:
    """Ideal to raw position (µm) through the nearest cell of the map; False where it has none."""
    cdef Py_ssize_t i = <Py_ssize_t>(-y[0] / detector.px + detector.y_bc)
    cdef Py_ssize_t j = <Py_ssize_t>(z[0] / detector.px + detector.z_bc)
    cdef int k
    cdef Py_ssize_t ni, nj
    cdef const double* cell
    if i < 0 or j < 0 or i >= pixels_y or j >= pixels_z:
        return False
    # The cell itself, then left, right, below, above: cells between pixels that the distortion has spread are empty.
    for k in range(5):
        ni = i + (k == 2) - (k == 1)
        nj = j + (k == 4) - (k == 3)
        if ni < 0 or nj < 0 or ni >= pixels_y or nj >= pixels_z:
            continue
        cell = table + 2 * (nj * pixels_y + ni)
        if not isnan(cell[0]):
            y[0] += cell[0]
            z[0] += cell[1]
            return True
    return False
