"""Number tables as text, exactly as C's printf and strtod write and read them.

See docs/theory/conventions.md#numbers-as-text.
"""
import numpy as np

from libc.math cimport copysign
from libc.stdio cimport snprintf
from libc.stdlib cimport free, strtod
from libc.string cimport memcpy, memset

cdef int write_fixed(char* out, double x, int decimals) noexcept nogil:
    """``%.<decimals>f`` of x; the number of characters."""
    cdef long long n
    cdef char[DIGITS] digits
    cdef char* at
    cdef int length
    if not scaled_decimal(x, decimals, &n):
        return snprintf(out, LONGEST, b"%.*f", decimals, x)
    at = prepend_fixed(digits + DIGITS, n, decimals, x)
    length = <int>(digits + DIGITS - at)
    memcpy(out, at, length)
    return length


cdef int _write_integer(char* out, long long n) noexcept nogil:
    """``%d`` of n; the number of characters."""
    cdef char[DIGITS] digits
    cdef char* at
    cdef int length
    if n < 0 and -n < 0:
        return snprintf(out, LONGEST, b"%lld", n)
    at = prepend_digits(digits + DIGITS, n if n >= 0 else -n, 1)
    if n < 0:
        at -= 1
        at[0] = 45
    length = <int>(digits + DIGITS - at)
    memcpy(out, at, length)
    return length


cdef struct RowFormat:
    Py_ssize_t columns
    const int* decimals
    const int* widths
    char between
    bint trailing_separator


cdef bint _append_row(TextBuffer* text, const double* values, Py_ssize_t stride, const RowFormat* row) noexcept nogil:
    """A row, whose numbers are `stride` apart, with its line feed; False when there is no memory."""
    cdef char[LONGEST] cell
    cdef Py_ssize_t j
    cdef int length, pad
    for j in range(row.columns):
        if row.decimals[j] < 0:
            length = _write_integer(cell, <long long>values[j * stride])
        else:
            length = write_fixed(cell, values[j * stride], row.decimals[j])
        pad = row.widths[j] - length if row.widths[j] > length else 0
        if not make_room(text, length + pad + 2):
            return False
        if pad:
            memset(text.start + text.used, 32, pad)
            text.used += pad
        memcpy(text.start + text.used, cell, length)
        text.used += length
        if j < row.columns - 1 or row.trailing_separator:
            text.start[text.used] = row.between
            text.used += 1
    text.start[text.used] = 10
    text.used += 1
    return True


def format_table(const double[:, :] values, const int[::1] decimals, const int[::1] widths, bytes separator,
                 bint trailing_separator=False):
    """Rows of numbers as text, one line a row.

    Parameters
    ----------
    values : (n, k) float64
    decimals : (k,) int32, digits after the point (``%f`` is 6, at most 12); -1 for ``%d``
    widths : (k,) int32, minimum width, padded with blanks on the left
    separator : one character between two columns, and after the last one if `trailing_separator`

    Returns
    -------
    bytes
    """
    cdef Py_ssize_t n = values.shape[0], k = values.shape[1], i, stride
    cdef bint complete = True
    cdef RowFormat row
    cdef TextBuffer text
    if decimals.shape[0] != k or widths.shape[0] != k or k == 0:
        raise ValueError("one format per column, and at least one column")
    row.columns, row.decimals, row.widths = k, &decimals[0], &widths[0]
    row.between, row.trailing_separator = separator[0], trailing_separator
    stride = values.strides[1] // <Py_ssize_t>sizeof(double)
    if not allocate_text(&text, 64 + n * k * 14):
        raise MemoryError()
    try:
        with nogil:
            for i in range(n):
                complete = _append_row(&text, &values[i, 0], stride, &row)
                if not complete:
                    break
        if not complete:
            raise MemoryError()
        return text.start[:text.used]
    finally:
        free(text.start)


