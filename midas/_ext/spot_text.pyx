"""Text of the spot tables: each row is formatted once and serves three files (spec chapter 04 §5.4)."""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cython.parallel cimport prange
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy

from midas._ext.text cimport LONGEST, write_fixed

cdef enum:
    COLUMNS = 16
    LEADING = 8            # columns of the short table
    SPOT_ID = 4            # the one number of a rejected row, by column
    BLOCK = 2048           # rows that a thread formats at a time
    DECIMALS = 5
    WIDTH = 12

# Decimals of a rejected row, except its id.
cdef int[COLUMNS] REJECTED_DECIMALS
REJECTED_DECIMALS[:] = [3, 3, 3, 4, 5, 4, 4, 4, 3, 3, 3, 4, 3, 3, 3, 3]


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


cdef inline Py_ssize_t _write_cell(char* out, double x, int decimals, int width) noexcept nogil:
    """The number, right-aligned in `width`; how many characters."""
    cdef char[LONGEST] cell
    cdef int length = write_fixed(cell, x, decimals)
    cdef int pad = width - length if width > length else 0
    cdef int i
    for i in range(pad):
        out[i] = 32
    memcpy(out + pad, cell, length)
    return pad + length


cdef bint _format_block(const double[:, ::1] values, const unsigned char[::1] rejected, Py_ssize_t first,
                        Py_ssize_t last, Block* block) noexcept nogil:
    """Rows first ... last - 1; False when there is no memory."""
    cdef Py_ssize_t i, start, end_of_leading = 0
    cdef int j, plain
    cdef char* out
    block.full.capacity = (last - first) * COLUMNS * (WIDTH + 3)
    block.full.buffer = <char*>malloc(block.full.capacity)
    block.leading.capacity = (last - first) * LEADING * (WIDTH + 3)
    block.leading.buffer = <char*>malloc(block.leading.capacity)
    if block.full.buffer == NULL or block.leading.buffer == NULL:
        return False
    for i in range(first, last):
        if not _reserve(&block.full, COLUMNS * (LONGEST + 1)):
            return False
        out = block.full.buffer
        start = block.full.used
        for j in range(COLUMNS):
            plain = rejected[i] and j != SPOT_ID
            block.full.used += _write_cell(out + block.full.used, 0.0 if plain else values[j, i],
                                           REJECTED_DECIMALS[j] if plain else DECIMALS, 0 if plain else WIDTH)
            if j == LEADING - 1:
                end_of_leading = block.full.used
            out[block.full.used] = 32 if j < COLUMNS - 1 else 10
            block.full.used += 1
        if not _reserve(&block.leading, end_of_leading - start + 1):
            return False
        memcpy(block.leading.buffer + block.leading.used, out + start, end_of_leading - start)
        block.leading.used += end_of_leading - start + 1
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


def format_spots(const double[:, ::1] values, const unsigned char[::1] rejected, int threads):
    """Rows of InputAllExtraInfoFittingAll.csv and of InputAllNoHeader.csv.

    Parameters
    ----------
    values : (16, n) float64, the columns
    rejected : (n,) uint8, 1 for a row of which only the spot id is printed, the rest as zeros

    Returns
    -------
    full, leading : bytes, all 16 columns and the first 8
    """
    cdef Py_ssize_t k, n = values.shape[1], count = (n + BLOCK - 1) // BLOCK
    cdef Block* blocks
    cdef Py_ssize_t failed = 0
    if values.shape[0] != COLUMNS or rejected.shape[0] != n:
        raise ValueError("sixteen columns, and one mark per row")
    blocks = <Block*>calloc(count + 1, sizeof(Block))
    if blocks == NULL:
        raise MemoryError()
    try:
        for k in prange(count, nogil=True, num_threads=threads, schedule="dynamic"):
            failed += not _format_block(values, rejected, k * BLOCK, min((k + 1) * BLOCK, n), &blocks[k])
        if failed:
            raise MemoryError()
        return _joined(blocks, count, False), _joined(blocks, count, True)
    finally:
        for k in range(count):
            free(blocks[k].full.buffer)
            free(blocks[k].leading.buffer)
        free(blocks)
