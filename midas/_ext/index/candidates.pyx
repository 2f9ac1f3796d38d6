"""Grain positions and orientations that can have produced a start spot (docs/theory/indexing.md#position-line).

Functions that return int return 0 when there is no memory, else 1.
"""
from libc.math cimport fabs, fmax, fmin, sqrt
from libc.stdlib cimport free, malloc

from midas._ext.numerics.elementary cimport acos
from midas._ext.physics.geometry cimport RAD2DEG
from midas._ext.index.problem cimport IndexProblem, IndexSpots
from midas._ext.index.score cimport scattering_vector, unit_vector
from midas._ext.physics.rotation cimport axis_rotation, matrix_product
from midas._ext.physics.wedge cimport Instrument

cdef enum:
    LONGEST_LINE = 10000000    # positions to each side; only nonsense input asks for more


# ---------------------------------------------------------------- positions


cdef int allocate_line(PositionLine* line, int n_rings) noexcept nogil:
    line.eta_slack = <double*>malloc(2 * <size_t>n_rings * sizeof(double))
    line.radial_slack = line.eta_slack + n_rings
    return line.eta_slack != NULL


cdef int _reserve_line(PositionLine* line, int n) noexcept nogil:
    if n <= line.capacity:
        return 1
    free(line.a)
    line.a = <double*>malloc(3 * <size_t>n * sizeof(double))
    line.capacity = n if line.a != NULL else 0
    line.b = line.a + n
    line.c = line.b + n
    return line.a != NULL


cdef void free_line(PositionLine* line) noexcept nogil:
    free(line.a)
    free(line.eta_slack)


cdef inline double _largest_stop(const Instrument* instrument, double radius, double reach) noexcept nogil:
    """How far a tilted detector can move a spot within `radius`, of a grain within `reach` of the origin (µm)."""
    cdef double slope, before, room
    if not instrument.tilted:
        return 0.0
    slope = sqrt(instrument.slope_y * instrument.slope_y + instrument.slope_z * instrument.slope_z)
    before = slope * radius
    room = instrument.lsd - reach * (1.0 + slope + before / instrument.lsd)
    return before / room * reach * (1.0 + radius / instrument.lsd) if room > 0.0 else 1e12


cdef void _add_bounds(const IndexProblem* p, PositionLine* line) noexcept nogil:
    """Centre and extent of the usable positions, and what the linear displacement of a spot neglects.

    A spot moves by t along the ring and s away from the centre, both linear in the position and bounded by its
    distance P from the axis; eta moves by atan(t / (R + s)), the distance from the centre by at most s + t²/(2(R + s)).
    A tilted detector moves it by at most e more, in whichever direction.
    """
    cdef double reach, radius, s, q, e
    cdef int i = line.low, k = line.high
    reach = fmax(sqrt(line.a[i] * line.a[i] + line.b[i] * line.b[i] + line.c[i] * line.c[i]),
                 sqrt(line.a[k] * line.a[k] + line.b[k] * line.b[k] + line.c[k] * line.c[k]))
    line.centre[0] = 0.5 * (line.a[i] + line.a[k])
    line.centre[1] = 0.5 * (line.b[i] + line.b[k])
    line.centre[2] = 0.5 * (line.c[i] + line.c[k])
    line.half[0] = 0.5 * (line.a[k] - line.a[i])
    line.half[1] = 0.5 * (line.b[k] - line.b[i])
    line.half[2] = 0.5 * (line.c[k] - line.c[i])
    for i in range(p.n_rings):
        radius = p.rings[i].ring_radius
        s = reach * (1.0 + radius / p.lsd)
        e = _largest_stop(&p.instrument, radius + s, reach)
        if s + e < 0.5 * radius:
            q = reach / (radius - s)
            line.eta_slack[i] = RAD2DEG * (q * s / radius + q * q * q / 3.0 + e / (radius - s - e)) + 1e-5
            line.radial_slack[i] = 0.5 * q * reach + e + 1e-3
        else:
            line.eta_slack[i] = 360.0
            line.radial_slack[i] = 1e12


