"""Analytic derivatives of the residuals."""
from midas._ext.physics.wedge cimport Instrument
from midas._ext.refine.grain cimport Grain
from midas._ext.refine.spots cimport FitSpots

cdef void jacobian(FitSpots* s, const Grain* grain, const double* x, const Instrument* instrument, int objective,
                   int first, int stop) noexcept nogil
