"""The reflections of a crystal as the detector records them, and which of them can be observed.

See docs/theory/resolving.md#sharp-matches.
"""
from midas._ext.physics.region cimport Region
from midas._ext.physics.wedge cimport Instrument


cdef struct CrystalReflection:
    int hkl                # place in the list of reflections
    int branch             # sign of the laboratory y: 1 or -1
    bint accepted          # whether it can be observed
    double omega_recorded  # degrees, -180 ... 180
    double y_plane         # µm
    double z_plane
    double eta             # of the spot, degrees
    double lorentz         # e/|G|: how slowly the reflection passes through the diffraction condition


cdef struct ReflectionList:
    Py_ssize_t n
    const double* h
    const double* k
    const double* l
    Instrument instrument
    const Region* region


cdef int predict_crystal(const ReflectionList* reflections, const double* u, const double* position,
                         const double* cell, CrystalReflection* out) noexcept nogil


cdef class ReflectionModel:
    cdef ReflectionList view
    cdef readonly object ring
    cdef tuple arrays
