"""Content of a ``_PX.bin``: int32 side, int32 peaks; per peak int32 n and n pairs int16 y, z.

See docs/theory/peaks.md#pixel-lists.
"""
import numpy as np

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int16_t, int32_t
from libc.string cimport memcpy

cdef enum:
    HEAD = 8               # bytes before the first record
    COUNT = 4              # bytes of a record's count
    PAIR = 4               # bytes of a pixel


def encode_pixels(int32_t size, const long long[::1] offsets, const int16_t[::1] y, const int16_t[::1] z):
    """The file's content.

    Parameters
    ----------
    size : side of the detector
    offsets : (n + 1,) int64, peak k has the pixels offsets[k] ... offsets[k + 1] - 1
    y, z : int16 pixel coordinates

    Returns
    -------
    bytes
    """
    cdef int32_t peaks = <int32_t>(offsets.shape[0] - 1), k, count
    cdef long long i
    cdef int16_t[2] pair
    if peaks < 0 or y.shape[0] != z.shape[0] or offsets[0] < 0 or offsets[peaks] > y.shape[0]:
        raise ValueError("offsets that do not fit the pixels")
    if peaks and np.diff(offsets).min() < 0:
        raise ValueError("offsets must not decrease")
    content = PyBytes_FromStringAndSize(NULL, HEAD + COUNT * peaks + PAIR * (offsets[peaks] - offsets[0]))
    cdef char* at = PyBytes_AS_STRING(content)
    with nogil:
        memcpy(at, &size, 4)
        memcpy(at + 4, &peaks, 4)
        at += HEAD
        for k in range(peaks):
            count = <int32_t>(offsets[k + 1] - offsets[k])
            memcpy(at, &count, COUNT)
            at += COUNT
            for i in range(offsets[k], offsets[k + 1]):
                pair[0] = y[i]
                pair[1] = z[i]
                memcpy(at, pair, PAIR)
                at += PAIR
    return content


def decode_pixels(bytes content):
    """What `encode_pixels` was given.

    Returns
    -------
    size : int
    offsets : (n + 1,) int64
    y, z : int16
    fault : empty, or what is wrong with the content
    """
    cdef const char* begin = content
    cdef Py_ssize_t length = len(content), at = HEAD, used = 0, i
    cdef int32_t size = 0, peaks = 0, count = 0, k
    nothing = np.empty(0, dtype=np.int16)
    if length < HEAD:
        return 0, np.zeros(1, dtype=np.int64), nothing, nothing, "is cut off"
    memcpy(&size, begin, 4)
    memcpy(&peaks, begin + 4, 4)
    if not 0 <= peaks <= (length - HEAD) // COUNT:
        return size, np.zeros(1, dtype=np.int64), nothing, nothing, f"is cut off; it should hold {peaks} peaks"
    pixel_offsets = np.zeros(peaks + 1, dtype=np.int64)
    pixel_y = np.empty((length - HEAD - COUNT * peaks) // PAIR, dtype=np.int16)
    pixel_z = np.empty_like(pixel_y)
    cdef long long[::1] offsets = pixel_offsets
    cdef int16_t[::1] y = pixel_y
    cdef int16_t[::1] z = pixel_z
    cdef int16_t[2] pair
    for k in range(peaks):
        if at + COUNT <= length:
            memcpy(&count, begin + at, COUNT)
            at += COUNT
        else:
            count = -1
        # The comparison with the room in y keeps enough bytes for the counts that are still to come.
        if count < 0 or count > (length - at) // PAIR or used + count > y.shape[0]:
            return size, pixel_offsets, nothing, nothing, f"is cut off in the pixels of peak {k + 1}"
        with nogil:
            for i in range(used, used + count):
                memcpy(pair, begin + at, PAIR)
                y[i] = pair[0]
                z[i] = pair[1]
                at += PAIR
        used += count
        offsets[k + 1] = used
    fault = "" if at == length else f"has {length} bytes where its {peaks} peaks need {at}"
    return size, pixel_offsets, pixel_y[:used], pixel_z[:used], fault
