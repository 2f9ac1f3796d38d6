"""Which simulated spot an observed one belongs to (spec chapter 06 §4.2-4.5).

Simulated spots are grouped by ring; a match is named by its reflection and branch, so it survives changes of order.
"""
from libc.math cimport asin, atan2, cos, fabs, sqrt

from midas._ext.physics.diffraction cimport omega_branch, wedge_rotation
from midas._ext.physics.geometry cimport DEG2RAD, RAD2DEG, rotate_z, unshift_spot
from midas._ext.physics.region cimport ACCEPTED, Region, direction_beside_poles, place_verdict
from midas._ext.refine.model cimport Grain
from midas._ext.physics.wedge cimport Instrument, leaned_position


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
    cdef const double* ub = grain.ub
    cdef double x, y, z, g2, v, e, cos_omega, sin_omega, sign, scale, sin_theta, tan_scale
    cdef Py_ssize_t group, _branch
    cdef int i, n = 0
    for group in range(reflections.groups):
        out.first[group] = n
        for i in range(reflections.first[group], reflections.first[group + 1]):
            x = ub[0] * reflections.h[i] + ub[1] * reflections.k[i] + ub[2] * reflections.m[i]
            y = ub[3] * reflections.h[i] + ub[4] * reflections.k[i] + ub[5] * reflections.m[i]
            z = ub[6] * reflections.h[i] + ub[7] * reflections.k[i] + ub[8] * reflections.m[i]
            g2 = x * x + y * y + z * z
            v = 0.5 * instrument.wavelength * g2
            if x * x + y * y - v * v < 0.0:
                continue
            scale = 1.0 / sqrt(g2)
            sin_theta = v * scale
            # L tan(2θ) / (|G| cos θ) = 2 L sin θ / (|G| cos 2θ)
            tan_scale = 2.0 * instrument.lsd * sin_theta * scale / (1.0 - 2.0 * sin_theta * sin_theta)
            sign = 1.0 if y >= 0.0 else -1.0
            for _branch in range(2):
                omega_branch(x, y, v, sign, &e, &cos_omega, &sin_omega)
                if is_observable(region, tan_scale * e, tan_scale * z, cos_omega, sin_omega):
                    out.reflection[n] = i
                    out.sign[n] = sign
                    out.gx[n] = x * scale
                    out.gy[n] = y * scale
                    out.gz[n] = z * scale
                    out.d_spacing[n] = scale
                    out.y[n] = tan_scale * e
                    out.z[n] = tan_scale * z
                    out.cos_omega[n] = cos_omega
                    out.sin_omega[n] = sin_omega
                    n += 1
                sign = -sign
    out.first[reflections.groups] = n


cdef inline void correct_spot(double y, double z, double cos_omega, double sin_omega, const double* position,
                              const Instrument* instrument, Observed* out) noexcept nogil:
    """Spot as if the grain were at the origin, its omega without wedge, its scattering direction (§4.4)."""
    cdef double k[3]
    cdef double leaned[3]
    cdef double ray, r2, length, cos_shift, sin_shift
    leaned_position(instrument, cos_omega, sin_omega, position, leaned)
    out.y = y
    out.z = z
    unshift_spot(instrument.lsd, leaned, &out.y, &out.z)
    # Direction of the diffracted ray minus the beam's, without the cancellation in L/|ray| - 1.
    r2 = out.y * out.y + out.z * out.z
    ray = sqrt(instrument.lsd * instrument.lsd + r2)
    k[0] = -r2 / (ray * (ray + instrument.lsd))
    k[1] = out.y / ray
    k[2] = out.z / ray
    length = sqrt(k[0] * k[0] + k[1] * k[1] + k[2] * k[2])
    k[0] /= length
    k[1] /= length
    k[2] /= length
    out.cos_omega = cos_omega
    out.sin_omega = sin_omega
    if instrument.sin_wedge != 0.0:
        wedge_rotation(k, instrument.cos_wedge, instrument.sin_wedge, &cos_shift, &sin_shift)
        out.cos_omega = cos_omega * cos_shift - sin_omega * sin_shift
        out.sin_omega = sin_omega * cos_shift + cos_omega * sin_shift
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
