"""Digits of numbers, for kernels that format rows of their own."""
from libc.math cimport fabs, signbit
from libc.stdlib cimport malloc, realloc
from libc.string cimport memcpy

cdef extern from *:
    """
    static const double MIDAS_SCALES[13] = {1., 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12};
    static const char MIDAS_PAIRS[201] =
        "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748"
        "4950515253545556575859606162636465666768697071727374757677787980818283848586878889909192939495969798"
        "99";
    """
    const double[13] SCALES "MIDAS_SCALES"
    const char[201] PAIRS "MIDAS_PAIRS"

cdef enum:
    LONGEST = 400          # "%.12f" of the largest double has 309 digits before the point
    DIGITS = 40            # more than `prepend_fixed` writes

cdef struct TextBuffer:
    char* start            # from malloc; whoever allocates it frees it
    Py_ssize_t used
    Py_ssize_t capacity


cdef inline bint allocate_text(TextBuffer* text, Py_ssize_t capacity) noexcept nogil:
    """An empty buffer; False, and `start` NULL, when there is no memory."""
    text.start = <char*>malloc(capacity)
    text.used = 0
    text.capacity = capacity
    return text.start != NULL


cdef inline bint make_room(TextBuffer* text, Py_ssize_t more) noexcept nogil:
    """Room for `more` characters behind the used ones; False when there is no memory."""
    cdef char* grown
    if text.used + more <= text.capacity:
        return True
    grown = <char*>realloc(text.start, 2 * text.capacity + more)
    if grown == NULL:
        return False
    text.start = grown
    text.capacity = 2 * text.capacity + more
    return True


cdef inline bint scaled_decimal(double x, int decimals, long long* n) noexcept nogil:
    """|x| in units of the last decimal, rounded like printf; False when only the C library can tell."""
    cdef double scaled = fabs(x) * SCALES[decimals]
    cdef double fraction
    # The product is off by at most half a unit in its last place (< 1e-4 below 1e12), so away from a tie the rounding
    # is already decided; at a tie, for huge and for non-finite numbers the C library decides.
    if not scaled < 1e12:
        return False
    n[0] = <long long>scaled
    fraction = scaled - n[0]
    n[0] += fraction > 0.5
    return fabs(fraction - 0.5) >= 1e-3


cdef inline char* prepend_digits(char* at, unsigned long long n, int count) noexcept nogil:
    """The digits of n before `at`, at least `count` of them; where they begin."""
    while n > 9 or count > 1:
        at -= 2
        memcpy(at, PAIRS + 2 * (n % 100), 2)
        n //= 100
        count -= 2
    if n > 0 or count > 0:
        at -= 1
        at[0] = <char>(48 + n)
    return at


cdef inline char* prepend_fixed(char* at, long long n, int decimals, double x) noexcept nogil:
    """``%.<decimals>f`` of x before `at`, n from `scaled_decimal`; where it begins."""
    cdef long long whole = <long long>(n / SCALES[decimals])   # n < 2^40: the quotient never rounds up to the next one
    if decimals > 0:
        at = prepend_digits(at, n - whole * <long long>SCALES[decimals], decimals)
        at -= 1
        at[0] = 46
    at = prepend_digits(at, whole, 1)
    # The sign bit, so that small negative numbers print as "-0.000000" like printf's.
    if signbit(x):
        at -= 1
        at[0] = 45
    return at


cdef int write_fixed(char* out, double x, int decimals) noexcept nogil
