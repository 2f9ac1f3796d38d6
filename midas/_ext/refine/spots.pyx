"""The spots of one seed as columns, so that the loops of a fit vectorise."""


cdef inline double* _column(double** buffer, Py_ssize_t length) noexcept nogil:
    """The next part of the buffer."""
    buffer[0] += length
    return buffer[0] - length


cdef double* lay_out_spots(FitSpots* s, Py_ssize_t capacity, double* buffer) noexcept nogil:
    """Carve the columns for `capacity` (a multiple of 4) spots out of `buffer`; returns what follows them."""
    cdef int i
    s.y_plane = _column(&buffer, capacity)
    s.z_plane = _column(&buffer, capacity)
    s.omega_recorded = _column(&buffer, capacity)
    s.cos_recorded = _column(&buffer, capacity)
    s.sin_recorded = _column(&buffer, capacity)
    for i in range(3):
        s.direction[i] = _column(&buffer, capacity)
    s.certainty = _column(&buffer, capacity)
    s.h = _column(&buffer, capacity)
    s.k = _column(&buffer, capacity)
    s.l = _column(&buffer, capacity)
    s.branch = _column(&buffer, capacity)
    s.gx = _column(&buffer, capacity)
    s.gy = _column(&buffer, capacity)
    s.gz = _column(&buffer, capacity)
    s.e = _column(&buffer, capacity)
    s.cos_omega = _column(&buffer, capacity)
    s.sin_omega = _column(&buffer, capacity)
    s.cos_turn = _column(&buffer, capacity)
    s.sin_turn = _column(&buffer, capacity)
    s.scale = _column(&buffer, capacity)
    s.scale_slope = _column(&buffer, capacity)
    s.y_origin = _column(&buffer, capacity)
    s.z_origin = _column(&buffer, capacity)
    s.shrink = _column(&buffer, capacity)
    s.stop_f = _column(&buffer, capacity)
    s.stop_shrink = _column(&buffer, capacity)
    s.stop_y = _column(&buffer, capacity)
    s.stop_z = _column(&buffer, capacity)
    s.across_y = _column(&buffer, capacity)
    s.across_z = _column(&buffer, capacity)
    s.weight_spot = _column(&buffer, capacity)
    s.weight_omega = _column(&buffer, capacity)
    s.residual = _column(&buffer, 3 * capacity)
    s.jacobian = _column(&buffer, 3 * VARIABLES * capacity)
    return buffer


cdef void pad_spots(FitSpots* s) noexcept nogil:
    """Fill the spots after the last one with a copy of it, so that they are finite; they get weight 0."""
    cdef Py_ssize_t i, j, last = s.n - 1
    s.padded = (s.n + 3) // 4 * 4
    for i in range(s.n, s.padded):
        s.y_plane[i] = s.y_plane[last]
        s.z_plane[i] = s.z_plane[last]
        s.omega_recorded[i] = s.omega_recorded[last]
        s.cos_recorded[i] = s.cos_recorded[last]
        s.sin_recorded[i] = s.sin_recorded[last]
        s.certainty[i] = s.certainty[last]
        s.h[i] = s.h[last]
        s.k[i] = s.k[last]
        s.l[i] = s.l[last]
        s.branch[i] = s.branch[last]
        for j in range(3):
            s.direction[j][i] = s.direction[j][last]
