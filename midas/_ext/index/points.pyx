"""Plane normals that can have produced a start spot, as points of its ring.

See docs/theory/indexing.md#which-plane-normals-are-tried.

Functions that return int return 0 when there is no memory, else 1.
"""
from libc.math cimport ceil, fabs, fmax, fmin, sqrt
from libc.stdlib cimport free, realloc

from midas._ext.legacy.diffraction cimport legacy_omegas
from midas._ext.numerics.elementary cimport acos, sin, sincos, tan
from midas._ext.physics.geometry cimport DEG2RAD, RAD2DEG, eta_of, wrap180
from midas._ext.index.candidates cimport PositionLine, position_line
from midas._ext.index.problem cimport IndexProblem, IndexRing, IndexSpots
from midas._ext.index.score cimport scattering_vector, stop_beam
from midas._ext.index.table cimport first_not_below, omega_bin_of, wrapped_segments

cdef enum:
    LONGEST_ARC = 10000000     # points; only nonsense input asks for more


cdef struct Arc:               # the part of a ring where the undisplaced spot can be
    double radius
    double low                 # y, or z where the arc runs along z
    double high
    double sign_y
    double sign_z
    bint along_z


# ---------------------------------------------------------------- memory


cdef int _reserve_points(RingPoints* points, int n) noexcept nogil:
    cdef double* y
    cdef double* z
    if n <= points.capacity:
        return 1
    n = max(n, 2 * points.capacity, 64)
    y = <double*>realloc(points.y, n * sizeof(double))
    if y != NULL:
        points.y = y
    z = <double*>realloc(points.z, n * sizeof(double))
    if z != NULL:
        points.z = z
    if y == NULL or z == NULL:
        return 0
    points.capacity = n
    return 1


cdef int _reserve_mates(Mates* mates, int n) noexcept nogil:
    cdef int* row
    cdef int* point
    cdef double* distance
    if n <= mates.capacity:
        return 1
    n = max(n, 2 * mates.capacity, 64)
    row = <int*>realloc(mates.row, n * sizeof(int))
    if row != NULL:
        mates.row = row
    point = <int*>realloc(mates.point, n * sizeof(int))
    if point != NULL:
        mates.point = point
    distance = <double*>realloc(mates.distance, n * sizeof(double))
    if distance != NULL:
        mates.distance = distance
    if row == NULL or point == NULL or distance == NULL:
        return 0
    mates.capacity = n
    return 1


cdef void free_points(RingPoints* points) noexcept nogil:
    free(points.y)
    free(points.z)


cdef void free_mates(Mates* mates) noexcept nogil:
    free(mates.row)
    free(mates.point)
    free(mates.distance)


# ---------------------------------------------------------------- plane normals


cdef inline double _circle(double radius, double t) noexcept nogil:
    return sqrt(radius * radius - t * t)


