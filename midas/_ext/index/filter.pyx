"""Upper bounds on the matches of many orientations, and matches of one orientation at all positions.

See docs/theory/indexing.md#upper-bounds-for-orientations.

Nothing here decides a result: the bounds are safe by more than their rounding errors, and where a count comes so near
to a limit that rounding matters, the caller counts with the exact formulas of `midas._ext.index.score`.
"""
from libc.math cimport fabs, floor, sqrt
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from midas._ext.legacy.displacement cimport shift_along_ray
from midas._ext.numerics.elementary cimport atan2, sincos
from midas._ext.physics.geometry cimport DEG2RAD, RAD2DEG, eta_of, wrap_omega
from midas._ext.index.candidates cimport PositionLine
from midas._ext.index.problem cimport IndexProblem, IndexRing, IndexSpots, ReflectionPair
from midas._ext.index.score cimport Prediction, stop_beam
from midas._ext.index.table cimport first_not_below, omega_bin_of, wrapped_segments
from midas._ext.physics.region cimport is_full_turn, pixel_is_live
from midas._ext.physics.rotation cimport matrix_vector
from midas._ext.physics.wedge cimport lean_spot

cdef extern from *:
    """
    /* What the fast angles may be wrong by, degrees, with room to spare. */
    #define ANGLE_ERROR 1e-5
    """
    const double ANGLE_ERROR

cdef enum Presence:
    ABSENT
    UNCERTAIN
    PRESENT


cdef inline double _fast_atan2(double y, double x) noexcept nogil:
    """Degrees, within 2e-6 (Abramowitz and Stegun 4.4.49); no branches, so that loops over it are vectorised."""
    cdef double ax = fabs(x), ay = fabs(y)
    cdef double low = ax if ax < ay else ay, high = ay if ax < ay else ax
    cdef double t = low / (high + 1e-300), u = t * t, r
    r = 0.0028662257 * u - 0.0161657367
    r = r * u + 0.0429096138
    r = r * u - 0.0752896400
    r = r * u + 0.1065626393
    r = r * u - 0.1420889944
    r = r * u + 0.1999355085
    r = r * u - 0.3333314528
    r = RAD2DEG * (t + t * u * r)
    r = 90.0 - r if ax < ay else r
    r = 180.0 - r if x < 0.0 else r
    return -r if y < 0.0 else r


cdef void pair_vectors(const IndexProblem* p, const double* first, const double* normal,
                       PairVectors* vectors) noexcept nogil:
    """How each reflection turns about the plane normal, from the first orientation on."""
    cdef double length = sqrt(normal[0] * normal[0] + normal[1] * normal[1] + normal[2] * normal[2])
    cdef double n[3]
    cdef double g[3]
    cdef double along
    cdef int i, k
    for k in range(3):
        n[k] = normal[k] / length
    for i in range(p.n_pairs):
        matrix_vector(first, p.pairs[i].g, g)
        along = n[0] * g[0] + n[1] * g[1] + n[2] * g[2]
        for k in range(3):
            vectors[i].fixed[k] = n[k] * along
            vectors[i].cosine[k] = g[k] - n[k] * along
        vectors[i].sine[0] = n[1] * g[2] - n[2] * g[1]
        vectors[i].sine[1] = n[2] * g[0] - n[0] * g[2]
        vectors[i].sine[2] = n[0] * g[1] - n[1] * g[0]


