"""What the search leaves of a start spot.

Every member takes eight bytes, so that a numpy dtype with these names has the same layout.
"""
from midas._ext.index.search cimport BestCandidate


cdef struct IndexedSeed:
    double internal_angle  # mean over the matched spots, degrees
    double orientation[9]  # U, row-major
    double position[3]     # µm
    long long expected     # numbers of theoretical and of matched spots
    long long matched


cdef void write_seed(const BestCandidate* best, IndexedSeed* seed) noexcept nogil
