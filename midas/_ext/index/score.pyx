"""Theoretical spots of an orientation, their matches and the score of a position.

See docs/theory/indexing.md#theoretical-spots.
"""
from libc.math cimport fabs, sqrt
from libc.stdlib cimport calloc, free, malloc

from midas._ext.legacy.diffraction cimport RingSpot, legacy_omegas, ring_spot
from midas._ext.legacy.displacement cimport shift_along_ray
from midas._ext.numerics.elementary cimport acos
from midas._ext.physics.geometry cimport RAD2DEG, eta_of, go_on_to_plane, wrap180
from midas._ext.index.problem cimport IndexProblem, IndexRing, IndexSpots
from midas._ext.index.table cimport first_not_below, omega_bin_of, wrapped_segments
from midas._ext.physics.region cimport ACCEPTED, beside_poles, is_observable, place_verdict
from midas._ext.physics.rotation cimport matrix_vector


cdef int allocate_prediction(Prediction* s, int capacity) noexcept nogil:
    """Room for `capacity` spots; 0 when there is no memory."""
    s.y = <double*>malloc(8 * <size_t>capacity * sizeof(double))
    s.ring = <int*>calloc(capacity, sizeof(int))
    s.n = s.n_counted = 0
    if s.y == NULL or s.ring == NULL:
        return 0
    s.z = s.y + capacity
    s.omega = s.z + capacity
    s.cos_omega = s.omega + capacity
    s.sin_omega = s.cos_omega + capacity
    s.ux = s.sin_omega + capacity
    s.uy = s.ux + capacity
    s.uz = s.uy + capacity
    return 1


cdef void free_prediction(Prediction* s) noexcept nogil:
    free(s.y)
    free(s.ring)


cdef inline bint _is_kept(const IndexProblem* p, double omega, const RingSpot* spot) noexcept nogil:
    """Whether a spot lies in the region; by its own degrees, whose rounding the records show, without exact wedge."""
    if p.instrument.exact:
        return is_observable(&p.region, &p.instrument, spot.y, spot.z, spot.cos_omega, spot.sin_omega)
    return beside_poles(&p.region, spot.eta) and place_verdict(&p.region, omega, spot.y, spot.z) == ACCEPTED


cdef void predict(const IndexProblem* p, const double* orientation, Prediction* s) noexcept nogil:
    """The theoretical spots, in the order of the reflections and, for each, larger cos(omega) first."""
    cdef const IndexRing* ring
    cdef double vector[3]
    cdef double omegas[2]
    cdef double length, scale
    cdef RingSpot spot
    cdef int i, k, n = 0, counted = 0
    for i in range(p.n_hkls):
        matrix_vector(orientation, p.g + 3 * i, vector)
        length = sqrt(vector[0] * vector[0] + vector[1] * vector[1] + vector[2] * vector[2])
        ring = &p.rings[p.hkl_ring[i]]
        for k in range(legacy_omegas(vector[0], vector[1], p.sin_theta[i] * length, omegas)):
            ring_spot(vector, omegas[k], ring.ring_radius, &spot)
            if not _is_kept(p, omegas[k], &spot):
                continue
            scale = 1.0 / sqrt(p.lsd * p.lsd + spot.y * spot.y + spot.z * spot.z)
            s.y[n] = spot.y
            s.z[n] = spot.z
            s.omega[n] = omegas[k]
            s.cos_omega[n] = spot.cos_omega
            s.sin_omega[n] = spot.sin_omega
            s.ux[n] = p.lsd * scale
            s.uy[n] = spot.y * scale
            s.uz[n] = spot.z * scale
            s.ring[n] = p.hkl_ring[i]
            n += 1
            if not ring.excluded:
                counted += 1
    s.n = n
    s.n_counted = counted


cdef inline void _lab_position(const Prediction* s, int i, const double* position, double* lab) noexcept nogil:
    lab[0] = position[0] * s.cos_omega[i] - position[1] * s.sin_omega[i]
    lab[1] = position[0] * s.sin_omega[i] + position[1] * s.cos_omega[i]
    lab[2] = position[2]


cdef void displaced(const IndexProblem* p, const Prediction* s, int i, const double* position,
                    double* y, double* z) noexcept nogil:
    """Where spot i lands for a grain at `position` (sample frame, µm): docs/theory/indexing.md#displacement."""
    y[0] = s.y[i]
    z[0] = s.z[i]
    shift_along_ray(s.cos_omega[i], s.sin_omega[i], s.ux[i], s.uy[i], s.uz[i], position[0], position[1], position[2],
                    y, z)
    if p.instrument.tilted:
        stop_beam(p, s.cos_omega[i], s.sin_omega[i], position[0], position[1], position[2], y, z)