cdef void _solve_pair(const PairVectors* w, double v, const PositionLine* line, double ring_radius, double lsd,
                      OrientationBlock* b) noexcept nogil:
    """Both spots of a reflection, and how far the positions of the line move them, for all orientations alive."""
    cdef double ac = line.centre[0], bc = line.centre[1], cc = line.centre[2]
    cdef double ah = line.half[0], bh = line.half[1], ch = line.half[2]
    cdef double to_eta = RAD2DEG / ring_radius, lean = ring_radius / lsd
    cdef double x, y, z, h, root, e, scale, uy, uz, c1, s1, c2, s2, big, small
    cdef int k
    for k in range(b.n):
        x = w.fixed[0] + w.cosine[0] * b.cos_phi[k] + w.sine[0] * b.sin_phi[k]
        y = w.fixed[1] + w.cosine[1] * b.cos_phi[k] + w.sine[1] * b.sin_phi[k]
        z = w.fixed[2] + w.cosine[2] * b.cos_phi[k] + w.sine[2] * b.sin_phi[k]
        h = x * x + y * y
        root = h - v * v
        # |y| < 1e-4 is where the legacy formula leaves the exact one; a vanishing root is a spot on the pole.
        small = 0.0 if root < 0.0 else 2.0
        big = h + v * v
        small = 1.0 if fabs(root) < 1e-9 * big else small
        b.status[k] = 1.0 if fabs(y) < 1.01e-4 else small
        e = sqrt(root if root > 0.0 else 0.0)
        scale = 1.0 / sqrt(e * e + z * z + 1e-300)
        uy = e * scale
        uz = z * scale
        scale = 1.0 / (h + 1e-300)
        c1 = (y * e - x * v) * scale
        s1 = (y * v + x * e) * scale
        c2 = (-y * e - x * v) * scale
        s2 = (y * v - x * e) * scale
        b.y[k] = uy
        b.z[k] = uz
        b.eta[k] = _fast_atan2(e, z)
        b.omega_plus[k] = _fast_atan2(s1, c1)
        b.omega_minus[k] = _fast_atan2(s2, c2)
        b.along_plus[k] = to_eta * (uy * cc - uz * (ac * s1 + bc * c1))
        b.along_plus_half[k] = fabs(to_eta * (uy * ch - uz * (ah * s1 + bh * c1)))
        b.along_minus[k] = to_eta * (-uy * cc - uz * (ac * s2 + bc * c2))
        b.along_minus_half[k] = fabs(to_eta * (-uy * ch - uz * (ah * s2 + bh * c2)))
        b.out_plus[k] = uy * (ac * s1 + bc * c1) + uz * cc - lean * (ac * c1 - bc * s1)
        b.out_plus_half[k] = fabs(uy * (ah * s1 + bh * c1) + uz * ch - lean * (ah * c1 - bh * s1))
        b.out_minus[k] = -uy * (ac * s2 + bc * c2) + uz * cc - lean * (ac * c2 - bc * s2)
        b.out_minus_half[k] = fabs(-uy * (ah * s2 + bh * c2) + uz * ch - lean * (ah * c2 - bh * s2))


cdef inline bint _between(double low, double omega, double high) noexcept nogil:
    """Whether an omega inside of ±180 degrees lies between limits, the upper of which may lie beyond 180."""
    return low < omega < high or omega + 360.0 < high


cdef Presence _presence(const IndexProblem* p, double omega, double y, double z) noexcept nogil:
    """Whether a spot on the ring, beside the poles, lies within the limits; y and z may be off by 0.1 µm."""
    cdef const double* limit = p.region.ranges
    cdef const double* box = p.region.boxes
    cdef Presence best = ABSENT
    cdef bint turn
    if fabs(omega) < ANGLE_ERROR or 180.0 - fabs(omega) < ANGLE_ERROR:
        return UNCERTAIN
    for _ in range(p.region.n):
        turn = is_full_turn(limit)
        if turn or _between(limit[0] + ANGLE_ERROR, omega, limit[1] - ANGLE_ERROR):
            if not p.boxes_matter or (box[0] + 0.1 < y < box[1] - 0.1 and box[2] + 0.1 < z < box[3] - 0.1):
                best = PRESENT
                break
        if ((turn or _between(limit[0] - ANGLE_ERROR, omega, limit[1] + ANGLE_ERROR))
                and box[0] - 0.1 < y < box[1] + 0.1 and box[2] - 0.1 < z < box[3] + 0.1):
            best = UNCERTAIN
        limit += 2
        box += 4
    if best == PRESENT and p.region.mask_side and not (
            pixel_is_live(&p.region, y - 0.1, z - 0.1) and pixel_is_live(&p.region, y + 0.1, z - 0.1)
            and pixel_is_live(&p.region, y - 0.1, z + 0.1) and pixel_is_live(&p.region, y + 0.1, z + 0.1)):
        return UNCERTAIN
    return best