cdef bint _allowed_arc(const IndexProblem* p, int row, Arc* arc) noexcept nogil:
    """The arc of the ring within the sample's reach of the start spot; False where there is none.

    See docs/theory/indexing.md#allowed-arc.
    """
    cdef const IndexRing* ring = &p.rings[p.spots.ring[row]]
    cdef double r = ring.ring_radius, y = p.spots.y_ideal[row], z = p.spots.z_ideal[row], eta = p.spots.eta[row]
    cdef double psi = 180.0 - fabs(eta) if fabs(eta) > 90.0 else 90.0 - fabs(eta)
    cdef double height = p.h_beam + 2.0 * p.r_sample * tan(DEG2RAD * ring.two_theta) * sin(DEG2RAD * psi)
    cdef double eta_pole = 1.0 + RAD2DEG * acos(1.0 - height / r)
    cdef double eta_equator = 1.0 + RAD2DEG * acos(1.0 - p.r_sample / r)
    cdef double y_low = y - p.r_sample, y_high = y + p.r_sample
    cdef double z_low = z - 0.5 * height, z_high = z + 0.5 * height
    cdef double at_low, at_high
    arc.radius = r
    arc.along_z = False
    arc.sign_y = -1.0 if eta > 0.0 else 1.0
    arc.sign_z = 1.0 if fabs(eta) < 90.0 else -1.0
    if (eta_pole <= eta <= 90.0 - eta_equator or 90.0 + eta_equator <= eta <= 180.0 - eta_pole
            or -90.0 + eta_equator <= eta <= -eta_pole or -180.0 + eta_pole <= eta <= -90.0 - eta_equator):
        # y grows with z where the signs of y and z differ, else it falls. A height beyond the ring limits nothing.
        at_low = arc.sign_y * _circle(r, z_low)
        at_high = arc.sign_y * _circle(r, z_high)
        if arc.sign_y * arc.sign_z < 0.0:
            arc.low = fmax(y_low, at_low)
            arc.high = fmin(y_high, at_high)
        else:
            arc.low = fmax(y_low, at_high)
            arc.high = fmin(y_high, at_low)
    elif -eta_pole < eta < eta_pole or eta < -180.0 + eta_pole or eta > 180.0 - eta_pole:
        arc.low = y_low
        arc.high = y_high
    elif 90.0 - eta_equator < eta < 90.0 + eta_equator or -90.0 - eta_equator < eta < -90.0 + eta_equator:
        arc.along_z = True
        arc.low = z_low
        arc.high = z_high
    else:
        return False
    return True


cdef inline void _arc_point(const Arc* arc, double t, double* y, double* z) noexcept nogil:
    if arc.along_z:
        y[0] = arc.sign_y * _circle(arc.radius, t)
        z[0] = t
    else:
        y[0] = t
        z[0] = arc.sign_z * _circle(arc.radius, t)


cdef int _sample_arc(const IndexProblem* p, const Arc* arc, RingPoints* points) noexcept nogil:
    """An odd number of points, at most a position step of chord apart (docs/theory/indexing.md#full-arc-sampling)."""
    cdef double y1, z1, y2, z2, step, steps
    cdef int i, n
    points.n = 0
    _arc_point(arc, arc.low, &y1, &z1)
    _arc_point(arc, arc.high, &y2, &z2)
    steps = ceil(sqrt((y2 - y1) * (y2 - y1) + (z2 - z1) * (z2 - z1)) / p.position_step)
    if not steps < LONGEST_ARC:
        return 1
    n = <int>steps
    if n % 2 == 0:
        n += 1
    if not _reserve_points(points, n):
        return 0
    points.n = n
    if n == 1:
        _arc_point(arc, (arc.low + arc.high) / 2.0, points.y, points.z)
        return 1
    step = (arc.high - arc.low) / (n - 1)
    for i in range(n):
        _arc_point(arc, arc.low + i * step, &points.y[i], &points.z[i])
    return 1


cdef int _collect_friedel(const IndexProblem* p, int row, const Arc* arc, Mates* mates) noexcept nogil:
    """Rows that can be the Friedel mate of the start spot, ascending."""
    cdef const IndexSpots* o = &p.spots
    cdef const IndexRing* ring = &p.rings[o.ring[row]]
    cdef double y = o.y_ideal[row], z = o.z_ideal[row], mate_omega, y0, z0, eta1, eta2, eta, ys, zs
    cdef double segments[4]
    cdef long long i, end = o.ring_first[o.ring[row] + 1]
    cdef int k, m, mate
    mates.n = 0
    mate_omega = o.omega_ideal[row] + 180.0 if o.omega_ideal[row] < 0.0 else o.omega_ideal[row] - 180.0
    # Where the mates of the two ends of the arc are seen, relative to the start spot.
    _arc_point(arc, arc.low, &y0, &z0)
    eta1 = eta_of((y0 - (y - y0)) + y, (-z0 + (z - z0)) - z)
    _arc_point(arc, arc.high, &y0, &z0)
    eta2 = eta_of((y0 - (y - y0)) + y, (-z0 + (z - z0)) - z)
    for k in range(wrapped_segments(mate_omega - p.margin_omega - 1e-6, mate_omega + p.margin_omega + 1e-6, segments)):
        i = first_not_below(o.ring_omega, o.ring_first[o.ring[row]], end, segments[2 * k])
        while i < end and o.ring_omega[i] <= segments[2 * k + 1]:
            mate = o.ring_row[i]
            i += 1
            ys = o.y_ideal[mate] + y
            zs = o.z_ideal[mate] - z
            if not (fabs(wrap180(o.omega_ideal[mate] - mate_omega)) <= p.margin_omega
                    and fabs(sqrt(ys * ys + zs * zs) - 2.0 * ring.ring_radius) <= p.margin_radial):
                continue
            eta = eta_of(ys, zs)
            if fabs(eta1 - eta2) <= 180.0:
                if not fmin(eta1, eta2) <= eta <= fmax(eta1, eta2):
                    continue
            elif not (eta >= fmax(eta1, eta2) or eta <= fmin(eta1, eta2)):
                continue
            if not _reserve_mates(mates, mates.n + 1):
                return 0
            m = mates.n
            while m > 0 and mates.row[m - 1] > mate:
                mates.row[m] = mates.row[m - 1]
                m -= 1
            mates.row[m] = mate
            mates.n += 1
    return 1


