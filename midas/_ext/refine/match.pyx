"""Which predicted spot an observed one belongs to (docs/theory/refinement.md#match).

Predicted spots are grouped by ring; a match is named by its reflection and branch, so it survives changes of order.
"""
from libc.math cimport sqrt

from midas._ext.numerics.elementary cimport asin, cos
from midas._ext.physics.geometry cimport DEG2RAD, RAD2DEG, scattering_of_spot
from midas._ext.physics.predict cimport (
    Firing,
    OriginSpot,
    centre,
    fires,
    first_branch,
    spot_of_branch,
    straighten,
)
from midas._ext.physics.region cimport is_observable
from midas._ext.physics.rotation cimport matrix_vector


cdef void predict_spots(const Reflections* reflections, const Grain* grain, const Instrument* instrument,
                        const Region* region, PredictedSpots* out) noexcept nogil:
    """Every observable spot of the grain, in the order of the reflections, the larger cos(omega) first."""
    cdef double hkl[3]
    cdef double g[3]
    cdef Firing f
    cdef OriginSpot spot
    cdef double branch
    cdef Py_ssize_t group, _branch
    cdef int i, n = 0
    for group in range(reflections.groups):
        out.first[group] = n
        for i in range(reflections.first[group], reflections.first[group + 1]):
            hkl[0] = reflections.h[i]
            hkl[1] = reflections.k[i]
            hkl[2] = reflections.l[i]
            matrix_vector(grain.ub, hkl, g)
            if not fires(instrument, g[0], g[1], g[2], &f):
                continue
            branch = first_branch(f.y)
            for _branch in range(2):
                spot_of_branch(&f, branch, &spot)
                if is_observable(region, instrument, spot.y, spot.z, spot.cos_omega, spot.sin_omega):
                    out.reflection[n] = i
                    out.branch[n] = branch
                    out.gx[n] = f.x * f.d_spacing
                    out.gy[n] = f.y * f.d_spacing
                    out.gz[n] = f.z * f.d_spacing
                    out.d_spacing[n] = f.d_spacing
                    out.y_ideal[n] = spot.y
                    out.z_ideal[n] = spot.z
                    out.cos_ideal[n] = spot.cos_omega
                    out.sin_ideal[n] = spot.sin_omega
                    n += 1
                branch = -branch
    out.first[reflections.groups] = n


cdef bint centre_spot(double y_plane, double z_plane, double cos_recorded, double sin_recorded, const double* position,
                      const Instrument* instrument, CentredSpot* out) noexcept nogil:
    """Spot as if the grain were at the origin and the axis upright, its scattering direction.

    False when there is no such spot, and the spot on the leaning axis stands for it; the direction is right always.
    See docs/theory/refinement.md#observed-spot-for-a-trial-position.
    """
    return centre_turned_spot(y_plane, z_plane, cos_recorded, sin_recorded, cos_recorded, sin_recorded, position,
                              instrument, out)


cdef bint centre_turned_spot(double y_plane, double z_plane, double cos_recorded, double sin_recorded, double cos_turn,
                             double sin_turn, const double* position, const Instrument* instrument,
                             CentredSpot* out) noexcept nogil:
    """`centre_spot` with an omega of its own that turns the position."""
    cdef double k[3]
    cdef double length
    out.y = y_plane
    out.z = z_plane
    centre(instrument, cos_turn, sin_turn, position, &out.y, &out.z)
    scattering_of_spot(instrument.lsd, out.y, out.z, k)
    length = sqrt(k[0] * k[0] + k[1] * k[1] + k[2] * k[2])
    k[0] /= length
    k[1] /= length
    k[2] /= length
    out.cos_ideal = cos_recorded
    out.sin_ideal = sin_recorded
    return straighten(instrument, k, &out.y, &out.z, &out.cos_ideal, &out.sin_ideal, out.direction)


cdef double direction_angle(const double* a, double bx, double by, double bz) noexcept nogil:
    """Angle in degrees between unit vectors, by their chord: exact for small angles."""
    cdef double dx = a[0] - bx, dy = a[1] - by, dz = a[2] - bz
    cdef double half = 0.5 * sqrt(dx * dx + dy * dy + dz * dz)
    return RAD2DEG * 2.0 * asin(half if half < 1.0 else 1.0)


cdef int nearest_predicted(const CentredSpot* spot, int group, const PredictedSpots* predicted) noexcept nogil:
    """The predicted spot of the ring within 5° of omega whose direction is nearest, if within 1°; else -1."""
    cdef double best = cos(DEG2RAD * 1.0)
    cdef double cos_limit = cos(DEG2RAD * 5.0)
    cdef double cosine
    cdef int i, found = -1
    for i in range(predicted.first[group], predicted.first[group + 1]):
        cosine = (spot.direction[0] * predicted.gx[i] + spot.direction[1] * predicted.gy[i]
                  + spot.direction[2] * predicted.gz[i])
        if cosine > best and (spot.cos_ideal * predicted.cos_ideal[i]
                              + spot.sin_ideal * predicted.sin_ideal[i]) > cos_limit:
            best = cosine
            found = i
    return found
