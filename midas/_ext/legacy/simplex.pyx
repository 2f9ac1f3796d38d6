"""The minimiser of the legacy refinement: plain sums, lowered by a bounded simplex.

A simplex goes where the last bits of its sums send it. So they are formed in the legacy arithmetic, and with what that
does at crossings: a spot is compared with the first or second branch of its reflection that can be observed at the
moment, and counts nothing when there is none. For comparisons with legacy results; the other methods have none of this.
See docs/theory/refinement.md#legacy-minimiser.
"""
from libc.math cimport sqrt

from midas._ext.legacy.diffraction cimport RingSpot, legacy_omegas, ring_spot, scattering_direction
from midas._ext.legacy.displacement cimport centre_by_ray
from midas._ext.legacy.wedge cimport without_wedge
from midas._ext.numerics.elementary cimport acos, cos, sin
from midas._ext.numerics.nelder_mead cimport minimise
from midas._ext.physics.geometry cimport DEG2RAD, RAD2DEG, eta_of, ring_radius_of, rotate_z, two_theta_of
from midas._ext.physics.lattice cimport bragg_angle, reciprocal_basis
from midas._ext.physics.region cimport is_observable
from midas._ext.physics.rotation cimport euler_matrix, matrix_vector
from midas._ext.physics.wedge cimport UprightSpot

#: relative tolerance of the sum and of the simplex
cdef double TOLERANCE = 1e-5
#: cosine of the largest angle that counts, 4 degrees
cdef double COS_LARGEST_ANGLE = 0.9975640502598242

cdef enum:
    RUNS = 2               # the second starts from the end of the first
    MAX_EVALUATIONS = 5000
    VARIABLES = 12
    SIMPLEX_DOUBLES = (VARIABLES + 1) * (VARIABLES + 1) + 3 * VARIABLES


cdef inline void _list_branches(PlainSum* s, int i, const double* g, double length, double sin_theta,
                                double radius) noexcept nogil:
    """The branches of reflection `i` that can be observed, in the legacy order."""
    cdef double omega[2]
    cdef RingSpot spot
    cdef int branch, row
    s.observable[i] = 0
    for branch in range(legacy_omegas(g[0], g[1], sin_theta * length, omega)):
        ring_spot(g, omega[branch], radius, &spot)
        if is_observable(s.region, s.instrument, spot.y, spot.z, spot.cos_omega, spot.sin_omega):
            row = 2 * i + s.observable[i]
            s.y_ideal[row] = spot.y
            s.z_ideal[row] = spot.z
            s.gx[row] = g[0] / length
            s.gy[row] = g[1] / length
            s.gz[row] = g[2] / length
            s.observable[i] += 1


cdef void _predict(PlainSum* s) noexcept nogil:
    """Direction of every reflection in use, and its observable branches in the legacy order."""
    cdef double b[9]
    cdef double hkl[3]
    cdef double crystal[3]
    cdef double g[3]
    cdef double d_spacing, theta, radius
    cdef int i, j
    if s.turns:
        euler_matrix(s.euler, s.u)
    reciprocal_basis(s.cell, b)
    for j in range(s.reflections):
        i = s.in_use[j]
        hkl[0] = s.h[i]
        hkl[1] = s.k[i]
        hkl[2] = s.l[i]
        matrix_vector(b, hkl, crystal)
        d_spacing = 1.0 / sqrt(crystal[0] * crystal[0] + crystal[1] * crystal[1] + crystal[2] * crystal[2])
        theta = bragg_angle(s.instrument.wavelength, d_spacing)
        radius = ring_radius_of(2.0 * theta, s.instrument.lsd)
        matrix_vector(s.u, crystal, g)
        _list_branches(s, i, g, sqrt(g[0] * g[0] + g[1] * g[1] + g[2] * g[2]), sin(DEG2RAD * theta), radius)