cdef int _friedel_points(const IndexProblem* p, int row, const Mates* mates, RingPoints* points) noexcept nogil:
    """The ring points halfway between the start spot and its mates."""
    cdef const IndexSpots* o = &p.spots
    cdef double y = o.y_ideal[row], z = o.z_ideal[row], radius = p.rings[o.ring[row]].ring_radius, eta, sine, cosine
    cdef int i, mate
    if not _reserve_points(points, mates.n):
        return 0
    for i in range(mates.n):
        mate = mates.row[i]
        eta = eta_of(y - (-o.y_ideal[mate] + y) / 2.0, z - (o.z_ideal[mate] + z) / 2.0)
        sincos(eta * DEG2RAD, &sine, &cosine)
        points.y[i] = -(sine * radius)
        points.z[i] = cosine * radius
    points.n = mates.n
    return 1


cdef bint _other_mate(const IndexProblem* p, int row, double y0, double z0, double* omega, double* eta) noexcept nogil:
    """Where -g of the ring point (y0, z0) fires near the omega of the start spot; False if nowhere."""
    cdef const IndexSpots* o = &p.spots
    cdef double g[3]
    cdef double omegas[2]
    cdef double c, s, length
    scattering_vector(p.lsd, y0, z0, o.cos_omega[row], o.sin_omega[row], g)
    length = sqrt(g[0] * g[0] + g[1] * g[1] + g[2] * g[2])
    if legacy_omegas(-g[0], -g[1], sin(p.rings[o.ring[row]].two_theta / 2.0 * DEG2RAD) * length, omegas) < 2:
        return False
    if fabs(wrap180(omegas[0] - o.omega_ideal[row])) < fabs(wrap180(omegas[1] - o.omega_ideal[row])):
        omega[0] = omegas[0]
    else:
        omega[0] = omegas[1]
    sincos(omega[0] * DEG2RAD, &s, &c)
    eta[0] = eta_of(-g[0] * s - g[1] * c, -g[2])
    return True


