"""The instrument, and how its rotation axis leans (docs/theory/wedge.md#rotation-axis)."""
from midas._ext.physics.geometry cimport rotate_z


cdef struct Instrument:
    double lsd             # µm
    double wavelength      # Å
    double cos_wedge
    double sin_wedge


cdef inline void leaned_position(const Instrument* instrument, double cos_omega, double sin_omega,
                                 const double* position, double* leaned) noexcept nogil:
    """A grain's position in the laboratory: turned by omega, leaned by the wedge.

    See docs/theory/wedge.md#lean-of-a-position.
    """
    cdef double lab[3]
    rotate_z(cos_omega, sin_omega, position, lab)
    leaned[0] = lab[0] * instrument.cos_wedge - lab[2] * instrument.sin_wedge
    leaned[1] = lab[1]
    leaned[2] = lab[0] * instrument.sin_wedge + lab[2] * instrument.cos_wedge
