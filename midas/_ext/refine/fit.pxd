"""Robust fit of a block of a grain's variables."""
from midas._ext.physics.wedge cimport Instrument
from midas._ext.refine.grain cimport VARIABLES, Grain
from midas._ext.refine.model cimport Loss
from midas._ext.refine.spots cimport FitSpots

cdef enum:
    MAX_ITERATIONS = 15


cdef struct VariableBlock:
    # The free variables are first … stop - 1 of x.
    int objective
    int first
    int stop
    double lower[VARIABLES]
    double upper[VARIABLES]


cdef int minimise(const VariableBlock* block, FitSpots* spots, Grain* grain, const Instrument* instrument,
                  const Loss* loss, int max_iterations, double* x) noexcept nogil
