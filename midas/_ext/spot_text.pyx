"""Text of the spot tables: each row is formatted once and serves three files (spec chapter 04 §5.4)."""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cython.parallel cimport prange
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, memset

from midas._ext.numerics.text cimport DIGITS, LONGEST, prepend_fixed, scaled_decimal, write_fixed

cdef enum:
    COLUMNS = 16
    LEADING = 8            # columns of the short table
    SPOT_ID = 4            # the one number of a rejected row, by column
    BLOCK = 1024           # rows that a thread formats at a time
    DECIMALS = 5
    WIDTH = 12

# A rejected row around its id.
cdef extern from *:
    """
    static const char BEFORE_ID[] = "0.000 0.000 0.000 0.0000 ";
    static const char AFTER_ID[] = " 0.0000 0.0000 0.0000";
    static const char NO_EXTRA[] = " 0.000 0.000 0.000 0.0000 0.000 0.000 0.000 0.000\\n";
    """
    const char[26] BEFORE_ID
    const char[22] AFTER_ID
    const char[51] NO_EXTRA


cdef struct Text:
    char* buffer
    Py_ssize_t used
    Py_ssize_t capacity


cdef struct Block:
    Text full
    Text leading


cdef inline bint _reserve(Text* text, Py_ssize_t more) noexcept nogil:
    cdef char* grown
    if text.used + more <= text.capacity:
        return True
    grown = <char*>realloc(text.buffer, 2 * text.capacity + more)
    if grown == NULL:
        return False
    text.buffer = grown
    text.capacity = 2 * text.capacity + more
    return True


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


cdef inline Py_ssize_t _write_row(char* out, const double[:, ::1] values, Py_ssize_t i,
                                  Py_ssize_t* leading) noexcept nogil:
    """A spot's row with its line feed; how many characters, and how many of them are the leading columns."""
    cdef Py_ssize_t used = 0
    cdef int j
    for j in range(COLUMNS):
        used += _write_cell(out + used, values[j, i])
        if j == LEADING - 1:
            leading[0] = used
        out[used] = 32 if j < COLUMNS - 1 else 10
        used += 1
    return used


cdef inline Py_ssize_t _write_rejected(char* out, double spot_id, Py_ssize_t* leading) noexcept nogil:
    cdef Py_ssize_t used = sizeof(BEFORE_ID) - 1
    memcpy(out, BEFORE_ID, sizeof(BEFORE_ID) - 1)
    used += _write_cell(out + used, spot_id)
    memcpy(out + used, AFTER_ID, sizeof(AFTER_ID) - 1)
    used += sizeof(AFTER_ID) - 1
    leading[0] = used
    memcpy(out + used, NO_EXTRA, sizeof(NO_EXTRA) - 1)
    return used + sizeof(NO_EXTRA) - 1


cdef bint _format_block(const double[:, ::1] values, const unsigned char[::1] rejected, Py_ssize_t first,
                        Py_ssize_t last, Block* block) noexcept nogil:
    """Rows first ... last - 1; False when there is no memory."""
    cdef Py_ssize_t i, length, leading = 0
    cdef char* out
    block.full.capacity = (last - first) * COLUMNS * (WIDTH + 2)
    block.full.buffer = <char*>malloc(block.full.capacity)
    block.leading.capacity = (last - first) * LEADING * (WIDTH + 2)
    block.leading.buffer = <char*>malloc(block.leading.capacity)
    if block.full.buffer == NULL or block.leading.buffer == NULL:
        return False
    for i in range(first, last):
        if not _reserve(&block.full, COLUMNS * (LONGEST + 1)):
            return False
        out = block.full.buffer + block.full.used
        if rejected[i]:
            length = _write_rejected(out, values[SPOT_ID, i], &leading)
        else:
            length = _write_row(out, values, i, &leading)
        block.full.used += length
        if not _reserve(&block.leading, leading + 1):
            return False
        memcpy(block.leading.buffer + block.leading.used, out, leading)
        block.leading.used += leading + 1
        block.leading.buffer[block.leading.used - 1] = 10
    return True


cdef bytes _joined(const Block* blocks, Py_ssize_t count, bint leading):
    cdef Py_ssize_t k, used, at = 0
    cdef const char* buffer
    for k in range(count):
        at += blocks[k].leading.used if leading else blocks[k].full.used
    result = PyBytes_FromStringAndSize(NULL, at)
    at = 0
    for k in range(count):
        used = blocks[k].leading.used if leading else blocks[k].full.used
        buffer = blocks[k].leading.buffer if leading else blocks[k].full.buffer
        memcpy(PyBytes_AS_STRING(result) + at, buffer, used)
        at += used
    return result


def format_spots(const double[:, ::1] values, const unsigned char[::1] rejected, Py_ssize_t begin, Py_ssize_t end,
                 int threads):
    """Rows begin ... end - 1 of InputAllExtraInfoFittingAll.csv and of InputAllNoHeader.csv.

    Parameters
    ----------
    values : (16, n) float64, the columns
    rejected : (n,) uint8, 1 for a row of which only the spot id is printed, the rest as zeros

    Returns
    -------
    full, leading : bytes, all 16 columns and the first 8
    """
    cdef Py_ssize_t k, count = (end - begin + BLOCK - 1) // BLOCK
    cdef Block* blocks
    cdef Py_ssize_t failed = 0
    if values.shape[0] != COLUMNS or rejected.shape[0] != values.shape[1]:
        raise ValueError("sixteen columns, and one mark per row")
    if not 0 <= begin <= end <= values.shape[1]:
        raise ValueError("rows outside the table")
    blocks = <Block*>calloc(count + 1, sizeof(Block))
    if blocks == NULL:
        raise MemoryError()
    try:
        for k in prange(count, nogil=True, num_threads=threads, schedule="dynamic"):
            failed += not _format_block(values, rejected, begin + k * BLOCK, min(begin + (k + 1) * BLOCK, end),
                                        &blocks[k])
        if failed:
            raise MemoryError()
        return _joined(blocks, count, False), _joined(blocks, count, True)
    finally:
        for k in range(count):
            free(blocks[k].full.buffer)
            free(blocks[k].leading.buffer)
        free(blocks)
