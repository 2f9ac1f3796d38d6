"""asin, acos, atan and atan2 with fixed bits (docs/theory/elementary.md#inverse-functions)."""
from libc.math cimport INFINITY, NAN, copysign, fabs, sqrt
from libc.math cimport acos as c_acos, asin as c_asin, atan as c_atan, atan2 as c_atan2

from midas._ext.numerics.double_double cimport fast_two_sum, two_product, unlikely
from midas._ext.numerics.inverse_tables cimport ASIN_TABLE, ATAN_TABLE
from midas._ext.numerics.variant cimport c_library

cdef extern from *:
    """
    #define MIDAS_HALF_PI 0x1.921fb54442d18p+0
    #define MIDAS_HALF_PI_REST 0x1.1a62633145c07p-54
    """
    const double HALF_PI "MIDAS_HALF_PI"
    const double HALF_PI_REST "MIDAS_HALF_PI_REST"


cdef inline double _asin(double x, double x_low, double* low) noexcept nogil:
    """asin of x + x_low, 0 <= x <= 1/2, in two parts: x or a knot and the way there, and the rest."""
    cdef double x2, x4, d, d2, tail, knot, rest
    cdef int k
    cdef const double* a
    if x < 0.125:
        x2 = x * x
        x4 = x2 * x2
        tail = (143.0 / 10240.0 + x2 * (6435.0 / 557056.0)) + x4 * (12155.0 / 1245184.0)
        tail = (63.0 / 2816.0 + x2 * (231.0 / 13312.0)) + x4 * tail
        tail = ((1.0 / 6.0 + x2 * (3.0 / 40.0)) + x4 * (5.0 / 112.0 + x2 * (35.0 / 1152.0))) + x4 * x4 * tail
        low[0] = x_low * (1.0 + 0.5 * x2) + x * x2 * tail
        return x
    k = <int>(128.0 * x + 0.5) - 16
    a = &ASIN_TABLE[10 * k]
    d = (x - (k + 16) / 128.0) + x_low
    d2 = d * d
    tail = (a[4] + d * a[5]) + d2 * ((a[6] + d * a[7]) + d2 * (a[8] + d * a[9]))
    knot = fast_two_sum(a[0], d, &rest)
    low[0] = rest + (a[1] + d * (a[2] + d * (a[3] + d * tail)))
    return knot


cdef inline double _asin_of_root(double z, double* low) noexcept nogil:
    """asin √z, 0 <= z <= 1/4, in two parts."""
    cdef double root = sqrt(z)
    cdef double rest
    cdef double square = two_product(root, root, &rest)
    if z < 2.2250738585072014e-308:
        low[0] = 0.0
        return root
    return _asin(root, ((z - square) - rest) * (0.5 / root), low)


cdef inline double asin(double x) noexcept nogil:
    """The arc sine, radians; NaN beyond ±1; the error is below 0.53 units of the last place."""
    cdef double size = fabs(x), low, high, rest
    if unlikely(c_library):
        return c_asin(x)
    if size <= 0.5:
        if size < 7.450580596923828e-09:                               # 2^-27
            return x
        high = _asin(size, 0.0, &low)
        return copysign(high + low, x)
    if not size <= 1.0:
        return NAN
    high = 2.0 * _asin_of_root(0.5 * (1.0 - size), &low)
    high = fast_two_sum(HALF_PI, -high, &rest)
    return copysign(high + (rest + (HALF_PI_REST - 2.0 * low)), x)


cdef inline double acos(double x) noexcept nogil:
    """The arc cosine, radians; NaN beyond ±1; the error is below 0.53 units of the last place."""
    cdef double size = fabs(x), low, high, rest
    if unlikely(c_library):
        return c_acos(x)
    if size <= 0.5:
        high = _asin(size, 0.0, &low)
        if x > 0.0:
            high = -high
            low = -low
        high = fast_two_sum(HALF_PI, high, &rest)
        return high + (rest + (HALF_PI_REST + low))
    if not size <= 1.0:
        return NAN
    high = 2.0 * _asin_of_root(0.5 * (1.0 - size), &low)
    if x > 0.0:
        return high + 2.0 * low
    high = fast_two_sum(2.0 * HALF_PI, -high, &rest)
    return high + (rest + 2.0 * (HALF_PI_REST - low))


