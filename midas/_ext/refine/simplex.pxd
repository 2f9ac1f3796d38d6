"""The legacy minimiser of the staged refinement: plain sums, lowered by a bounded simplex (spec chapter 06 §4.6-4.7).

A simplex goes where the last bits of its sums send it. So they are formed in the legacy arithmetic, and with what that
does at crossings (defects D6, D7): a spot is compared with the first or second branch of its reflection that can be
observed at the moment, and counts nothing when there is none. For comparisons with legacy results; the other methods
have none of this.
"""
from libc.math cimport acos, asin, cos, fabs, sin, sqrt, tan

from midas._ext.legacy.diffraction cimport RingSpot, legacy_omegas, ring_spot, scattering_direction
from midas._ext.legacy.wedge cimport WedgeFree, without_wedge
from midas._ext.physics.geometry cimport DEG2RAD, RAD2DEG, eta_of, rotate_z, two_theta_of
from midas._ext.numerics.nelder_mead cimport minimise as lower_by_simplex
from midas._ext.refine.fit cimport Fit
from midas._ext.refine.match cimport is_observable
from midas._ext.refine.model cimport DIRECTION, ORIENTATION, VARIABLES, Grain, set_grain
from midas._ext.refine.seed cimport Match, Problem, Workspace, spot_at_origin
from midas._ext.physics.rotation cimport euler_matrix, matrix_vector
from midas._ext.physics.wedge cimport Instrument

cdef extern from *:
    """
    /* Relative tolerances of the sum and of the simplex; cosine of the largest angle that counts (4 degrees). */
    #define MIDAS_SIMPLEX_TOLERANCE 1e-5
    #define MIDAS_COS_LARGEST_ANGLE 0.9975640502598242
    """
    const double TOLERANCE "MIDAS_SIMPLEX_TOLERANCE"
    const double COS_LARGEST_ANGLE "MIDAS_COS_LARGEST_ANGLE"

cdef enum:
    RUNS = 2               # the second starts from the end of the first
    MAX_EVALUATIONS = 5000
    SIMPLEX_DOUBLES = (VARIABLES + 1) * (VARIABLES + 1) + 3 * VARIABLES


cdef struct Sum:
    # What the objective needs; the columns of the workspace hold the spots, observed and predicted.
    const Fit* fit
    const Problem* problem
    Workspace* work
    Grain* grain
    Py_ssize_t spots
    int* in_use            # distinct reflections of the spots
    int reflections
    int* branches          # of each reflection: how many can be observed
    double x[VARIABLES]


cdef inline double _legacy_angle(double sine, double cosine) noexcept nogil:
    cdef double angle = acos(min(max(cosine, -1.0), 1.0))
    return RAD2DEG * (angle if sine >= 0.0 else 6.283185307179586 - angle)


cdef inline void legacy_euler(const double* m, double* angles) noexcept nogil:
    """Bunge angles in [0, 360) degrees by arc cosines (§4.1)."""
    cdef double phi = acos(min(max(m[8], -1.0), 1.0))
    cdef double sin_phi = sin(phi)
    angles[1] = RAD2DEG * phi
    if fabs(sin_phi) < 1e-12:
        angles[0] = 0.0
        angles[2] = _legacy_angle(m[3] if m[8] > 0.0 else -m[3], m[0])
    else:
        angles[0] = _legacy_angle(m[2] / sin_phi, -m[5] / sin_phi)
        angles[2] = _legacy_angle(m[6] / sin_phi, m[7] / sin_phi)


cdef inline void start_angles(const double* orientation, double* angles) noexcept nogil:
    """Where the legacy program starts: there and back twice (§4.6)."""
    cdef double again[9]
    legacy_euler(orientation, angles)
    euler_matrix(angles, again)
    legacy_euler(again, angles)


cdef inline void predict(const Sum* s) noexcept nogil:
    """Direction of every reflection in use, and its observable branches in the legacy order (§4.2)."""
    cdef const Instrument* instrument = &s.problem.instrument
    cdef double h[3]
    cdef double crystal[3]
    cdef double g[3]
    cdef double omega[2]
    cdef double length, theta, radius
    cdef RingSpot spot
    cdef int i, j, branch, row
    set_grain(s.grain, s.x)
    for j in range(s.reflections):
        i = s.in_use[j]
        h[0] = s.problem.reflections.h[i]
        h[1] = s.problem.reflections.k[i]
        h[2] = s.problem.reflections.m[i]
        matrix_vector(s.grain.b, h, crystal)
        length = 1.0 / sqrt(crystal[0] * crystal[0] + crystal[1] * crystal[1] + crystal[2] * crystal[2])
        theta = RAD2DEG * asin(instrument.wavelength / (2.0 * length))
        radius = instrument.lsd * tan(DEG2RAD * (2.0 * theta))
        matrix_vector(s.grain.u, crystal, g)
        length = sqrt(g[0] * g[0] + g[1] * g[1] + g[2] * g[2])
        s.branches[i] = 0
        for branch in range(legacy_omegas(g[0], g[1], sin(DEG2RAD * theta) * length, omega)):
            ring_spot(g, omega[branch], radius, &spot)
            if is_observable(&s.problem.region, spot.y, spot.z, spot.cos_omega, spot.sin_omega):
                row = 2 * i + s.branches[i]
                s.work.simulated.y[row] = spot.y
                s.work.simulated.z[row] = spot.z
                s.work.simulated.gx[row] = g[0] / length
                s.work.simulated.gy[row] = g[1] / length
                s.work.simulated.gz[row] = g[2] / length
                s.branches[i] += 1


