"""The spots of one seed as columns, so that the loops of a fit vectorise."""
from midas._ext.refine.grain cimport VARIABLES

cdef extern from *:
    """
    /* A column that nothing else in its loop overlaps. */
    typedef double *restrict midas_column;
    """
    ctypedef double* column "midas_column"


cdef struct FitSpots:
    Py_ssize_t n
    Py_ssize_t padded      # n rounded up to a multiple of four; the spots beyond n have weight 0
    # Observed: on the plane (µm), omega (degrees) with its cosine and sine, unit direction (DIRECTION only)
    double* y_plane
    double* z_plane
    double* omega_recorded
    double* cos_recorded
    double* sin_recorded
    double* direction[3]
    double* certainty      # factor on the distances
    # The reflection each spot was matched with: indices and branch (sign of the laboratory y)
    double* h
    double* k
    double* l
    double* branch
    # Predicted, on the recorded side with an exact wedge, else on the ideal one: G, lab y of the rotated G, its omega;
    # then the recorded omega, which turns the position
    double* gx
    double* gy
    double* gz
    double* e
    double* cos_omega
    double* sin_omega
    double* cos_turn
    double* sin_turn
    double* scale          # detector radius over sqrt(e² + gz²), and its derivative by |G| over |G|
    double* scale_slope
    double* y_origin       # spot of a grain at the origin, µm
    double* z_origin
    double* shrink         # 1 - X / Lsd of the turned position
    # `StoppedBeam` of the position, for a tilted detector: what `jacobian` needs
    double* stop_f
    double* stop_shrink
    double* stop_y         # crossing of the plane over Lsd
    double* stop_z
    double* across_y       # over the reach
    double* across_z
    # Residuals (predicted - observed) in three columns, and the weights of spot and omega terms
    double* residual
    double* weight_spot
    double* weight_omega
    # (variables, 3 rows of `padded`) weighted Jacobian
    double* jacobian

cdef enum:
    SPOT_COLUMNS = 37 + 3 * VARIABLES


cdef double* lay_out_spots(FitSpots* s, Py_ssize_t capacity, double* buffer) noexcept nogil
cdef void pad_spots(FitSpots* s) noexcept nogil