cdef int position_line(const IndexProblem* p, int row, double y0, double z0, PositionLine* line) noexcept nogil:
    """Positions along the diffracted beam, through the sample; low > high where there is none."""
    cdef const IndexSpots* o = &p.spots
    cdef double k[3]
    cdef double dy = o.y_ideal[row] - y0, dz = o.z_ideal[row] - z0, a, b, e, reach, length, x, y, z
    cdef double c = o.cos_omega[row], s = o.sin_omega[row]
    cdef int i, n
    if p.instrument.tilted:
        # The beam ends where the surface is in line with the spot, and not on the plane.
        x = p.lsd / (p.lsd + p.instrument.slope_y * o.y_ideal[row] + p.instrument.slope_z * o.z_ideal[row])
        dy *= x
        dz *= x
    unit_vector(p.lsd, y0, z0, k)
    a = k[0] * k[0] + k[1] * k[1]
    b = 2.0 * k[1] * dy
    e = dy * dy - p.r_sample * p.r_sample
    reach = ((-b + sqrt(b * b - 4.0 * a * e)) / (2.0 * a) + 20.0) * k[0] / <double>(<long long>p.position_step)
    line.low = 0
    line.high = -1
    line.n_max = -1
    if not (reach > -1.0 and reach < LONGEST_LINE):
        return 1
    line.n_max = <int>reach
    if not _reserve_line(line, 2 * line.n_max + 1):
        return 0
    line.low = 2 * line.n_max + 1
    for i in range(2 * line.n_max + 1):
        n = i - line.n_max
        length = p.position_step * (n / k[0])
        x = length * k[0]
        y = dy + length * k[1]
        z = dz + length * k[2]
        line.a[i] = x * c + y * s
        line.b[i] = y * c - x * s
        line.c[i] = z
        if fabs(z) <= p.h_beam / 2.0:
            line.low = min(line.low, i)
            line.high = i
    if line.low <= line.high:
        _add_bounds(p, line)
    return 1


# ---------------------------------------------------------------- orientations


cdef void plane_normal(const IndexProblem* p, int row, double y0, double z0, double* normal) noexcept nogil:
    """Scattering vector, sample frame, of the ring point (y0, z0) at the omega of the start spot."""
    cdef double k[3]
    unit_vector(p.lsd, y0, z0, k)
    scattering_vector(k[0], k[1], k[2], p.spots.cos_omega[row], p.spots.sin_omega[row], normal)


cdef void first_orientation(const double* g, const double* normal, double* orientation) noexcept nogil:
    """The shortest rotation that brings the crystal vector g along the plane normal.

    See docs/theory/indexing.md#candidate-orientations.
    """
    cdef double axis[3]
    cdef double cosine
    axis[0] = g[1] * normal[2] - g[2] * normal[1]
    axis[1] = g[2] * normal[0] - g[0] * normal[2]
    axis[2] = g[0] * normal[1] - g[1] * normal[0]
    cosine = ((g[0] * normal[0] + g[1] * normal[1] + g[2] * normal[2])
              / (sqrt(g[0] * g[0] + g[1] * g[1] + g[2] * g[2])
                 * sqrt(normal[0] * normal[0] + normal[1] * normal[1] + normal[2] * normal[2])))
    cosine = fmax(-1.0, fmin(1.0, cosine))
    if axis[0] == 0.0 and axis[1] == 0.0 and axis[2] == 0.0 and cosine < 0.0:
        # Opposite vectors: half a turn about anything perpendicular.
        if fabs(g[0]) < fabs(g[1]):
            axis[1] = -g[2]
            axis[2] = g[1]
        else:
            axis[0] = g[2]
            axis[2] = -g[0]
    axis_rotation(axis[0], axis[1], axis[2], RAD2DEG * acos(cosine), orientation)


cdef void rotated_orientation(const IndexProblem* p, const double* normal, const double* first, int j,
                              double* orientation) noexcept nogil:
    """Orientation j about the plane normal."""
    cdef double turn[9]
    axis_rotation(normal[0], normal[1], normal[2], j * p.orientation_step, turn)
    matrix_product(turn, first, orientation)
