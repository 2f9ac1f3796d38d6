"""Text of the spot tables: each row is formatted once and serves three files (docs/theory/fit_setup.md#spot-tables)."""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cython.parallel cimport prange
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from midas._ext.numerics.text cimport (
    DIGITS, LONGEST, TextBuffer, allocate_text, make_room, prepend_fixed, scaled_decimal, write_fixed
)

cdef enum:
    BLOCK = 1024           # rows that a thread formats at a time
    DECIMALS = 5
    WIDTH = 12


cdef struct TextPiece:
    const char* start
    Py_ssize_t length


cdef struct RejectedRow:
    # Text of a rejected row around its id
    TextPiece before
    TextPiece after        # up to the last leading column
    TextPiece extra        # the rest, with the line feed


cdef struct SpotLines:
    # Of a block of rows: all columns, and the leading ones
    TextBuffer full
    TextBuffer leading


cdef inline Py_ssize_t _write_cell(char* out, double x) noexcept nogil:
    """The number, right-aligned in `WIDTH`; how many characters. Up to LONGEST are touched."""
    cdef char[DIGITS] digits
    cdef char[LONGEST] cell
    cdef char* at
    cdef long long n
    cdef int length, pad
    if scaled_decimal(x, DECIMALS, &n):
        memset(digits, 32, DIGITS)
        at = prepend_fixed(digits + DIGITS, n, DECIMALS, x)
        length = max(<int>(digits + DIGITS - at), WIDTH)
        memcpy(out, digits + DIGITS - length, length)
        return length
    length = write_fixed(cell, x, DECIMALS)
    pad = max(WIDTH - length, 0)
    memset(out, 32, pad)
    memcpy(out + pad, cell, length)
    return pad + length


cdef inline Py_ssize_t _write_row(char* out, const double[:, ::1] values, Py_ssize_t i, Py_ssize_t columns,
                                  Py_ssize_t* length) noexcept nogil:
    """A spot's row with its line feed; how many characters are the leading `columns`."""
    cdef Py_ssize_t used = 0, leading = 0, last = values.shape[0] - 1, j
    for j in range(last + 1):
        used += _write_cell(out + used, values[j, i])
        if j == columns - 1:
            leading = used
        out[used] = 32 if j < last else 10
        used += 1
    length[0] = used
    return leading


cdef inline Py_ssize_t _copy_piece(char* out, const TextPiece* piece) noexcept nogil:
    memcpy(out, piece.start, piece.length)
    return piece.length


cdef inline Py_ssize_t _write_rejected(char* out, const RejectedRow* row, double spot_id,
                                       Py_ssize_t* length) noexcept nogil:
    """A rejected row with its line feed; how many characters are the leading columns."""
    cdef Py_ssize_t leading = _copy_piece(out, &row.before)
    leading += _write_cell(out + leading, spot_id)
    leading += _copy_piece(out + leading, &row.after)
    length[0] = leading + _copy_piece(out + leading, &row.extra)
    return leading


cdef bint _format_block(const double[:, ::1] values, Py_ssize_t columns, const double[::1] spot_ids,
                        const unsigned char[::1] rejected, const RejectedRow* row, Py_ssize_t first, Py_ssize_t last,
                        SpotLines* lines) noexcept nogil:
    """Rows first ... last - 1; False when there is no memory."""
    cdef Py_ssize_t i, leading, length = 0, all_columns = values.shape[0]
    cdef Py_ssize_t widest = all_columns * (LONGEST + 1) + row.before.length + row.after.length + row.extra.length
    cdef char* out
    if (not allocate_text(&lines.full, (last - first) * all_columns * (WIDTH + 2))
            or not allocate_text(&lines.leading, (last - first) * columns * (WIDTH + 2))):
        return False
    for i in range(first, last):
        if not make_room(&lines.full, widest):
            return False
        out = lines.full.start + lines.full.used
        if rejected[i]:
            leading = _write_rejected(out, row, spot_ids[i], &length)
        else:
            leading = _write_row(out, values, i, columns, &length)
        lines.full.used += length
        if not make_room(&lines.leading, leading + 1):
            return False
        memcpy(lines.leading.start + lines.leading.used, out, leading)
        lines.leading.used += leading + 1
        lines.leading.start[lines.leading.used - 1] = 10
    return True


cdef bytes _joined(const SpotLines* blocks, Py_ssize_t count, bint leading):
    cdef Py_ssize_t k, used, at = 0
    cdef const char* buffer
    for k in range(count):
        at += blocks[k].leading.used if leading else blocks[k].full.used
    result = PyBytes_FromStringAndSize(NULL, at)
    at = 0
    for k in range(count):
        used = blocks[k].leading.used if leading else blocks[k].full.used
        buffer = blocks[k].leading.start if leading else blocks[k].full.start
        memcpy(PyBytes_AS_STRING(result) + at, buffer, used)
        at += used
    return result


cdef TextPiece _piece(bytes text):
    cdef TextPiece piece
    piece.start = PyBytes_AS_STRING(text)
    piece.length = len(text)
    return piece


cdef void _free_lines(SpotLines* blocks, Py_ssize_t count) noexcept:
    cdef Py_ssize_t k
    for k in range(count):
        free(blocks[k].full.start)
        free(blocks[k].leading.start)
    free(blocks)


def format_spots(const double[:, ::1] values, Py_ssize_t columns, const double[::1] spot_ids,
                 const unsigned char[::1] rejected, rejected_row, Py_ssize_t begin, Py_ssize_t end, int threads):
    """Rows begin ... end - 1 of two files, of which one has the leading columns of the other.

    Parameters
    ----------
    values : (k, n) float64, the columns; printed with ``%12.5f``
    columns : how many of them lead
    spot_ids, rejected : (n,) float64 and uint8; of a row marked with 1 only the spot id is printed
    rejected_row : three bytes, what stands before the id of such a row, after it in the leading columns, and in the
        other ones up to the line feed

    Returns
    -------
    full, leading : bytes, all columns and the leading ones
    """
    cdef Py_ssize_t k, n = values.shape[1], count = (end - begin + BLOCK - 1) // BLOCK, failed = 0
    cdef SpotLines* blocks
    cdef RejectedRow row
    if rejected.shape[0] != n or spot_ids.shape[0] != n or not 0 < columns <= values.shape[0]:
        raise ValueError("one id and one mark per row, and at least the leading columns")
    if not 0 <= begin <= end <= n:
        raise ValueError("rows outside the table")
    before, after, extra = rejected_row
    row.before, row.after, row.extra = _piece(before), _piece(after), _piece(extra)
    blocks = <SpotLines*>calloc(count + 1, sizeof(SpotLines))
    if blocks == NULL:
        raise MemoryError()
    try:
        for k in prange(count, nogil=True, num_threads=threads, schedule="dynamic"):
            failed += not _format_block(values, columns, spot_ids, rejected, &row, begin + k * BLOCK,
                                        min(begin + (k + 1) * BLOCK, end), &blocks[k])
        if failed:
            raise MemoryError()
        return _joined(blocks, count, False), _joined(blocks, count, True)
    finally:
        _free_lines(blocks, count)
