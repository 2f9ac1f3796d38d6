"""Observed spots by (ring, omega bin) and eta, by ring and omega (docs/theory/indexing.md#table-of-observed-spots)."""
from libc.math cimport floor

from midas._ext.index.problem cimport IndexSpots


cdef class SpotTable:
    cdef IndexSpots view
    cdef tuple arrays          # owners of what `view` points to


cdef inline int omega_bin_of(const IndexSpots* s, double omega) noexcept nogil:
    """Bin of an angle of [-180, 180] degrees; 180 itself belongs to the first one."""
    return <int>((<long long>floor((180.0 + omega) / s.omega_bin)) % s.n_omega)


cdef inline long long first_not_below(const double* sorted_values, long long i, long long end,
                                      double value) noexcept nogil:
    """First index of i ... end whose value is not below `value`."""
    cdef long long middle
    while end - i > 8:
        middle = (i + end) // 2
        if sorted_values[middle] < value:
            i = middle + 1
        else:
            end = middle
    while i < end and sorted_values[i] < value:
        i += 1
    return i


cdef inline int wrapped_segments(double low, double high, double* segments) noexcept nogil:
    """The part of [-180, 180] that low ... high (degrees) covers modulo 360, as one or two (low, high) pairs."""
    if not high - low < 360.0:
        segments[0] = -180.0
        segments[1] = 180.0
        return 1
    segments[0] = low
    segments[1] = high
    if low < -180.0:
        segments[2] = low + 360.0
        segments[3] = 180.0
        return 2
    if high > 180.0:
        segments[2] = -180.0
        segments[3] = high - 360.0
        return 2
    return 1