cdef void _observe(const PlainSum* s) noexcept nogil:
    """The spots as if the grain were at the origin and there were no wedge, and their directions."""
    cdef double k[3]
    cdef double y, z, radius, theta, eta
    cdef UprightSpot spot
    cdef Py_ssize_t i
    for i in range(s.spots):
        y = s.y_plane[i]
        z = s.z_plane[i]
        centre_by_ray(s.instrument, s.cos_recorded[i], s.sin_recorded[i], s.position, &y, &z)
        spot = without_wedge(s.instrument, y, z, s.omega_recorded[i])
        s.y_centred[i] = spot.y_ideal
        s.z_centred[i] = spot.z_ideal
        if s.of_angles:
            radius = sqrt(spot.y_ideal * spot.y_ideal + spot.z_ideal * spot.z_ideal)
            theta = two_theta_of(radius, s.instrument.lsd) / 2.0
            eta = eta_of(spot.y_ideal, spot.z_ideal)
            scattering_direction(sin(DEG2RAD * theta), cos(DEG2RAD * theta), sin(DEG2RAD * eta), cos(DEG2RAD * eta), k)
            rotate_z(cos(DEG2RAD * spot.omega_ideal), -sin(DEG2RAD * spot.omega_ideal), k, k)
            s.direction[0][i] = k[0]
            s.direction[1][i] = k[1]
            s.direction[2][i] = k[2]


cdef double _plain_sum(const double* point, int n, void* context) noexcept nogil:
    """Sum of the distances (µm) or of the angles (degrees) at some values of the free variables."""
    cdef PlainSum* s = <PlainSum*>context
    cdef double total = 0.0, dy, dz, cosine
    cdef Py_ssize_t i
    cdef int row
    for i in range(n):
        s.free[i] = point[i]
    if s.turns or s.strains:
        _predict(s)
    if s.moves:
        _observe(s)
    for i in range(s.spots):
        if s.place[i] >= s.observable[s.reflection[i]]:
            continue
        row = 2 * s.reflection[i] + s.place[i]
        if s.of_angles:
            cosine = (s.gx[row] * s.direction[0][i] + s.gy[row] * s.direction[1][i] + s.gz[row] * s.direction[2][i])
            if cosine >= COS_LARGEST_ANGLE:
                total += RAD2DEG * acos(min(cosine, 1.0))
        else:
            dy = s.y_ideal[row] - s.y_centred[i]
            dz = s.z_ideal[row] - s.z_centred[i]
            total += sqrt(dy * dy + dz * dz)
    return total


cdef void _find_places(PlainSum* s, int count) noexcept nogil:
    """Which of the `count` reflections are in use, and which branch each spot is compared with, at the start."""
    cdef Py_ssize_t i
    cdef int j, k
    for j in range(count):
        s.observable[j] = 0
    s.reflections = 0
    for i in range(s.spots):
        j = s.reflection[i]
        if s.observable[j] == 0:
            s.observable[j] = 1
            s.in_use[s.reflections] = j
            s.reflections += 1
    _predict(s)
    for i in range(s.spots):
        j = s.reflection[i]
        # Beyond both: a branch that the legacy program does not see here.
        s.place[i] = 2
        for k in range(s.observable[j]):
            if (s.y_ideal[2 * j + k] > 0.0) == (s.branch[i] > 0.0):
                s.place[i] = k


cdef void search(PlainSum* s, int count, int n, const double* lower, const double* upper, double* x) noexcept nogil:
    """Lower the sum over the `n` free variables `x`, within their bounds, as long as the simplex allows.

    `count` is the number of all reflections.
    """
    cdef double workspace[SIMPLEX_DOUBLES]
    cdef double minimum
    cdef int evaluations, _run
    _find_places(s, count)
    _observe(s)
    for _run in range(RUNS):
        minimise(_plain_sum, s, n, x, lower, upper, TOLERANCE, TOLERANCE, MAX_EVALUATIONS, &minimum, &evaluations,
                 workspace)
