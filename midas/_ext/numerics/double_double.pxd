"""Numbers in two parts, and the bits of a double (docs/theory/elementary.md#two-parts).

T. J. Dekker, Numer. Math. 18 (1971) 224; D. E. Knuth, The Art of Computer Programming, vol. 2, section 4.2.2.
"""
from libc.stdint cimport int64_t, uint64_t

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    static inline uint64_t midas_bits(double x) { uint64_t u; memcpy(&u, &x, 8); return u; }
    static inline double midas_double(uint64_t u) { double x; memcpy(&x, &u, 8); return x; }
    #define MIDAS_UNLIKELY(x) __builtin_expect(!!(x), 0)
    """
    uint64_t bits_of "midas_bits"(double x) noexcept nogil
    double double_of "midas_double"(uint64_t bits) noexcept nogil
    bint unlikely "MIDAS_UNLIKELY"(bint condition) noexcept nogil

cdef enum:
    EXPONENT_BIAS = 1023
    MANTISSA_BITS = 52


cdef inline double power_of_two(int64_t n) noexcept nogil:
    """2^n of a normal number, -1022 <= n <= 1023."""
    return double_of(<uint64_t>(EXPONENT_BIAS + n) << MANTISSA_BITS)


cdef inline double two_sum(double a, double b, double* rest) noexcept nogil:
    """a + b, and what its rounding took away, exactly."""
    cdef double total = a + b
    cdef double b_used = total - a
    rest[0] = (a - (total - b_used)) + (b - b_used)
    return total


cdef inline double fast_two_sum(double a, double b, double* rest) noexcept nogil:
    """`two_sum` of |a| >= |b| or a = 0."""
    cdef double total = a + b
    rest[0] = (a - total) + b
    return total


cdef inline double two_product(double a, double b, double* rest) noexcept nogil:
    """a b, and what its rounding took away, exactly as long as no product over- or underflows."""
    cdef double product = a * b
    cdef double t = 134217729.0 * a            # 2^27 + 1
    cdef double a_high = t - (t - a)
    cdef double a_low = a - a_high
    t = 134217729.0 * b
    cdef double b_high = t - (t - b)
    cdef double b_low = b - b_high
    rest[0] = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low
    return product
