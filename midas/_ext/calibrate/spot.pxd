"""One spot of a grain in the joint fit of grains and instrument: residuals and derivatives."""
from midas._ext.physics.geometry cimport Detector, StoppedBeam
from midas._ext.physics.slopes cimport PlaneSlopes
from midas._ext.physics.wedge cimport Instrument

cdef enum:
    # Order of the numbers of an instrument, the names are in `joint.PARAMETERS`
    LSD = 0
    Y_BC = 1
    Z_BC = 2
    TX = 3
    P0 = 6
    P1C = 7
    P1S = 8
    P2 = 9
    WEDGE = 10
    OMEGA_ZERO = 11
    WAVELENGTH = 12
    WOBBLE = 13
    HARMONICS = 10
    PARAMETERS_OF_INSTRUMENT = 23
    # then what is no parameter
    PX = 23
    RHO_D = 24
    EXACT_WEDGE = 25
    EXACT_TILTS = 26
    NUMBERS_OF_INSTRUMENT = 27
    # A grain: position, rotation vector, strain 11 22 33 23 13 12
    OF_GRAIN = 12
    # A spot moves with its grain, its instrument and the two shifts of its panel
    MOST_COLUMNS = 37


cdef struct JointInstrument:
    Detector detector
    Instrument instrument
    double p1c
    double p1s
    double omega_zero      # degrees
    double wobble[HARMONICS]       # µm
    double by_tilt[27]     # of the tilt matrix, per degree of tx, ty, tz
    double slopes_by_tilt[6]       # of the surface's slopes in y, then in z
    int active[PARAMETERS_OF_INSTRUMENT]   # the parameters that columns are wanted of
    int columns[PARAMETERS_OF_INSTRUMENT]  # and which ones
    int n_active


cdef struct ObservedSpot:
    double y_px            # panel shift included
    double z_px
    double omega           # degrees, as recorded
    double[3] hkl
    double branch
    double radial_y        # unit vector along the radius
    double radial_z


cdef struct JointSpot:
    double[3] g            # sample frame
    double v
    double v_axis
    double e
    double k3
    double cos_omega       # exact wedge: recorded, else that of an upright axis
    double sin_omega
    double cos_turn        # recorded, without the zero of omega
    double sin_turn
    double scale
    double scale_slope
    double y_origin
    double z_origin
    double[3] leaned       # grain in the laboratory, without and with the wobble
    double[3] place
    double wobble_y        # derivatives of the wobble by omega, µm per radian
    double wobble_z
    double shrink
    StoppedBeam stop
    double y               # predicted, µm on the plane
    double z
    PlaneSlopes pixel


cdef void set_instrument(JointInstrument* instrument, const double* numbers, const int* columns) noexcept nogil
cdef void predict_spot(const JointInstrument* instrument, const ObservedSpot* observed, const double* ub,
                       const double* position, JointSpot* spot) noexcept nogil
cdef void residual_of(const JointInstrument* instrument, const ObservedSpot* observed, const JointSpot* spot,
                      double* residual) noexcept nogil
cdef void rows_of(const JointInstrument* instrument, const ObservedSpot* observed, JointSpot* spot, bint on_panel,
                  double* rows) noexcept nogil