cdef Presence _recorded_presence(const IndexProblem* p, double omega, double y, double z) noexcept nogil:
    """`_presence` of an ideal spot in a region that knows recorded ones, poles included."""
    cdef double c, s, to_pole
    sincos(DEG2RAD * omega, &s, &c)
    if not lean_spot(&p.instrument, &y, &z, &c, &s):
        # It never fires; at the very pole rounding decides that.
        return UNCERTAIN if p.region.pole < ANGLE_ERROR else ABSENT
    to_pole = fabs(eta_of(y, z))
    to_pole = min(to_pole, 180.0 - to_pole)
    if to_pole < p.region.pole - ANGLE_ERROR:
        return ABSENT
    if to_pole < p.region.pole + ANGLE_ERROR:
        return UNCERTAIN
    return _presence(p, RAD2DEG * atan2(s, c), y, z)


cdef inline bint _row_near(const IndexProblem* p, const IndexRing* ring, long long at, long long end, double eta_low,
                           double eta_high, double out_low, double out_high, double grain_radius) noexcept nogil:
    """Whether a row of the list at ... end lies in the window of eta, with the radial range and the grain radius."""
    cdef const IndexSpots* o = &p.spots
    cdef double segments[4]
    cdef long long i
    cdef int k, row
    for k in range(wrapped_segments(eta_low, eta_high, segments)):
        i = first_not_below(o.listed_eta, at, end, segments[2 * k])
        while i < end and o.listed_eta[i] <= segments[2 * k + 1]:
            row = o.listed_row[i]
            if (out_low < o.deviation[row] < out_high
                    and (ring.excluded or fabs(grain_radius - o.grain_radius[row]) < p.margin_radius)):
                return True
            i += 1
    return False


cdef inline void _judge_spot(const IndexProblem* p, int ring_index, double omega, double eta, double y, double z,
                             double along_half, double out, double out_half, const PositionLine* line,
                             double grain_radius,
                             OrientationBlock* b, int k) noexcept nogil:
    """Count one spot of orientation k; `eta` (degrees) and `out` (µm) belong to the centre of the line."""
    cdef const IndexSpots* o = &p.spots
    cdef const IndexRing* ring = &p.rings[ring_index]
    cdef double position, width
    cdef long long bin_index
    cdef Presence presence
    omega = wrap_omega(omega)
    if p.instrument.exact:
        presence = _recorded_presence(p, omega, ring.ring_radius * y, ring.ring_radius * z)
    else:
        presence = _presence(p, omega, ring.ring_radius * y, ring.ring_radius * z)
    if presence == ABSENT:
        return
    position = (180.0 + omega) / o.omega_bin
    width = position - floor(position)
    if presence == UNCERTAIN or width * o.omega_bin < ANGLE_ERROR or (1.0 - width) * o.omega_bin < ANGLE_ERROR:
        b.possible[k] += 1
        return
    b.present[k] += 1
    bin_index = <long long>ring_index * o.n_omega + omega_bin_of(o, omega)
    if o.first[bin_index] < o.first[bin_index + 1]:
        width = along_half + ring.eta_margin + line.eta_slack[ring_index]
        out_half += p.margin_radial + line.radial_slack[ring_index]
        if _row_near(p, ring, o.first[bin_index], o.first[bin_index + 1], eta - width, eta + width, out - out_half,
                     out + out_half, grain_radius):
            b.possible[k] += 1
            return
    b.missed[k] += 1


cdef void _judge_pair(const IndexProblem* p, const ReflectionPair* pair, const PositionLine* line,
                      double grain_radius, OrientationBlock* b,
                      int k) noexcept nogil:
    """Count the two or four spots of a pair for orientation k."""
    cdef double eta = b.eta[k], y = b.y[k], z = b.z[k], to_pole
    cdef double plus = b.omega_plus[k], minus = b.omega_minus[k]
    if b.status[k] == 0.0:
        return
    # With an exact wedge each of the spots is recorded at an eta of its own.
    to_pole = 90.0 if p.instrument.exact else min(eta, 180.0 - eta)
    if to_pole < p.region.pole - ANGLE_ERROR and b.status[k] == 2.0:
        return
    if b.status[k] == 1.0 or to_pole < p.region.pole + ANGLE_ERROR:
        b.possible[k] += 2 * pair.members
        return
    _judge_spot(p, pair.ring, plus, b.along_plus[k] - eta, y, z, b.along_plus_half[k], b.out_plus[k],
                b.out_plus_half[k], line, grain_radius, b, k)
    _judge_spot(p, pair.ring, minus, b.along_minus[k] + eta, -y, z, b.along_minus_half[k], b.out_minus[k],
                b.out_minus_half[k], line, grain_radius, b, k)
    if pair.members == 2:
        # -g fires half a turn later at (y, -z), with the same shift along the ring and the opposite one outwards.
        _judge_spot(p, pair.ring, plus + 180.0, b.along_plus[k] - (180.0 - eta), y, -z, b.along_plus_half[k],
                    -b.out_plus[k], b.out_plus_half[k], line, grain_radius, b, k)
        _judge_spot(p, pair.ring, minus + 180.0, b.along_minus[k] + (180.0 - eta), -y, -z, b.along_minus_half[k],
                    -b.out_minus[k], b.out_minus_half[k], line, grain_radius, b, k)


