"""sin, cos and tan with fixed bits (docs/theory/elementary.md#sine-cosine-tangent).

W. J. Cody, W. Waite, Software Manual for the Elementary Functions, Prentice-Hall 1980; M. H. Payne, R. N. Hanek,
SIGNUM Newsletter 18 (1983) 19; P. T. P. Tang, Proc. 10th IEEE Symp. Computer Arithmetic (1991) 232.
"""
from libc.math cimport INFINITY, NAN, fabs
from libc.math cimport cos as c_cos, sin as c_sin, tan as c_tan
from libc.stdint cimport int64_t, uint64_t

from midas._ext.numerics.direct_tables cimport SINE_TABLE, TWO_OVER_PI
from midas._ext.numerics.double_double cimport bits_of, fast_two_sum, two_product, two_sum, unlikely
from midas._ext.numerics.variant cimport c_library

cdef extern from *:
    """
    #define MIDAS_ROUNDER 0x1.8p52
    #define MIDAS_STEPS_PER_RADIAN 0x1.45f306dc9c883p+5  /* 128 / pi */
    #define MIDAS_PI_1 0x1.921fb54443p-6                 /* pi / 128: twice 42 bits and the rest */
    #define MIDAS_PI_2 -0x1.73dcb3b39ap-49
    #define MIDAS_PI_3 0x1.45c06e0e68948p-92
    #define MIDAS_STEP 0x1.921fb54442d18p-6              /* pi / 128 in two parts */
    #define MIDAS_STEP_REST 0x1.1a62633145c07p-60

    /* Steps of pi / 128 in x >= 16, modulo 256 (0 to 256), and the rest of a step times 2^127.
       The window of 192 bits of 2/pi begins where x 2/pi has its bit of weight 2. */
    static inline int64_t midas_large_steps(double x, const uint64_t *two_over_pi, double *high, double *low)
    {
        uint64_t u = midas_bits(x), mantissa = (u & 0xfffffffffffffu) | 0x10000000000000u, window[3];
        int first = (int)((u >> 52) & 0x7ff) - 1023 - 52 + 62, word = first / 64, shift = first % 64, i;
        unsigned __int128 product, upper;
        __int128 rest;
        uint64_t carry = 0;
        int64_t steps;
        for (i = 0; i < 3; i++)
            window[i] = shift ? two_over_pi[word + i] << shift | two_over_pi[word + i + 1] >> (64 - shift)
                              : two_over_pi[word + i];
        for (i = 2; i >= 0; i--) {
            product = (unsigned __int128)window[i] * mantissa + carry;
            window[i] = (uint64_t)product;
            carry = (uint64_t)(product >> 64);
        }
        steps = (int64_t)(window[0] >> 56);
        upper = (unsigned __int128)window[0] << 72 | (unsigned __int128)window[1] << 8 | window[2] >> 56;
        rest = (__int128)upper;                          /* a fraction of half a step or more counts as negative */
        steps += rest < 0;
        rest >>= 1;
        *high = (double)rest;
        *low = (double)(rest - (__int128)*high);
        return steps;
    }
    """
    const double ROUNDER "MIDAS_ROUNDER"
    const double STEPS_PER_RADIAN "MIDAS_STEPS_PER_RADIAN"
    const double PI_1 "MIDAS_PI_1"
    const double PI_2 "MIDAS_PI_2"
    const double PI_3 "MIDAS_PI_3"
    const double STEP "MIDAS_STEP"
    const double STEP_REST "MIDAS_STEP_REST"
    int64_t large_steps "midas_large_steps"(double x, const uint64_t* table, double* high, double* low) noexcept nogil

cdef struct Turn:
    # x = n π/128 + r + r_low, |r| <= π/256
    int64_t n
    double r
    double r_low

cdef struct Circle:
    # Sine and cosine, each in two parts, the second one up to 1 % of the first
    double s
    double s_low
    double c
    double c_low


cdef inline Turn _large_turn(double x) noexcept nogil:
    cdef Turn t
    cdef double high, low, rest
    t.n = large_steps(fabs(x), TWO_OVER_PI, &high, &low)
    high *= 5.877471754111438e-39              # 2^-127
    low *= 5.877471754111438e-39
    t.r = two_product(high, STEP, &rest)
    t.r_low = rest + (high * STEP_REST + low * STEP)
    if x < 0.0:
        t.n = -t.n
        t.r = -t.r
        t.r_low = -t.r_low
    return t


