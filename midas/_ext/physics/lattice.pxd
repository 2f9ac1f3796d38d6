"""Unit cell to bases, and Bragg's law (docs/theory/refinement.md#lattice-to-scattering-vector)."""

from midas._ext.numerics.elementary cimport acos, asin, cos, sin
from midas._ext.physics.geometry cimport DEG2RAD, RAD2DEG


cdef inline void reciprocal_basis(const double* cell, double* basis) noexcept nogil:
    """B, row-major 3×3, columns a* b* c* in Å⁻¹ without 2π; a* along x, c along z.

    `cell` is a, b, c (Å), alpha, beta, gamma (degrees). Operations in the legacy order, for its last printed digits.
    """
    cdef double a = cell[0], b = cell[1], c = cell[2]
    cdef double cos_alpha = cos(DEG2RAD * cell[3]), sin_alpha = sin(DEG2RAD * cell[3])
    cdef double cos_beta = cos(DEG2RAD * cell[4]), sin_beta = sin(DEG2RAD * cell[4])
    cdef double cos_gamma = cos(DEG2RAD * cell[5]), sin_gamma = sin(DEG2RAD * cell[5])
    cdef double gamma_star = RAD2DEG * acos((cos_alpha * cos_beta - cos_gamma) / (sin_alpha * sin_beta))
    cdef double beta_star = RAD2DEG * acos((cos_gamma * cos_alpha - cos_beta) / (sin_gamma * sin_alpha))
    cdef double sin_beta_star = sin(DEG2RAD * beta_star), sin_gamma_star = sin(DEG2RAD * gamma_star)
    cdef double volume = a * (b * (c * (sin_alpha * (sin_beta_star * sin_gamma))))
    cdef double a_star = b * c * sin_alpha / volume
    cdef double b_star = c * a * sin_beta / volume
    cdef double c_star = a * b * sin_gamma / volume
    basis[0] = a_star
    basis[1] = b_star * cos(DEG2RAD * gamma_star)
    basis[2] = c_star * cos(DEG2RAD * beta_star)
    basis[3] = 0.0
    basis[4] = b_star * sin_gamma_star
    basis[5] = -c_star * sin_beta_star * cos_alpha
    basis[6] = 0.0
    basis[7] = 0.0
    basis[8] = c_star * sin_beta_star * sin_alpha


cdef inline void direct_basis(const double* cell, double* basis) noexcept nogil:
    """A, row-major 3×3, columns a, b, c in Å, in the same frame: a* along x, c along z.

    See docs/theory/grains.md#lattice-vectors.
    """
    cdef double cos_alpha = cos(DEG2RAD * cell[3]), sin_alpha = sin(DEG2RAD * cell[3])
    cdef double cos_beta = cos(DEG2RAD * cell[4]), sin_beta = sin(DEG2RAD * cell[4])
    cdef double cos_gamma_star = (cos_alpha * cos_beta - cos(DEG2RAD * cell[5])) / (sin_alpha * sin_beta)
    basis[0] = cell[0] * sin_beta * sin(acos(cos_gamma_star))
    basis[1] = 0.0
    basis[2] = 0.0
    basis[3] = -cell[0] * sin_beta * cos_gamma_star
    basis[4] = cell[1] * sin_alpha
    basis[5] = 0.0
    basis[6] = cell[0] * cos_beta
    basis[7] = cell[1] * cos_alpha
    basis[8] = cell[2]


cdef inline double bragg_spacing(double wavelength, double theta) noexcept nogil:
    """d = wavelength/(2 sin theta), in the wavelength's unit; theta in radians."""
    return wavelength / (2.0 * sin(theta))


cdef inline double theta_of(double sin_theta) noexcept nogil:
    """theta in degrees; NaN for a sine beyond ±1."""
    return RAD2DEG * asin(sin_theta)


cdef inline double bragg_angle(double wavelength, double d_spacing) noexcept nogil:
    """theta in degrees of planes with that spacing; NaN when it is less than half the wavelength."""
    return theta_of(wavelength / (2.0 * d_spacing))
