"""Rounded orientation matrices made orthogonal the legacy way (docs/theory/simulation.md#legacy-approximations)."""
import numpy as np

from libc.math cimport sqrt

from midas._ext.legacy.euler cimport arc_cosines
from midas._ext.physics.rotation cimport euler_matrix

cdef enum:
    NUMBERS = 9            # of a matrix

#: with Phi nearer to 0 or 180 degrees (its sine) the other two angles lose their meaning
cdef double SMALLEST_SINE = 1e-5


def legacy_rotations(const double[:, ::1] matrices, const double[:, ::1] nearest):
    """Rotations by way of Bunge angles from arc cosines: within the rounding of the input the nearest ones.

    Parameters
    ----------
    matrices : (n, 9) float64, row-major, rounded rotations
    nearest : (n, 9) float64, the nearest rotations, which stand in where Phi is near 0 or 180 degrees

    Returns
    -------
    (n, 9) float64

    Raises
    ------
    ValueError : shapes that do not fit
    """
    cdef Py_ssize_t n = matrices.shape[0], i
    cdef double angles[3]
    if not matrices.shape[1] == nearest.shape[1] == NUMBERS or nearest.shape[0] != n:
        raise ValueError("two matrices of nine numbers per grain")
    out = np.array(nearest)
    cdef double[:, ::1] rotations = out
    with nogil:
        for i in range(n):
            if sqrt(max(1.0 - matrices[i, 8] * matrices[i, 8], 0.0)) >= SMALLEST_SINE:
                arc_cosines(&matrices[i, 0], angles)
                euler_matrix(angles, &rotations[i, 0])
    return out
