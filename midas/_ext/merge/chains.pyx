"""Peaks of consecutive frames to spots (docs/theory/merge.md#chains).

The peaks of all frames stand one behind the other; ``first`` (frames + 1,) says where each frame begins. A chain is the
spot in the making: one peak per frame, without gaps. Only *which* peak continues which chain depends on the order of
the frames; sorting, the search for neighbours and the sums over the finished chains run over all of them in parallel.
"""
import numpy as np

from libc.string cimport memcpy


cdef class Chains:
    """Chains under construction, frame after frame.

    Parameters
    ----------
    first : (f + 1,) int64, where each frame begins in the ordered peaks

    """
    def __init__(self, const long long[::1] first):
        cdef Py_ssize_t i
        widest = int(np.diff(first).max(initial=0))
        self.first = first
        self.previous = np.full(first[first.shape[0] - 1], -1, dtype=np.int64)
        self.ended = np.empty(first[first.shape[0] - 1], dtype=np.int64)
        self.open = np.empty(widest, dtype=np.int32)
        self.spare = np.empty(widest, dtype=np.int32)
        self.partner = np.full(widest, -1, dtype=np.int32)
        self.taken = np.zeros(widest, dtype=np.uint8)
        for i in range(self.count()):
            self.open[i] = <int>i

    cdef Py_ssize_t count(self) noexcept nogil:
        """Open chains, which is as many as the frame has peaks."""
        return <Py_ssize_t>(self.first[self.frame + 1] - self.first[self.frame])

    cdef void advance(self) noexcept nogil:
        """Go to the next frame: continue the chains that have a partner there, end the others, open the rest."""
        cdef long long begin = self.first[self.frame]
        cdef Py_ssize_t chains = self.count(), i, n = 0
        cdef int j
        self.frame += 1
        for i in range(chains):
            j = self.partner[self.open[i]]
            if j < 0:
                self.ended[self.ended_count] = begin + self.open[i]
                self.ended_count += 1
            else:
                self.previous[begin + chains + j] = begin + self.open[i]
                self.taken[j] = 1
                self.spare[n] = j
                n += 1
        for j in range(<int>self.count()):
            if not self.taken[j]:
                self.spare[n] = j
                n += 1
            self.taken[j] = 0
        if n:
            memcpy(&self.open[0], &self.spare[0], n * sizeof(int))

    def finish(self):
        """End the chains that are still open.

        Returns
        -------
        previous : (n,) int64, of each ordered peak the one before it in its chain, or -1
        last : (m,) int64, the last peak of each chain, in the order of the spots' numbers
        """
        cdef Py_ssize_t i
        if self.frame != self.first.shape[0] - 2:
            raise ValueError(f"at frame {self.frame} of {self.first.shape[0] - 1}")
        for i in range(self.count()):
            self.ended[self.ended_count] = self.first[self.frame] + self.open[i]
            self.ended_count += 1
        return np.asarray(self.previous), np.asarray(self.ended)[:self.ended_count]


def merge_map(const long long[::1] previous, const long long[::1] last):
    """The peaks of each chain, newest first.

    Parameters
    ----------
    previous, last : what the links returned

    Returns
    -------
    chain_first : (m + 1,) int64, where each chain begins in `peaks`
    peaks : (n,) int64
    """
    cdef Py_ssize_t i, n = 0
    cdef long long peak
    chain_first = np.zeros(last.shape[0] + 1, dtype=np.int64)
    peaks = np.empty(previous.shape[0], dtype=np.int64)
    cdef long long[::1] first = chain_first
    cdef long long[::1] out = peaks
    with nogil:
        for i in range(last.shape[0]):
            peak = last[i]
            while peak >= 0:
                out[n] = peak
                n += 1
                peak = previous[peak]
            first[i + 1] = n
    return chain_first, peaks
