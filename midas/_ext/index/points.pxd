"""Plane normals that can have produced a start spot, as points of its ring.

See docs/theory/indexing.md#which-plane-normals-are-tried.
"""
from midas._ext.index.candidates cimport PositionLine
from midas._ext.index.problem cimport IndexProblem


cdef struct RingPoints:        # of a ring: where the spot would be for a grain at the origin, µm
    int n
    int capacity
    double* y
    double* z


cdef struct Mates:             # observed spots that support a plane normal
    int n
    int capacity
    int* row
    int* point                 # index into the points of the arc
    double* distance           # squared, µm²


cdef int find_points(const IndexProblem* p, int row, RingPoints* points, RingPoints* arc, Mates* mates,
                     PositionLine* line) noexcept nogil
cdef void free_points(RingPoints* points) noexcept nogil
cdef void free_mates(Mates* mates) noexcept nogil