cdef int _matching_row(const IndexProblem* p, int ring_index, double omega, double y, double z,
                       double grain_radius) noexcept nogil:
    """Row that matches a displaced spot: the nearest in omega, then the lowest row; -1 if none.

    See docs/theory/indexing.md#matching.
    """
    cdef const IndexSpots* o = &p.spots
    cdef const IndexRing* ring = &p.rings[ring_index]
    cdef double eta = eta_of(y, z), distance = sqrt(y * y + z * z) - ring.ring_radius
    cdef double segments[4]
    cdef double gap, best_gap = 1e9
    cdef long long bin_index = <long long>ring_index * o.n_omega + omega_bin_of(o, omega)
    cdef long long i, end = o.first[bin_index + 1]
    cdef int k, row, best = -1
    if o.first[bin_index] == end:
        return -1
    # The list is searched a little wider than the test, whose rounding then decides.
    for k in range(wrapped_segments(eta - ring.eta_margin - 1e-6, eta + ring.eta_margin + 1e-6, segments)):
        i = first_not_below(o.listed_eta, o.first[bin_index], end, segments[2 * k])
        while i < end and o.listed_eta[i] <= segments[2 * k + 1]:
            row = o.listed_row[i]
            i += 1
            if not (fabs(distance - o.deviation[row]) < p.margin_radial
                    and (ring.excluded or fabs(grain_radius - o.grain_radius[row]) < p.margin_radius)
                    and fabs(wrap180(eta - o.eta[row])) < ring.eta_margin):
                continue
            gap = fabs(wrap180(omega - o.omega_ideal[row]))
            if gap < best_gap or (gap == best_gap and row < best):
                best_gap = gap
                best = row
    return best


cdef double _internal_angle(const IndexProblem* p, const Prediction* s, int i, double y, double z, int row,
                            const double* position) noexcept nogil:
    """Degrees between the scattering vectors of theoretical spot i, displaced to (y, z), and of a row.

    See docs/theory/indexing.md#mean-internal-angle.
    """
    cdef const IndexSpots* o = &p.spots
    cdef double predicted[3]
    cdef double observed[3]
    cdef double c = o.cos_omega[row], sn = o.sin_omega[row], cosine, length_predicted, length_observed
    cdef double lab[3]
    cdef double y_observed = o.y_ideal[row], z_observed = o.z_ideal[row]
    _lab_position(s, i, position, lab)
    if p.instrument.tilted:
        go_on_to_plane(p.lsd, p.instrument.slope_y, p.instrument.slope_z, lab, &y, &z)
    scattering_vector(p.lsd - lab[0], y - lab[1], z - lab[2], s.cos_omega[i], s.sin_omega[i], predicted)
    lab[0] = position[0] * c - position[1] * sn
    lab[1] = position[0] * sn + position[1] * c
    if p.instrument.tilted:
        go_on_to_plane(p.lsd, p.instrument.slope_y, p.instrument.slope_z, lab, &y_observed, &z_observed)
    scattering_vector(p.lsd - lab[0], y_observed - lab[1], z_observed - lab[2], c, sn, observed)
    length_predicted = sqrt(predicted[0] * predicted[0] + predicted[1] * predicted[1] + predicted[2] * predicted[2])
    length_observed = sqrt(observed[0] * observed[0] + observed[1] * observed[1] + observed[2] * observed[2])
    cosine = ((predicted[0] * observed[0] + predicted[1] * observed[1] + predicted[2] * observed[2])
              / (length_predicted * length_observed))
    if cosine > 1.0:
        cosine = 1.0
    elif cosine < -1.0:
        cosine = -1.0
    return RAD2DEG * acos(cosine)


cdef Score score(const IndexProblem* p, const Prediction* s, const double* position, double grain_radius,
                 int* rows) noexcept nogil:
    """Matches of all theoretical spots, packed into `rows` in their order, and the mean internal angle."""
    cdef Score result
    cdef double y, z, total = 0.0
    cdef int i, row, n = 0, counted = 0
    for i in range(s.n):
        displaced(p, s, i, position, &y, &z)
        row = _matching_row(p, s.ring[i], s.omega[i], y, z, grain_radius)
        if row < 0:
            continue
        total += _internal_angle(p, s, i, y, z, row, position)
        rows[n] = row
        n += 1
        if not p.rings[s.ring[i]].excluded:
            counted += 1
    result.matched = n
    result.counted = counted
    result.angle = total / n if n else 0.0
    return result


cdef int count_matches(const IndexProblem* p, const Prediction* s, const double* position,
                       double grain_radius) noexcept nogil:
    """Matches on rings that are not excluded, by the exact formulas."""
    cdef double y, z
    cdef int i, counted = 0
    for i in range(s.n):
        if p.rings[s.ring[i]].excluded:
            continue
        displaced(p, s, i, position, &y, &z)
        if _matching_row(p, s.ring[i], s.omega[i], y, z, grain_radius) >= 0:
            counted += 1
    return counted
