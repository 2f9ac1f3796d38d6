"""The diffraction condition in degrees and arc cosines, as the legacy programs solve it.

For the records of the indexer, the simplex of the staged refinement and the tables of the legacy simulator, which must
be equal to the last bit; everything else uses `midas._ext.physics.predict`.
"""
from libc.math cimport fabs, sqrt

from midas._ext.numerics.elementary cimport acos, sin, sincos
from midas._ext.physics.geometry cimport DEG2RAD, RAD2DEG, eta_of

cdef struct RingSpot:
    # A solution of the condition: its spot on a ring, for a grain at the origin
    double cos_omega
    double sin_omega
    double eta             # degrees; NaN for a vector along the beam
    double y               # µm
    double z


cdef inline double _omega_of_cosine(double x, double y, double v, double cosine) noexcept nogil:
    cdef double omega = acos(cosine)
    cdef double sine = sin(omega)
    cdef double plus = fabs(-x * cosine + y * sine - v)
    cdef double minus = fabs(-x * cosine + y * -sine - v)
    return RAD2DEG * (omega if plus < minus else -omega)


cdef inline int legacy_omegas(double x, double y, double v, double* omega) noexcept nogil:
    """Angles (degrees) at which -x cos + y sin = v: none, one or two, the larger cosine first.

    See docs/theory/geometry.md#legacy-omega-solutions.

    For |y| < 1e-4 Å⁻¹ it ignores y, which misplaces omega by up to 0.02 degrees.
    """
    cdef double a, b, c, discriminant, root, cosine
    cdef int n = 0
    if fabs(y) < 1e-4:
        if x != 0.0:
            cosine = -v / x
            if fabs(cosine) <= 1.0:
                omega[0] = RAD2DEG * acos(cosine)
                omega[1] = -omega[0]
                n = 2
        return n
    a = 1.0 + (x * x) / (y * y)
    b = (2.0 * v * x) / (y * y)
    c = (v * v) / (y * y) - 1.0
    discriminant = b * b - 4.0 * a * c
    if discriminant < 0.0:
        return 0
    root = sqrt(discriminant)
    cosine = (-b + root) / (2.0 * a)
    if fabs(cosine) <= 1.0:
        omega[n] = _omega_of_cosine(x, y, v, cosine)
        n += 1
    cosine = (-b - root) / (2.0 * a)
    if fabs(cosine) <= 1.0:
        omega[n] = _omega_of_cosine(x, y, v, cosine)
        n += 1
    return n


cdef inline void ring_spot(const double* g, double omega, double radius, RingSpot* spot) noexcept nogil:
    """The spot of G at a solution (degrees), on a ring of this radius (µm) whatever the length of G."""
    cdef double sine, cosine
    sincos(DEG2RAD * omega, &spot.sin_omega, &spot.cos_omega)
    spot.eta = eta_of(g[0] * spot.sin_omega + g[1] * spot.cos_omega, g[2])
    sincos(DEG2RAD * spot.eta, &sine, &cosine)
    spot.y = -radius * sine
    spot.z = radius * cosine


cdef inline void scattering_direction(double sin_theta, double cos_theta, double sin_eta, double cos_eta,
                                      double* k) noexcept nogil:
    """Unit scattering vector in the laboratory of a spot at (theta, eta): (-sinθ, -cosθ sinη, cosθ cosη)."""
    k[0] = -sin_theta
    k[1] = -cos_theta * sin_eta
    k[2] = cos_theta * cos_eta
