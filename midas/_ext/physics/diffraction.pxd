"""The diffraction condition (docs/theory/geometry.md#diffraction-condition).

A reflection G = (x, y, z) in the sample frame fires at the rotation angles omega with

    -x cos(omega) + y sin(omega) = v,    v = |G| sin(theta) = wavelength |G|² / 2.
"""
from libc.math cimport sqrt


cdef inline void omega_of(double x, double y, double v, double h, double e, double* cos_omega,
                          double* sin_omega) noexcept nogil:
    """The angle that turns (x, y) to the laboratory (-v, e), where h = x² + y² = v² + e².

    cos = (y e - x v)/h, sin = (y v + x e)/h: no trigonometry, and no special case near y = 0. Both signs of
    e = ±sqrt(h - v²) fire; the larger cosine belongs to the e that has the sign of y.
    """
    cos_omega[0] = (y * e - x * v) / h
    sin_omega[0] = (y * v + x * e) / h


cdef inline void omega_branch(double x, double y, double v, double sign, double* e, double* cos_omega,
                              double* sin_omega) noexcept nogil:
    """The solution whose laboratory y has the sign of `sign` (+1 or -1), for loops over spots: no branches.

    A reflection that does not fire is kept at the nearest one that does (e stays away from 0), so that a fit in
    progress sees a finite, continuous spot.
    """
    cdef double h = x * x + y * y
    cdef double root = h - v * v
    cdef double floor = 1e-8 * h
    root = root if root > floor else floor
    e[0] = sign * sqrt(root)
    omega_of(x, y, v, h, e[0], cos_omega, sin_omega)
