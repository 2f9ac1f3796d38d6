"""What a refined seed leaves: its solution, and what it says of each matched spot.

Every member takes eight bytes, so that a numpy dtype with these names has the same layout.
"""
from midas._ext.refine.grain cimport Grain
from midas._ext.refine.seed cimport RefineProblem, RefineWorkspace


cdef struct Solution:
    double orientation[9]  # U, row-major
    double position[3]     # µm
    double cell[6]         # Å, degrees
    double diff_pos        # means over the matched spots: µm, degrees, degrees
    double diff_ome
    double diff_angle


cdef struct MatchedSpot:
    long long row          # of the recorded spots
    double y_centred       # observed, as if the grain were at the origin and the axis upright: µm, degrees
    double z_centred
    double omega_centred
    double g_observed[3]   # unit scattering vector in the sample frame
    double y_predicted     # of a grain at the origin
    double z_predicted
    double omega_predicted
    double g_predicted[3]  # the same with the length of the lattice spacing, Å
    double diff_angle      # between the two vectors, degrees
    double diff_pos        # µm
    double diff_ome        # degrees


cdef void write_grain(const Grain* grain, const double* x, Solution* solution) noexcept nogil
cdef void write_spots(Py_ssize_t n, const double* x, const RefineProblem* problem, RefineWorkspace* work,
                      MatchedSpot* spots, Solution* solution) noexcept nogil
cdef bint is_finite(const Solution* solution) noexcept nogil