cdef inline double _atan(double x, double x_low, double* low) noexcept nogil:
    """atan of x + x_low, 0 <= x <= 1, in two parts: x or a knot and the way there, and the rest."""
    cdef double x2, x4, d, d2, tail, knot, rest
    cdef int k
    cdef const double* a
    if x < 0.125:
        x2 = x * x
        x4 = x2 * x2
        tail = (1.0 / 15.0 - x2 * (1.0 / 17.0)) + x4 * (1.0 / 19.0)
        tail = (1.0 / 11.0 - x2 * (1.0 / 13.0)) + x4 * tail
        tail = ((1.0 / 3.0 - x2 * (1.0 / 5.0)) + x4 * (1.0 / 7.0 - x2 * (1.0 / 9.0))) + x4 * x4 * tail
        low[0] = x_low * (1.0 - x2) - x * x2 * tail
        return x
    k = <int>(128.0 * x + 0.5) - 16
    a = &ATAN_TABLE[9 * k]
    d = (x - (k + 16) / 128.0) + x_low
    d2 = d * d
    tail = (a[4] + d * a[5]) + d2 * ((a[6] + d * a[7]) + d2 * a[8])
    knot = fast_two_sum(a[0], d, &rest)
    low[0] = rest + (a[1] + d * (a[2] + d * (a[3] + d * tail)))
    return knot


cdef inline double _quotient_atan(double above, double below, double* low) noexcept nogil:
    """atan(above / below), 0 <= above <= below, in two parts; the quotient is neither tiny nor its parts huge."""
    cdef double quotient = above / below
    cdef double rest
    cdef double product = two_product(quotient, below, &rest)
    return _atan(quotient, ((above - product) - rest) * (1.0 / below), low)


cdef inline double atan(double x) noexcept nogil:
    """The arc tangent, radians; the error is below 0.53 units of the last place."""
    cdef double size = fabs(x), low, high, rest
    if unlikely(c_library):
        return c_atan(x)
    if size <= 1.0:
        if size < 7.450580596923828e-09:                               # 2^-27
            return x
        high = _atan(size, 0.0, &low)
        return copysign(high + low, x)
    if not size < 1e17:
        return copysign(HALF_PI, x) if size == size else x
    high = _quotient_atan(1.0, size, &low)
    high = fast_two_sum(HALF_PI, -high, &rest)
    return copysign(high + (rest + (HALF_PI_REST - low)), x)


cdef inline double _atan2_at_the_ends(double y, double x) noexcept nogil:
    """atan2 where one of them is zero, infinite or NaN, or tiny beside the other."""
    cdef double size_x = fabs(x), size_y = fabs(y), size
    if x != x or y != y:
        return x + y
    if size_y == 0.0 or (size_x == INFINITY and size_y < INFINITY):
        size = 0.0 if copysign(1.0, x) > 0.0 else 2.0 * HALF_PI
    elif size_x == INFINITY:
        size = 0.5 * HALF_PI if x > 0.0 else 1.5 * HALF_PI
    elif size_y > size_x:
        size = HALF_PI - (x / size_y - HALF_PI_REST)
    elif x > 0.0:
        size = size_y / x
    else:
        size = 2.0 * HALF_PI - (size_y / size_x - 2.0 * HALF_PI_REST)
    return copysign(size, y)


cdef inline double atan2(double y, double x) noexcept nogil:
    """The angle of the point (x, y), radians, in [-π, π]; the error is below 0.53 units of the last place."""
    cdef double size_x = fabs(x), size_y = fabs(y), low, high, base, base_rest, rest
    cdef bint steep = size_y > size_x
    cdef double above = size_x if steep else size_y, below = size_y if steep else size_x
    if unlikely(c_library):
        return c_atan2(y, x)
    if unlikely(not (above > 9.313225746154785e-10 * below and below < INFINITY)):     # 2^-30
        return _atan2_at_the_ends(y, x)
    if unlikely(not 1e-150 < below < 1e150):
        rest = 2.409919865102884e-181 if below > 1.0 else 4.149515568880993e+180       # 2^-600, 2^600
        above *= rest
        below *= rest
    high = _quotient_atan(above, below, &low)
    if not steep and x > 0.0:
        return copysign(high + low, y)
    base = HALF_PI if steep else 2.0 * HALF_PI
    base_rest = HALF_PI_REST if steep else 2.0 * HALF_PI_REST
    if not (steep and x < 0.0):
        high = -high
        low = -low
    high = fast_two_sum(base, high, &rest)
    return copysign(high + (rest + (base_rest + low)), y)
