"""cbrt, hypot and erf with fixed bits (docs/theory/elementary.md#roots-and-the-error-function)."""
from libc.math cimport INFINITY, copysign, fabs, sqrt
from libc.math cimport cbrt as c_cbrt, erf as c_erf, hypot as c_hypot
from libc.stdint cimport int64_t, uint64_t

from midas._ext.numerics.double_double cimport (
    EXPONENT_BIAS, MANTISSA_BITS, bits_of, double_of, fast_two_sum, power_of_two, two_product, unlikely,
)
from midas._ext.numerics.erf_table cimport ERF_TABLE
from midas._ext.numerics.variant cimport c_library

cdef extern from *:
    """
    #define MIDAS_TWO_OVER_ROOT_PI_LESS_ONE 0x1.06eba8214db69p-3
    """
    const double TWO_OVER_ROOT_PI_LESS_ONE "MIDAS_TWO_OVER_ROOT_PI_LESS_ONE"


cdef inline double cbrt(double x) noexcept nogil:
    """The cube root, by Halley's iteration; the error is below 0.51 units of the last place."""
    cdef double size = fabs(x), scale = 1.0, root, cube, square, square_rest, cube_rest
    cdef int64_t exponent
    cdef int _step
    if unlikely(c_library):
        return c_cbrt(x)
    if size == 0.0 or not size < INFINITY:
        return x
    if size < power_of_two(-1022):
        size *= power_of_two(54)
        scale = power_of_two(-18)
    exponent = <int64_t>(bits_of(size) >> MANTISSA_BITS) - EXPONENT_BIAS + 1200       # a multiple of three more
    size = double_of((bits_of(size) & <uint64_t>0xFFFFFFFFFFFFF)
                     | (<uint64_t>(EXPONENT_BIAS + exponent % 3) << MANTISSA_BITS))   # in [1, 8)
    scale *= power_of_two(exponent // 3 - 400)
    root = 0.75 + size * (0.25 - 0.0117 * size)                                       # within 11 %
    for _step in range(4):
        cube = root * root * root
        root = root * (cube + 2.0 * size) / (2.0 * cube + size)
    square = two_product(root, root, &square_rest)
    cube = two_product(square, root, &cube_rest)
    root -= ((cube - size) + (cube_rest + square_rest * root)) / (3.0 * square)
    return copysign(root * scale, x)


cdef inline double hypot(double x, double y) noexcept nogil:
    """√(x² + y²) without over- or underflow in between; the error is below 0.51 units of the last place."""
    cdef double a = fabs(x), b = fabs(y), scale = 1.0, root, square, rest, a2, a2_rest, b2_rest, total, total_rest
    if unlikely(c_library):
        return c_hypot(x, y)
    if a < b:
        a, b = b, a
    if a == INFINITY or b == INFINITY:
        return INFINITY
    if a != a or b != b:
        return a + b
    if b <= 1e-17 * a:
        return a + b
    if not 1e-140 < a < 1e140:
        scale = power_of_two(600) if a > 1.0 else power_of_two(-600)
        a /= scale
        b /= scale
    a2 = two_product(a, a, &a2_rest)
    total = fast_two_sum(a2, two_product(b, b, &b2_rest), &total_rest)
    root = sqrt(total)
    square = two_product(root, root, &rest)
    root += 0.5 * (((total - square) - rest) + (total_rest + (a2_rest + b2_rest))) / root
    return root * scale


cdef inline double erf(double x) noexcept nogil:
    """The error function; the error is below 0.7 units of the last place."""
    cdef double size = fabs(x), x2, d, tail, knot, rest
    cdef int k
    cdef const double* a
    if unlikely(c_library):
        return c_erf(x)
    if size < 7.450580596923828e-09:                                   # 2^-27
        return x + x * TWO_OVER_ROOT_PI_LESS_ONE
    if size < 0.125:
        x2 = x * x
        tail = 1.0 / 1320.0 - x2 * (1.0 / 9360.0 - x2 * (1.0 / 75600.0))
        tail = 1.0 / 10.0 - x2 * (1.0 / 42.0 - x2 * (1.0 / 216.0 - x2 * tail))
        tail = x2 * (1.0 / 3.0 - x2 * tail)
        return x + (x * TWO_OVER_ROOT_PI_LESS_ONE - (x + x * TWO_OVER_ROOT_PI_LESS_ONE) * tail)
    if not size < 6.0:
        return copysign(1.0, x) if size == size else x
    k = <int>(16.0 * size + 0.5) - 2
    a = &ERF_TABLE[12 * k]
    d = size - (k + 2) / 16.0
    tail = a[8] + d * (a[9] + d * (a[10] + d * a[11]))
    tail = a[1] + d * (a[2] + d * (a[3] + d * (a[4] + d * (a[5] + d * (a[6] + d * (a[7] + d * tail))))))
    knot = fast_two_sum(a[0], d, &rest)
    return copysign(knot + (rest + tail), x)