cdef int _add_mates(const IndexProblem* p, int ring_index, double omega, double y, double z, int point,
                    Mates* mates) noexcept nogil:
    """Add the rows near a predicted mate; a row that is known keeps the arc point that comes nearest to it."""
    cdef const IndexSpots* o = &p.spots
    cdef const IndexRing* ring = &p.rings[ring_index]
    cdef double deviation = sqrt(y * y + z * z) - ring.ring_radius, eta = eta_of(y, z), distance
    cdef double segments[4]
    cdef long long bin_index = <long long>ring_index * o.n_omega + omega_bin_of(o, omega)
    cdef long long i, end = o.first[bin_index + 1]
    cdef int k, m, row, known = mates.n
    for k in range(wrapped_segments(eta - ring.bare_eta_margin - 1e-6, eta + ring.bare_eta_margin + 1e-6, segments)):
        i = first_not_below(o.listed_eta, o.first[bin_index], end, segments[2 * k])
        while i < end and o.listed_eta[i] <= segments[2 * k + 1]:
            row = o.listed_row[i]
            i += 1
            if not (fabs(deviation - o.deviation[row]) < p.margin_radial
                    and fabs(wrap180(omega - o.omega_ideal[row])) < p.margin_omega
                    and fabs(wrap180(eta - o.eta[row])) < ring.bare_eta_margin):
                continue
            distance = (y - o.y_ideal[row]) * (y - o.y_ideal[row]) + (z - o.z_ideal[row]) * (z - o.z_ideal[row])
            m = 0
            while m < known and mates.row[m] != row:
                m += 1
            if m < known:
                if distance < mates.distance[m]:
                    mates.distance[m] = distance
                    mates.point[m] = point
                continue
            if not _reserve_mates(mates, mates.n + 1):
                return 0
            # Rows that come in together stand in their own order.
            m = mates.n
            while m > known and mates.row[m - 1] > row:
                mates.row[m] = mates.row[m - 1]
                mates.distance[m] = mates.distance[m - 1]
                m -= 1
            mates.row[m] = row
            mates.distance[m] = distance
            mates.point[mates.n] = point
            mates.n += 1
    return 1


cdef int _mixed_points(const IndexProblem* p, int row, const Arc* arc, RingPoints* points, RingPoints* sampled,
                       Mates* mates,
                       PositionLine* line) noexcept nogil:
    """RingPoints of the arc whose -g is seen at its other omega (docs/theory/indexing.md#mixed-list)."""
    cdef const IndexSpots* o = &p.spots
    cdef double radius = p.rings[o.ring[row]].ring_radius, omega, eta, y, z, t, length, c, s, x, y_seen, z_seen
    cdef double u[3]
    cdef int i, k, n
    points.n = mates.n = 0
    if fabs(sin(DEG2RAD * o.eta[row])) < sin(10.0 * DEG2RAD):
        return 1
    if not _sample_arc(p, arc, sampled):
        return 0
    for k in range(sampled.n):
        if not _other_mate(p, row, sampled.y[k], sampled.z[k], &omega, &eta):
            continue
        if not position_line(p, row, sampled.y[k], sampled.z[k], line):
            return 0
        sincos(eta * DEG2RAD, &s, &c)
        y = -(s * radius)
        z = c * radius
        length = 1.0 / sqrt(p.lsd * p.lsd + y * y + z * z)
        u[0] = p.lsd * length
        u[1] = y * length
        u[2] = z * length
        sincos(omega * DEG2RAD, &s, &c)
        for n in range(line.low, line.high + 1):
            x = line.a[n] * c - line.b[n] * s
            t = x / u[0]
            y_seen = y + ((line.a[n] * s + line.b[n] * c) - t * u[1])
            z_seen = z + (line.c[n] - t * u[2])
            if p.instrument.tilted:
                stop_beam(p, c, s, line.a[n], line.b[n], line.c[n], &y_seen, &z_seen)
            if not _add_mates(p, o.ring[row], omega, y_seen, z_seen, k, mates):
                return 0
    if not _reserve_points(points, mates.n):
        return 0
    for i in range(mates.n):
        k = 0
        while k < i and mates.point[k] != mates.point[i]:
            k += 1
        if k == i:
            points.y[points.n] = sampled.y[mates.point[i]]
            points.z[points.n] = sampled.z[mates.point[i]]
            points.n += 1
    return 1


cdef int find_points(const IndexProblem* p, int row, RingPoints* points, RingPoints* arc, Mates* mates,
                     PositionLine* line) noexcept nogil:
    """The ring points to try for the start spot in `row`; `arc`, `mates` and `line` are scratch."""
    cdef Arc limits
    points.n = 0
    if not _allowed_arc(p, row, &limits):
        return 1
    if not p.friedel:
        return _sample_arc(p, &limits, points)
    if not _collect_friedel(p, row, &limits, mates):
        return 0
    if mates.n:
        return _friedel_points(p, row, mates, points)
    return _mixed_points(p, row, &limits, points, arc, mates, line)
