"""exp and log with fixed bits (docs/theory/elementary.md#exponential-and-logarithm).

P. T. P. Tang, ACM Trans. Math. Softw. 15 (1989) 144 and 16 (1990) 378.
"""
from libc.math cimport INFINITY, NAN, fabs
from libc.math cimport exp as c_exp, log as c_log
from libc.stdint cimport int64_t, uint64_t

from midas._ext.numerics.direct_tables cimport EXP_TABLE, LOG_TABLE
from midas._ext.numerics.double_double cimport (
    EXPONENT_BIAS, MANTISSA_BITS, bits_of, double_of, fast_two_sum, power_of_two, two_product, two_sum, unlikely,
)
from midas._ext.numerics.variant cimport c_library

cdef extern from *:
    """
    #define MIDAS_TO_INTEGER 0x1.8p52            /* adding it rounds to an integer, which its last bits then hold */
    #define MIDAS_STEPS_PER_UNIT 0x1.71547652b82fep+7    /* 128 / ln 2 */
    #define MIDAS_STEP_HIGH 0x1.62e42fef8p-8     /* ln 2 / 128, 34 bits and the rest */
    #define MIDAS_STEP_LOW 0x1.1cf79abc9e3b4p-43
    #define MIDAS_LN2_HIGH 0x1.62e42fefa38p-1    /* ln 2, a multiple of 2^-42 and the rest */
    #define MIDAS_LN2_LOW 0x1.ef35793c7673p-45
    """
    const double TO_INTEGER "MIDAS_TO_INTEGER"
    const double STEPS_PER_UNIT "MIDAS_STEPS_PER_UNIT"
    const double STEP_HIGH "MIDAS_STEP_HIGH"
    const double STEP_LOW "MIDAS_STEP_LOW"
    const double LN2_HIGH "MIDAS_LN2_HIGH"
    const double LN2_LOW "MIDAS_LN2_LOW"


cdef inline double _small_exp(double x, int64_t* n) noexcept nogil:
    """What 2^(n/128) must grow by to be exp(x), relative to the table's 2^(j/128) 2^(n >> 7), j = n & 127."""
    cdef double shifted = x * STEPS_PER_UNIT + TO_INTEGER
    cdef double steps = shifted - TO_INTEGER
    cdef double r = (x - steps * STEP_HIGH) - steps * STEP_LOW
    cdef double r2 = r * r
    n[0] = <int64_t>(bits_of(shifted) - bits_of(TO_INTEGER))
    return EXP_TABLE[2 * (n[0] & 127) + 1] + r + r2 * ((0.5 + r * (1.0 / 6.0)) + r2 * (1.0 / 24.0 + r * (1.0 / 120.0)))


cdef inline double _exp_at_the_ends(double x) noexcept nogil:
    """exp of NaN, of numbers that are nearly too large or too small, and beyond."""
    cdef int64_t n
    cdef double growth, power, value, low, high
    if x != x:
        return x
    if x > 710.0:
        return INFINITY
    if x < -746.0:
        return 0.0
    growth = _small_exp(x, &n)
    power = EXP_TABLE[2 * (n & 127)]
    if x > 0.0:
        return (power + power * growth) * 2.0 * power_of_two((n >> 7) - 1)
    n = (n >> 7) + 1022                   # to multiples of 2^-1074 in one rounding: added to 1 they are those of 2^-52
    if n >= 0:
        return (power + power * growth) * power_of_two(n) * power_of_two(-1022)
    power *= power_of_two(n)
    value = fast_two_sum(power, power * growth, &low)
    high = fast_two_sum(1.0, value, &value)
    return ((high + (value + low)) - 1.0) * power_of_two(-1022)


cdef inline double exp_with_fixed_bits(double x) noexcept nogil:
    """`exp` for loops that ask for the C library's outside."""
    cdef int64_t n
    cdef double growth, power
    if unlikely(not fabs(x) < 690.0):
        return _exp_at_the_ends(x)
    growth = _small_exp(x, &n)
    power = double_of(bits_of(EXP_TABLE[2 * (n & 127)]) + (<uint64_t>(n >> 7) << MANTISSA_BITS))
    return power + power * growth


cdef inline double exp(double x) noexcept nogil:
    """The exponential function; the error is below 0.511 units of the last place."""
    if unlikely(c_library):
        return c_exp(x)
    return exp_with_fixed_bits(x)


cdef inline double _log_near_one(double f) noexcept nogil:
    """log(1 + f), |f| < 1/32: f - f²/2 in two parts and the series."""
    cdef double square_rest, rest
    cdef double square = two_product(f, f, &square_rest)
    cdef double high = fast_two_sum(f, -0.5 * square, &rest)
    cdef double tail = 1.0 / 12.0 - f * (1.0 / 13.0)
    tail = 1.0 / 10.0 - f * (1.0 / 11.0 - f * tail)
    tail = 1.0 / 8.0 - f * (1.0 / 9.0 - f * tail)
    tail = 1.0 / 6.0 - f * (1.0 / 7.0 - f * tail)
    tail = 1.0 / 4.0 - f * (1.0 / 5.0 - f * tail)
    return high + ((rest - 0.5 * square_rest) + f * square * (1.0 / 3.0 - f * tail))


cdef inline double log(double x) noexcept nogil:
    """The natural logarithm; the error is below 0.52 units of the last place."""
    cdef int64_t exponent
    cdef double mantissa, head, inverse, high, r, r_rest, rest
    cdef const double* row
    if unlikely(c_library):
        return c_log(x)
    if fabs(x - 1.0) < 1.0 / 32.0:
        return _log_near_one(x - 1.0)
    if not 0.0 < x < INFINITY:
        if x == 0.0:
            return -INFINITY
        return x if x > 0.0 or x != x else NAN
    exponent = -EXPONENT_BIAS
    if x < power_of_two(-1022):
        x *= power_of_two(54)
        exponent -= 54
    exponent += <int64_t>(bits_of(x) >> MANTISSA_BITS)
    mantissa = double_of((bits_of(x) & <uint64_t>0xFFFFFFFFFFFFF) | (<uint64_t>EXPONENT_BIAS << MANTISSA_BITS))
    row = &LOG_TABLE[3 * <int>((bits_of(x) >> 45) & 127)]
    if mantissa >= 1.0 + 53.0 / 128.0:                 # its row is that of the half
        exponent += 1
    inverse = row[0]
    head = double_of(bits_of(mantissa) & <uint64_t>0xFFFFFFFFF8000000)
    r = two_sum(head * inverse - 1.0, (mantissa - head) * inverse, &r_rest)
    high = fast_two_sum(exponent * LN2_HIGH + row[1], r, &rest)
    rest += (row[2] + exponent * LN2_LOW) + r_rest
    return high + (rest - r * r * (0.5 - r * (1.0 / 3.0 - r * (0.25 - r * (0.2 - r * (1.0 / 6.0 - r * (1.0 / 7.0)))))))
