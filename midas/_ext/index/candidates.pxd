"""Grain positions and orientations that can have produced a start spot (docs/theory/indexing.md#position-line)."""
from midas._ext.index.problem cimport IndexProblem


cdef struct PositionLine:      # grain positions that explain the start spot, sample frame, µm
    int n_max                  # position n stands at index n + n_max, n = -n_max ... n_max
    int low                    # first and last index within the height of the beam
    int high
    int capacity
    double* a
    double* b
    double* c
    double centre[3]           # of the positions low ... high
    double half[3]             # from the centre to the last one
    # Per ring: what the linear displacement of a spot misses at most
    double* eta_slack          # degrees
    double* radial_slack       # µm


cdef int position_line(const IndexProblem* p, int row, double y0, double z0, PositionLine* line) noexcept nogil
cdef void plane_normal(const IndexProblem* p, int row, double y0, double z0, double* normal) noexcept nogil
cdef void first_orientation(const double* g, const double* normal, double* orientation) noexcept nogil
cdef void rotated_orientation(const IndexProblem* p, const double* normal, const double* first, int j,
                              double* orientation) noexcept nogil
cdef int allocate_line(PositionLine* line, int n_rings) noexcept nogil
cdef void free_line(PositionLine* line) noexcept nogil