cdef void _drop_hopeless(OrientationBlock* b, int remaining, double least) noexcept nogil:
    """Keep the orientations that can still reach the fraction `least` if all remaining spots match."""
    cdef int k, n = 0
    for k in range(b.n):
        if b.possible[k] + remaining >= least * (b.possible[k] + b.missed[k] + remaining):
            b.j[n] = b.j[k]
            b.possible[n] = b.possible[k]
            b.missed[n] = b.missed[k]
            b.present[n] = b.present[k]
            b.cos_phi[n] = b.cos_phi[k]
            b.sin_phi[n] = b.sin_phi[k]
            n += 1
    b.n = n


cdef void bound_orientations(const IndexProblem* p, const PairVectors* vectors, const PositionLine* line,
                             double grain_radius,
                             int first, int count, double least, OrientationBlock* b) noexcept nogil:
    """Bounds of the matches of orientations first ... first + count - 1 (at most BLOCK) at any position of the line.

    Those that cannot reach the completeness `least` are left out; -1 keeps all.
    """
    cdef int i, k
    b.n = count
    for k in range(count):
        b.j[k] = first + k
        b.possible[k] = b.missed[k] = b.present[k] = 0
        b.cos_phi[k] = p.cos_rotation[first + k]
        b.sin_phi[k] = p.sin_rotation[first + k]
    for i in range(p.n_pairs):
        _solve_pair(&vectors[i], p.pairs[i].v, line, p.rings[p.pairs[i].ring].ring_radius, p.lsd, b)
        for k in range(b.n):
            _judge_pair(p, &p.pairs[i], line, grain_radius, b, k)
        if least > 0.0:
            _drop_hopeless(b, p.pairs[i].remaining - 2 * p.pairs[i].members, least - 1e-12)
            if b.n == 0:
                return


# ---------------------------------------------------------------- all positions of one orientation


cdef int _reserve_counts(Counts* counts, int n) noexcept nogil:
    if n <= counts.capacity:
        return 1
    free(counts.y)
    counts.y = <double*>malloc(6 * <size_t>n * sizeof(double))
    counts.capacity = n if counts.y != NULL else 0
    counts.z = counts.y + n
    counts.distance = counts.z + n
    counts.sure = counts.distance + n
    counts.maybe = counts.sure + n
    counts.count = counts.maybe + n
    return counts.y != NULL


cdef void free_counts(Counts* counts) noexcept nogil:
    free(counts.y)


cdef void _displace_line(const IndexProblem* p, const Prediction* s, int i, const PositionLine* line,
                         Counts* counts) noexcept nogil:
    """Spot i for every position, by the arithmetic of `displaced`; distance is from the centre."""
    cdef double c = s.cos_omega[i], sn = s.sin_omega[i], ux = s.ux[i], uy = s.uy[i], uz = s.uz[i], y0 = s.y[i]
    cdef double z0 = s.z[i]
    cdef const double* a = line.a
    cdef const double* b = line.b
    cdef const double* height = line.c
    cdef double* y = counts.y
    cdef double* z = counts.z
    cdef double* distance = counts.distance
    cdef int n
    for n in range(line.low, line.high + 1):
        y[n] = y0
        z[n] = z0
        shift_along_ray(c, sn, ux, uy, uz, a[n], b[n], height[n], &y[n], &z[n])
        distance[n] = sqrt(y[n] * y[n] + z[n] * z[n])
    if p.instrument.tilted:
        for n in range(line.low, line.high + 1):
            stop_beam(p, c, sn, a[n], b[n], height[n], &y[n], &z[n])
            distance[n] = sqrt(y[n] * y[n] + z[n] * z[n])


