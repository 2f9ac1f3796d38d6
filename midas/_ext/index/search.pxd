"""The loops over plane normals, orientations and positions for one start spot (spec chapter 05 §4.2, §10.2)."""
from midas._ext.index.candidates cimport Line
from midas._ext.index.filter cimport Block, Counts, PairVectors
from midas._ext.index.points cimport Mates, Points
from midas._ext.index.problem cimport Problem
from midas._ext.index.score cimport Prediction


cdef struct Best:
    double fraction
    double angle
    double orientation[9]
    double position[3]
    int predicted
    int matched


cdef struct Workspace:         # of one thread
    Points points
    Points arc
    Mates mates
    Line line
    Prediction prediction
    Counts counts
    Block block
    PairVectors* vectors
    int* rows
    # Per orientation about the current normal
    int* possible
    int* present
    char* done
    double normal[3]
    double first[9]


cdef int allocate_workspace(Workspace* w, const Problem* p) noexcept nogil
cdef void free_workspace(Workspace* w) noexcept nogil
cdef int search_seed(const Problem* p, int row, Workspace* w, Best* best, int* best_rows) noexcept nogil
