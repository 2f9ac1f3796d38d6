"""What all seeds share, the workspace of a thread, and the match of a seed's spots."""
from midas._ext.physics.region cimport Region
from midas._ext.physics.wedge cimport Instrument
from midas._ext.refine.grain cimport Grain
from midas._ext.refine.match cimport PredictedSpots, Reflections
from midas._ext.refine.spots cimport FitSpots

cdef enum Method:
    JOINT
    STAGED
    CELL_ONLY


cdef enum Solver:
    ROBUST                 # the robust loss down to epsilon 0.1
    CONVERGED              # down to 0.01, and four times the iterations
    SIMPLEX                # plain sums, the legacy minimiser


cdef struct RecordedSpots:
    # One entry per spot id
    const double* y_plane  # µm
    const double* z_plane
    const double* omega_recorded  # degrees
    const double* certainty  # factor on the distances on the detector
    const int* group       # ring group of the reflections, -1 for a ring that is not used


cdef struct RefineProblem:
    Instrument instrument
    Region region
    Reflections reflections
    RecordedSpots recorded
    double cell[6]
    double margin_lengths  # relative
    double margin_angles
    double r_sample        # µm
    double h_beam
    double sigma_spot
    double sigma_omega
    bint joint             # all variables are fitted together, with positions turned by the predicted omega
    int solver


cdef struct Match:
    long long row          # of the recorded spots
    int reflection
    double branch
    double cos_recorded
    double sin_recorded


cdef struct RefineWorkspace:
    FitSpots spots
    PredictedSpots predicted
    Match* indexed         # what the indexer assigned
    Match* matched
    int* reflection        # SIMPLEX: reflection of each matched spot, and
    int* place             # which of the observable branches of that it is compared with


cdef int collect_spots(const long long* spot_rows, Py_ssize_t n, const RecordedSpots* recorded,
                       Match* out) noexcept nogil
cdef int match_spots(const Match* candidates, Py_ssize_t n, const double* x, Grain* grain,
                     const RefineProblem* problem, RefineWorkspace* work, Match* out) noexcept nogil
cdef void load_spots(const Match* matched, Py_ssize_t n, const double* x, const RefineProblem* problem,
                     FitSpots* spots) noexcept nogil
cdef Py_ssize_t workspace_doubles(Py_ssize_t spots, Py_ssize_t reflections) noexcept nogil
cdef Py_ssize_t workspace_ints(Py_ssize_t spots, Py_ssize_t reflections, Py_ssize_t groups) noexcept nogil
cdef void lay_out(RefineWorkspace* work, Py_ssize_t spots, Py_ssize_t reflections, Py_ssize_t groups, double* doubles,
                  int* ints, Match* matches) noexcept nogil