cdef void _mark_row(const IndexProblem* p, const IndexRing* ring, int row, const PositionLine* line,
                    Counts* counts) noexcept nogil:
    """Mark the positions at which the displaced spot matches the row.

    The eta test is a scalar product with the row's direction; `guard` says how much of it is left to rounding.
    """
    cdef double uy = -p.spots.sin_eta[row], uz = p.spots.cos_eta[row], least = ring.cos_eta_margin, guard = p.guard
    cdef double deviation = p.spots.deviation[row], margin = p.margin_radial, radius = ring.ring_radius, excess, inside
    cdef const double* y = counts.y
    cdef const double* z = counts.z
    cdef const double* distance = counts.distance
    cdef double* sure = counts.sure
    cdef double* maybe = counts.maybe
    cdef int n
    for n in range(line.low, line.high + 1):
        inside = 1.0 if fabs((distance[n] - radius) - deviation) < margin else 0.0
        excess = y[n] * uy + z[n] * uz - least * distance[n]
        sure[n] = inside if (excess > guard * radius) and inside > sure[n] else sure[n]
        maybe[n] = inside if (excess > -guard * radius) and inside > maybe[n] else maybe[n]


cdef bint _mark_spot(const IndexProblem* p, const Prediction* s, int i, const PositionLine* line, double grain_radius,
                     Counts* counts) noexcept nogil:
    """Mark the positions at which spot i matches a row; False when there is no row to compare with."""
    cdef const IndexSpots* o = &p.spots
    cdef const IndexRing* ring = &p.rings[s.ring[i]]
    cdef double segments[4]
    cdef double uy = s.y[i] / ring.ring_radius, uz = s.z[i] / ring.ring_radius, eta = eta_of(s.y[i], s.z[i]), width
    cdef double c = s.cos_omega[i], sn = s.sin_omega[i]
    cdef long long bin_index = <long long>s.ring[i] * o.n_omega + omega_bin_of(o, s.omega[i])
    cdef long long at, end = o.first[bin_index + 1]
    cdef int k, row
    cdef bint found = False
    if o.first[bin_index] == end:
        return False
    eta += RAD2DEG / ring.ring_radius * (uy * line.centre[2] - uz * (line.centre[0] * sn + line.centre[1] * c))
    width = fabs(RAD2DEG / ring.ring_radius * (uy * line.half[2] - uz * (line.half[0] * sn + line.half[1] * c)))
    width += ring.eta_margin + line.eta_slack[s.ring[i]]
    for k in range(wrapped_segments(eta - width, eta + width, segments)):
        at = first_not_below(o.listed_eta, o.first[bin_index], end, segments[2 * k])
        while at < end and o.listed_eta[at] <= segments[2 * k + 1]:
            row = o.listed_row[at]
            at += 1
            if not fabs(grain_radius - o.grain_radius[row]) < p.margin_radius:
                continue
            if not found:
                _displace_line(p, s, i, line, counts)
                memset(counts.sure + line.low, 0, (line.high - line.low + 1) * sizeof(double))
                memset(counts.maybe + line.low, 0, (line.high - line.low + 1) * sizeof(double))
                found = True
            _mark_row(p, ring, row, line, counts)
    return found


cdef int count_line(const IndexProblem* p, const Prediction* s, const PositionLine* line, double grain_radius,
                    Counts* counts) noexcept nogil:
    """Matches on counted rings at every position of the line.

    Returns 1, 0 when there is no memory, -1 when rounding might change a count: then the exact formulas must decide.
    """
    cdef int i, n, undecided = 0
    if not _reserve_counts(counts, 2 * line.n_max + 1):
        return 0
    memset(counts.count + line.low, 0, (line.high - line.low + 1) * sizeof(double))
    for i in range(s.n):
        if p.rings[s.ring[i]].excluded or not _mark_spot(p, s, i, line, grain_radius, counts):
            continue
        for n in range(line.low, line.high + 1):
            counts.count[n] += counts.sure[n]
            undecided += counts.sure[n] != counts.maybe[n]
    return -1 if undecided else 1
