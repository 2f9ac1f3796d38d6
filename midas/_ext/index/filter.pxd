"""Upper bounds on the matches of many orientations, and matches of one orientation at all positions.

See docs/theory/indexing.md#upper-bounds-for-orientations.
"""
from midas._ext.index.candidates cimport PositionLine
from midas._ext.index.problem cimport IndexProblem
from midas._ext.index.score cimport Prediction

cdef enum:
    BLOCK = 64


cdef struct OrientationBlock:
    # Orientations that are still alive
    int n
    int j[BLOCK]               # number of the rotation
    int possible[BLOCK]        # spots that can match
    int missed[BLOCK]          # spots that cannot match and are certainly there
    int present[BLOCK]         # spots that are certainly there
    double cos_phi[BLOCK]
    double sin_phi[BLOCK]
    # Solutions of one pair of reflections: branch + (y > 0) and branch - of g; -g has them half a turn away
    double status[BLOCK]       # 0: none, 1: too near to a special case for these formulas, 2: regular
    double eta[BLOCK]          # of branch -, degrees; branch + has -eta
    double omega_plus[BLOCK]   # degrees
    double omega_minus[BLOCK]
    double y[BLOCK]            # of branch +, on the unit circle
    double z[BLOCK]
    # Shift along the ring (degrees) and away from the centre (µm): at the centre of the line, half the extent
    double along_plus[BLOCK]
    double along_plus_half[BLOCK]
    double along_minus[BLOCK]
    double along_minus_half[BLOCK]
    double out_plus[BLOCK]
    double out_plus_half[BLOCK]
    double out_minus[BLOCK]
    double out_minus_half[BLOCK]


cdef struct PairVectors:       # g at rotation phi: fixed + cosine·cos(phi) + sine·sin(phi), sample frame
    double fixed[3]
    double cosine[3]
    double sine[3]


cdef struct Counts:            # of matches on counted rings per position of a line
    int capacity
    double* y
    double* z
    double* distance
    double* sure               # 1 where a spot matches
    double* maybe              # 1 where it does or rounding might decide otherwise
    double* count


cdef void pair_vectors(const IndexProblem* p, const double* first, const double* normal,
                       PairVectors* vectors) noexcept nogil
cdef void bound_orientations(const IndexProblem* p, const PairVectors* vectors, const PositionLine* line,
                             double grain_radius,
                             int first, int count, double least, OrientationBlock* b) noexcept nogil
cdef int count_line(const IndexProblem* p, const Prediction* s, const PositionLine* line, double grain_radius,
                    Counts* counts) noexcept nogil
cdef void free_counts(Counts* counts) noexcept nogil