cdef inline void observe(const Sum* s) noexcept nogil:
    """The spots as if the grain were at the origin and there were no wedge, and their directions (§4.4)."""
    cdef const Instrument* instrument = &s.problem.instrument
    cdef double k[3]
    cdef double y, z, theta
    cdef WedgeFree spot
    cdef Py_ssize_t i
    for i in range(s.spots):
        spot_at_origin(&s.work.matched[i], s.x, s.problem, &y, &z)
        spot = without_wedge(instrument, y, z, s.problem.table.omega_raw[s.work.matched[i].row])
        s.work.spots.y[i] = spot.y
        s.work.spots.z[i] = spot.z
        if s.fit.objective == DIRECTION:
            theta = two_theta_of(sqrt(spot.y * spot.y + spot.z * spot.z), instrument.lsd) / 2.0
            spot.eta = eta_of(spot.y, spot.z)
            scattering_direction(sin(DEG2RAD * theta), cos(DEG2RAD * theta), sin(DEG2RAD * spot.eta),
                                 cos(DEG2RAD * spot.eta), k)
            rotate_z(cos(DEG2RAD * spot.omega), -sin(DEG2RAD * spot.omega), k, k)
            s.work.spots.direction[0][i] = k[0]
            s.work.spots.direction[1][i] = k[1]
            s.work.spots.direction[2][i] = k[2]


cdef inline double plain_sum(const double* point, int n, void* context) noexcept nogil:
    """Sum of the distances (µm) or of the angles (degrees) at some values of the free variables (§4.6)."""
    cdef Sum* s = <Sum*>context
    cdef double total = 0.0, dy, dz, cosine
    cdef Py_ssize_t i
    cdef int row, reflection
    for i in range(n):
        s.x[s.fit.first + i] = point[i]
    if s.fit.last > ORIENTATION:
        predict(s)
    if s.fit.first < ORIENTATION:
        observe(s)
    for i in range(s.spots):
        reflection = s.work.matched[i].reflection
        if s.work.branch[i] >= s.branches[reflection]:
            continue
        row = 2 * reflection + s.work.branch[i]
        if s.fit.objective == DIRECTION:
            cosine = (s.work.simulated.gx[row] * s.work.spots.direction[0][i]
                      + s.work.simulated.gy[row] * s.work.spots.direction[1][i]
                      + s.work.simulated.gz[row] * s.work.spots.direction[2][i])
            if cosine >= COS_LARGEST_ANGLE:
                total += RAD2DEG * acos(min(cosine, 1.0))
        else:
            dy = s.work.simulated.y[row] - s.work.spots.y[i]
            dz = s.work.simulated.z[row] - s.work.spots.z[i]
            total += sqrt(dy * dy + dz * dz)
    return total


cdef inline void number_branches(Sum* s) noexcept nogil:
    """Which reflections are in use, and which of its branches each spot was matched with, at the start."""
    cdef const Match* match
    cdef Py_ssize_t i
    cdef int k
    for i in range(s.problem.reflections.n):
        s.branches[i] = 0
    s.reflections = 0
    for i in range(s.spots):
        k = s.work.matched[i].reflection
        if s.branches[k] == 0:
            s.branches[k] = 1
            s.in_use[s.reflections] = k
            s.reflections += 1
    predict(s)
    for i in range(s.spots):
        match = &s.work.matched[i]
        # Beyond both: a branch that the legacy program does not see here.
        s.work.branch[i] = 2
        for k in range(s.branches[match.reflection]):
            if (s.work.simulated.y[2 * match.reflection + k] > 0.0) == (match.sign > 0.0):
                s.work.branch[i] = k


cdef inline void search(const Fit* fit, Py_ssize_t spots, const Problem* problem, Workspace* work, Grain* grain,
                        double* x) noexcept nogil:
    """Lower the plain sum over the matched spots, as long as the simplex allows."""
    cdef double workspace[SIMPLEX_DOUBLES]
    cdef double minimum
    cdef int evaluations, i, _run
    cdef Sum s
    s.fit = fit
    s.problem = problem
    s.work = work
    s.grain = grain
    s.spots = spots
    s.branches = work.simulated.reflection
    s.in_use = work.simulated.reflection + problem.reflections.n
    for i in range(VARIABLES):
        s.x[i] = x[i]
    number_branches(&s)
    observe(&s)
    for _run in range(RUNS):
        lower_by_simplex(plain_sum, &s, fit.last - fit.first, x + fit.first, fit.lower + fit.first,
                         fit.upper + fit.first, TOLERANCE, TOLERANCE, MAX_EVALUATIONS, &minimum, &evaluations,
                         workspace)
