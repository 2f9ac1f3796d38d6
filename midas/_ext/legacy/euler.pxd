"""Bunge angles as the legacy refinement takes them from a matrix: by arc cosines, in [0, 360) degrees.

See docs/theory/refinement.md#legacy-minimiser.
`midas._ext.physics.rotation.matrix_euler` is the exact form; this one decides where the staged simplex starts, and what
the legacy simulator makes of rounded matrices.
"""
from libc.math cimport fabs

from midas._ext.numerics.elementary cimport acos, sin
from midas._ext.physics.geometry cimport RAD2DEG
from midas._ext.physics.rotation cimport euler_matrix


cdef inline double _angle(double sine, double cosine) noexcept nogil:
    cdef double angle = acos(min(max(cosine, -1.0), 1.0))
    return RAD2DEG * (angle if sine >= 0.0 else 6.283185307179586 - angle)


cdef inline void arc_cosines(const double* m, double* angles) noexcept nogil:
    """phi1, Phi, phi2 of a row-major matrix, each cosine clipped to ±1."""
    cdef double phi = acos(min(max(m[8], -1.0), 1.0))
    cdef double sin_phi = sin(phi)
    angles[1] = RAD2DEG * phi
    if fabs(sin_phi) < 1e-12:
        angles[0] = 0.0
        angles[2] = _angle(m[3] if m[8] > 0.0 else -m[3], m[0])
    else:
        angles[0] = _angle(m[2] / sin_phi, -m[5] / sin_phi)
        angles[2] = _angle(m[6] / sin_phi, m[7] / sin_phi)


cdef inline void start_angles(const double* orientation, double* angles) noexcept nogil:
    """Where the legacy program starts: there and back twice."""
    cdef double again[9]
    arc_cosines(orientation, angles)
    euler_matrix(angles, again)
    arc_cosines(again, angles)
