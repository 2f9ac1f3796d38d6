"""Plane normals that can have produced a start spot, as points of its ring (spec chapter 05 §4.1)."""
from midas._ext.index.candidates cimport Line
from midas._ext.index.problem cimport Problem


cdef struct Points:            # of a ring: where the spot would be for a grain at the origin, µm
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


cdef int find_points(const Problem* p, int row, Points* points, Points* arc, Mates* mates, Line* line) noexcept nogil
cdef void free_points(Points* points) noexcept nogil
cdef void free_mates(Mates* mates) noexcept nogil
