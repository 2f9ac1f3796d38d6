"""Which simulated spot an observed one belongs to (spec chapter 06 §4.2-4.5).

Simulated spots are grouped by ring; a match is named by its reflection and branch, so it survives changes of order.
"""
from libc.math cimport asin, atan2, cos, fabs, sqrt

from midas._ext.physics.geometry cimport DEG2RAD, RAD2DEG, rotate_z
from midas._ext.physics.predict cimport (
    Firing, IdealSpot, centre, fires, first_branch, ideal_spot, scattering_of_spot, straighten_omega)
from midas._ext.physics.region cimport ACCEPTED, Region, direction_beside_poles, place_verdict
from midas._ext.physics.rotation cimport matrix_vector
from midas._ext.physics.wedge cimport Instrument
from midas._ext.refine.model cimport Grain


cdef struct Reflections:
    # Sorted by ring; group g holds first[g] … first[g + 1] - 1.
    Py_ssize_t n
    Py_ssize_t groups
    const double* h
    const double* k
    const double* m
    const int* first


cdef struct Simulated:
    # Spots of one grain, ring by ring, (groups + 1) starts
    int* first
    int* reflection
    double* sign
    double* gx             # unit vector of G
    double* gy
    double* gz
    double* d_spacing
    double* y              # of a grain at the origin
    double* z
    double* cos_omega
    double* sin_omega


cdef struct Observed:
    # One spot corrected for the grain's position
    double y
    double z
    double cos_omega       # without wedge
    double sin_omega
    double direction[3]    # unit scattering vector in the sample frame


cdef inline bint is_observable(const Region* region, double y, double z, double cos_omega,
                               double sin_omega) noexcept nogil:
    """Whether a simulated spot lies in the region."""
    return (direction_beside_poles(region, y, z)
            and place_verdict(region, RAD2DEG * atan2(sin_omega, cos_omega), y, z) == ACCEPTED)


cdef inline void simulate_spots(const Reflections* reflections, const Grain* grain, const Instrument* instrument,
                                const Region* region, Simulated* out) noexcept nogil:
    """Every observable spot of the grain, in the order of the reflections, the larger cos(omega) first."""
    cdef Firing f
    cdef IdealSpot spot
    cdef double g[3]
    cdef double hkl[3]
    cdef double branch
    cdef Py_ssize_t group, _branch
    cdef int i, n = 0
    for group in range(reflections.groups):
        out.first[group] = n
        for i in range(reflections.first[group], reflections.first[group + 1]):
            hkl[0] = reflections.h[i]
            hkl[1] = reflections.k[i]
            hkl[2] = reflections.m[i]
            matrix_vector(grain.ub, hkl, g)
            if not fires(instrument, g[0], g[1], g[2], &f):
                continue
            branch = first_branch(f.y)
            for _branch in range(2):
                ideal_spot(&f, branch, &spot)
                if is_observable(region, spot.y, spot.z, spot.cos_omega, spot.sin_omega):
                    out.reflection[n] = i
                    out.sign[n] = branch
                    out.gx[n] = f.x * f.d_spacing
                    out.gy[n] = f.y * f.d_spacing
                    out.gz[n] = f.z * f.d_spacing
                    out.d_spacing[n] = f.d_spacing
                    out.y[n] = spot.y
                    out.z[n] = spot.z
                    out.cos_omega[n] = spot.cos_omega
                    out.sin_omega[n] = spot.sin_omega
                    n += 1
                branch = -branch
    out.first[reflections.groups] = n


cdef inline void correct_spot(double y, double z, double cos_omega, double sin_omega, const double* position,
                              const Instrument* instrument, Observed* out) noexcept nogil:
    """Spot as if the grain were at the origin, its omega without wedge, its scattering direction (§4.4)."""
    cdef double k[3]
    cdef double length
    out.y = y
    out.z = z
    centre(instrument, cos_omega, sin_omega, position, &out.y, &out.z)
    scattering_of_spot(instrument.lsd, out.y, out.z, k)
    length = sqrt(k[0] * k[0] + k[1] * k[1] + k[2] * k[2])
    k[0] /= length
    k[1] /= length
    k[2] /= length
    out.cos_omega = cos_omega
    out.sin_omega = sin_omega
    straighten_omega(instrument, k, &out.cos_omega, &out.sin_omega)
    rotate_z(out.cos_omega, -out.sin_omega, k, out.direction)


cdef inline double direction_angle(const double* a, double bx, double by, double bz) noexcept nogil:
    """Angle in degrees between unit vectors, by their chord: exact for small angles."""
    cdef double dx = a[0] - bx, dy = a[1] - by, dz = a[2] - bz
    cdef double half = 0.5 * sqrt(dx * dx + dy * dy + dz * dz)
    return RAD2DEG * 2.0 * asin(half if half < 1.0 else 1.0)


cdef inline int nearest_simulated(const Observed* spot, int group, const Simulated* simulated) noexcept nogil:
    """The simulated spot of the ring within 5° of omega whose direction is nearest, if within 1°; else -1."""
    cdef double best = cos(DEG2RAD * 1.0)
    cdef double cos_limit = cos(DEG2RAD * 5.0)
    cdef double cosine
    cdef int i, found = -1
    for i in range(simulated.first[group], simulated.first[group + 1]):
        cosine = (spot.direction[0] * simulated.gx[i] + spot.direction[1] * simulated.gy[i]
                  + spot.direction[2] * simulated.gz[i])
        if cosine > best and (spot.cos_omega * simulated.cos_omega[i]
                              + spot.sin_omega * simulated.sin_omega[i]) > cos_limit:
            best = cosine
            found = i
    return found
