"""The spots that a grain should give, and how far the observed ones are from them."""
from midas._ext.physics.wedge cimport Instrument
from midas._ext.refine.grain cimport Grain
from midas._ext.refine.spots cimport FitSpots

cdef enum Objective:
    # docs/theory/refinement.md#residuals
    SPOT_AND_OMEGA         # detector distance and omega, position turned by the predicted omega
    SPOT                   # detector distance alone, position turned by the observed omega
    DIRECTION              # difference of the unit scattering vectors in degrees


cdef struct Loss:
    # Terms sqrt(r²/sigma² + epsilon²); sigma_spot in µm (degrees for DIRECTION), sigma_omega in degrees.
    double sigma_spot
    double epsilon_spot
    double sigma_omega
    double epsilon_omega


cdef void residuals(FitSpots* s, Grain* grain, const double* x, const Instrument* instrument,
                    int objective) noexcept nogil
cdef double weigh(FitSpots* s, const Loss* loss, int objective) noexcept nogil