cdef inline Turn _turn(double x) noexcept nogil:
    """Steps and rest of a finite x; below 24 the rest is right to 2^-113, and next to multiples of π/2 to 2^-134."""
    cdef Turn t
    cdef double shifted, steps, first, rest
    if unlikely(fabs(x) >= 24.0):
        return _large_turn(x)
    shifted = x * STEPS_PER_RADIAN + ROUNDER
    steps = shifted - ROUNDER
    t.n = <int64_t>(bits_of(shifted) - bits_of(ROUNDER))
    first = x - steps * PI_1                   # exact: the product has less than 53 bits, and they are close
    t.r = two_sum(first, -(steps * PI_2), &rest)
    t.r_low = rest - steps * PI_3
    return t


cdef inline Circle _circle(Turn t) noexcept nogil:
    """Sine and cosine of the part of `t` within an eighth of a turn of a multiple of a quarter."""
    cdef Circle at
    cdef int64_t j = ((t.n + 32) & 63) - 32
    cdef const double* row = &SINE_TABLE[4 * (j if j >= 0 else -j)]
    cdef double s = row[0], s_low = row[1], c = row[2], r2 = t.r * t.r, rest
    cdef double sine = t.r * r2 * (-1.0 / 6.0 + r2 * (1.0 / 120.0 - r2 * (1.0 / 5040.0)))            # sin r - r
    cdef double cosine = r2 * (-0.5 + r2 * (1.0 / 24.0 - r2 * (1.0 / 720.0)))                       # cos r - 1
    if j < 0:
        s = -s
        s_low = -s_low
    at.s = fast_two_sum(s, t.r, &rest)
    at.s_low = rest + (s_low + (s * cosine + (((c - 1.0) + row[3]) * t.r + (c * sine + c * t.r_low))))
    at.c = c
    at.c_low = row[3] + (c * cosine - (s * t.r + (s * sine + s * t.r_low)))
    return at


cdef inline int64_t _quarter(Turn t) noexcept nogil:
    """Number of quarter turns, modulo 4."""
    return ((t.n + 32) >> 6) & 3


cdef inline double sin(double x) noexcept nogil:
    """The sine of x (radians); the error is below 0.54 units of the last place."""
    cdef Turn t
    cdef Circle at
    cdef int64_t quarter
    cdef double value
    if unlikely(c_library):
        return c_sin(x)
    if unlikely(not 7.450580596923828e-09 < fabs(x) < INFINITY):       # 2^-27
        return x if fabs(x) < 1.0 else NAN
    t = _turn(x)
    at = _circle(t)
    quarter = _quarter(t)
    value = at.c + at.c_low if quarter & 1 else at.s + at.s_low
    return -value if quarter & 2 else value


cdef inline double cos(double x) noexcept nogil:
    """The cosine of x (radians); the error is below 0.54 units of the last place."""
    cdef Turn t
    cdef Circle at
    cdef int64_t quarter
    cdef double value
    if unlikely(c_library):
        return c_cos(x)
    if unlikely(not fabs(x) < INFINITY):
        return NAN
    t = _turn(x)
    at = _circle(t)
    quarter = _quarter(t)
    value = at.s + at.s_low if quarter & 1 else at.c + at.c_low
    return -value if (quarter + 1) & 2 else value


cdef inline void sincos(double x, double* sine, double* cosine) noexcept nogil:
    """`sin` and `cos`, to the same bits, for the price of one and a bit."""
    cdef Turn t
    cdef Circle at
    cdef int64_t quarter
    cdef double s, c
    if unlikely(c_library):
        sine[0] = c_sin(x)
        cosine[0] = c_cos(x)
        return
    if unlikely(not 7.450580596923828e-09 < fabs(x) < INFINITY):
        sine[0] = x if fabs(x) < 1.0 else NAN
        cosine[0] = 1.0 if fabs(x) < 1.0 else NAN
        return
    t = _turn(x)
    at = _circle(t)
    quarter = _quarter(t)
    s = at.s + at.s_low
    c = at.c + at.c_low
    if quarter & 1:
        s, c = c, s
    sine[0] = -s if quarter & 2 else s
    cosine[0] = -c if (quarter + 1) & 2 else c


cdef inline double tan(double x) noexcept nogil:
    """The tangent of x (radians); the error is below 0.55 units of the last place."""
    cdef Turn t
    cdef Circle at
    cdef double above, above_low, below, below_low, quotient, product, rest
    if unlikely(c_library):
        return c_tan(x)
    if unlikely(not 7.450580596923828e-09 < fabs(x) < INFINITY):
        return x if fabs(x) < 1.0 else NAN
    t = _turn(x)
    at = _circle(t)
    above = fast_two_sum(at.s, at.s_low, &above_low)
    below = fast_two_sum(at.c, at.c_low, &below_low)
    if _quarter(t) & 1:
        above, below = -below, above
        above_low, below_low = -below_low, above_low
    quotient = above / below
    product = two_product(quotient, below, &rest)
    return quotient + ((above - product) - rest + (above_low - quotient * below_low)) / below
