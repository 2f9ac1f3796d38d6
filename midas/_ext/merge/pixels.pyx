"""Chains of peaks that share pixels from frame to frame (docs/theory/merge.md#pixel-mode)."""
import numpy as np

from midas._ext.merge.chains cimport Chains


def link_by_pixels(Chains chains, int[:, ::1] label_map, const long long[::1] rows, pixels,
                   const long long[::1] next_rows, next_pixels):
    """Continue the chains by shared pixels and go to the next frame.

    Parameters
    ----------
    chains : the chains up to a frame
    label_map : (N, N) int32, all 0; and again when the function returns
    rows, next_rows : (n,) int64, of the ordered peaks of the two frames the record of their pixels
    pixels, next_pixels : offsets (int64), y and z (int16) of the two frames; y and z within the map
    """
    cdef const long long[::1] offsets, next_offsets
    cdef const short[::1] y, z, next_y, next_z
    offsets, y, z = pixels
    next_offsets, next_y, next_z = next_pixels
    cdef Py_ssize_t count = chains.count(), i, p
    cdef int[::1] votes = np.zeros(count + 1, dtype=np.int32)
    cdef int[::1] best = np.zeros(count, dtype=np.int32)
    cdef int label
    with nogil:
        for i in range(count):
            chains.partner[i] = -1
            for p in range(offsets[rows[chains.open[i]]], offsets[rows[chains.open[i]] + 1]):
                label_map[y[p], z[p]] = <int>i + 1
        for i in range(next_rows.shape[0]):
            label = _most_shared(label_map, votes, next_y, next_z, next_offsets[next_rows[i]],
                                 next_offsets[next_rows[i] + 1])
            # Of the peaks that prefer a chain the one with most shared pixels gets it, the first one among equals.
            if label and votes[0] > best[label - 1]:
                best[label - 1] = votes[0]
                chains.partner[chains.open[label - 1]] = <int>i
        for i in range(count):
            for p in range(offsets[rows[chains.open[i]]], offsets[rows[chains.open[i]] + 1]):
                label_map[y[p], z[p]] = 0
        chains.advance()


cdef int _most_shared(const int[:, ::1] label_map, int[::1] votes, const short[::1] y, const short[::1] z,
                      long long begin, long long end) noexcept nogil:
    """The label that first reaches the highest count under the pixels, or 0; its count goes to votes[0].

    All other votes are 0 before and after.
    """
    cdef long long p
    cdef int label, best = 0, most = 0
    for p in range(begin, end):
        label = label_map[y[p], z[p]]
        if label:
            votes[label] += 1
            if votes[label] > most:
                most = votes[label]
                best = label
    for p in range(begin, end):
        votes[label_map[y[p], z[p]]] = 0
    votes[0] = most
    return best
