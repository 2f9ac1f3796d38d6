"""The loops over plane normals, orientations and positions for one start spot.

See docs/theory/indexing.md#search-loops.
"""
from midas._ext.index.candidates cimport PositionLine
from midas._ext.index.filter cimport Counts, OrientationBlock, PairVectors
from midas._ext.index.points cimport Mates, RingPoints
from midas._ext.index.problem cimport IndexProblem
from midas._ext.index.score cimport Prediction


cdef struct BestCandidate:
    double completeness
    double angle
    double orientation[9]
    double position[3]
    int expected
    int matched


cdef struct IndexWorkspace:    # of one thread
    RingPoints points
    RingPoints arc
    Mates mates
    PositionLine line
    Prediction prediction
    Counts counts
    OrientationBlock block
    PairVectors* vectors
    int* rows
    # Per orientation about the current normal
    int* possible
    int* present
    char* done
    double normal[3]
    double first[9]


cdef int allocate_workspace(IndexWorkspace* w, const IndexProblem* p) noexcept nogil
cdef void free_workspace(IndexWorkspace* w) noexcept nogil
cdef int search_seed(const IndexProblem* p, int row, IndexWorkspace* w, BestCandidate* best,
                     int* best_rows) noexcept nogil