cdef inline double _rounded(double x, int decimals) noexcept nogil:
    """The number that reading ``%.<decimals>f`` of x back gives."""
    cdef long long n
    cdef char[LONGEST + 1] cell
    # A whole number below 2^53 divided by an exact power of ten is what strtod gives.
    if scaled_decimal(x, decimals, &n):
        return copysign(n / SCALES[decimals], x)
    cell[write_fixed(cell, x, decimals)] = 0
    return strtod(cell, NULL)


def rounded(const double[:] values, int decimals, double[::1] out=None):
    """The numbers that reading ``%.<decimals>f`` of `values` back gives; (n,) float64, in `out` when it is given."""
    cdef Py_ssize_t i, n = values.shape[0]
    if out is None:
        out = np.empty(n, dtype=np.float64)
    if out.shape[0] != n:
        raise ValueError("one place per value")
    with nogil:
        for i in range(n):
            out[i] = _rounded(values[i], decimals)
    return np.asarray(out)


cdef inline bint _is_blank(char c) noexcept nogil:
    return c == 32 or c == 9 or c == 13


cdef inline const char* _read_number(const char* at, const char* end, double* x) noexcept nogil:
    """strtod for the word at `at`; the character behind it, or NULL when the word is not a number."""
    cdef const char* start = at
    cdef char* after
    cdef long long digits = 0
    cdef int decimals = -1, count = 0
    if at[0] == 45 or at[0] == 43:
        at += 1
    # Plain decimals of at most 15 digits: the digits as one whole number, divided by an exact power of ten, round
    # like strtod does. Everything else (exponents, more digits, nan, rubbish) is the C library's.
    while at < end and count <= 15:
        if 48 <= at[0] <= 57:
            digits = 10 * digits + (at[0] - 48)
            count += 1
            decimals += decimals >= 0
        elif at[0] == 46 and decimals < 0:
            decimals = 0
        else:
            break
        at += 1
    if 0 < count <= 15 and decimals <= 12 and (at == end or _is_blank(at[0])):
        x[0] = copysign(digits / SCALES[decimals if decimals > 0 else 0], -1.0 if start[0] == 45 else 1.0)
        return at
    x[0] = strtod(start, &after)
    if after == start or after > end or not (after == end or _is_blank(after[0])):
        return NULL
    return after


cdef inline const char* _past_blanks(const char* at, const char* end) noexcept nogil:
    while at < end and _is_blank(at[0]):
        at += 1
    return at


cdef inline const char* _line_end(const char* at, const char* end) noexcept nogil:
    while at < end and at[0] != 10:
        at += 1
    return at


cdef inline bint _parse_line(const char* at, const char* end, int columns, int need, double* row) noexcept nogil:
    """The leading numbers of a line; False when one of the first `need` is missing or a word is no number."""
    cdef int j
    for j in range(columns):
        at = _past_blanks(at, end)
        if at == end:
            return j >= need
        at = _read_number(at, end, row + j)
        if at == NULL:
            return False
    return True


def parse_table(bytes text, int columns, int skip_lines=0, int required=-1):
    """Numbers of a blank- or tab-separated table; surplus columns of a line are ignored, blank lines skipped.

    Parameters
    ----------
    text : the file
    columns : how many leading columns to take
    skip_lines : header lines
    required : columns that every line must have, the missing ones are 0; all of them if negative

    Returns
    -------
    values : (columns, n) float64, one contiguous row per column
    bad_line : 1-based number of the first line that has a word in place of a number or too few of them; 0 if none
    """
    cdef const char* at = text
    cdef const char* end = at + len(text)
    cdef const char* line_end
    cdef Py_ssize_t rows = 0, number = 0
    cdef int need = columns if required < 0 else required
    cdef long long bad = 0
    table = np.zeros((text.count(b"\n") + 1, columns), dtype=np.float64)
    cdef double[:, ::1] out = table
    with nogil:
        while at < end:
            number += 1
            line_end = _line_end(at, end)
            if number > skip_lines and _past_blanks(at, line_end) < line_end:
                if not _parse_line(at, line_end, columns, need, &out[rows, 0]):
                    bad = number
                    break
                rows += 1
            at = line_end + 1
    return np.ascontiguousarray(table[:rows].T), bad
