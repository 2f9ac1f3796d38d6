"""Bins on a full turn, of a width that need not divide it: docs/theory/binning.md#look-up-table.

Angles are counted from -180 degrees. Where the width does not divide 360 the last bin of a turn is a smaller one.
"""
from libc.math cimport ceil, fabs, floor


cdef struct BinAxis:
    double size            # of a bin, degrees
    double bins            # on a full turn
    bint divides           # the last bin ends at 360


cdef inline BinAxis bin_axis(double size) noexcept nogil:
    cdef BinAxis axis
    axis.size = size
    axis.bins = ceil(360.0 / size)
    axis.divides = fabs(axis.bins * size - 360.0) < 1e-9
    return axis


cdef inline double bin_of(const BinAxis* axis, double angle) noexcept nogil:
    """Bin of an angle counted from -180, going on beyond a full turn and below 0."""
    cdef double turns, within
    if axis.divides:
        return floor(angle / axis.size)
    turns = floor(angle / 360.0)
    within = floor((angle - 360.0 * turns) / axis.size)
    return turns * axis.bins + (within if within < axis.bins else axis.bins - 1.0)


cdef inline void bin_window(const BinAxis* axis, double angle, double margin, int* first, int* count) noexcept nogil:
    """Bins from angle - margin to angle + margin, each of them once; they go on at bin 0 after the last one."""
    cdef double begin, length
    if not margin < 180.0:
        first[0] = 0
        count[0] = <int>axis.bins
        return
    begin = bin_of(axis, 180.0 + angle - margin)
    length = bin_of(axis, 180.0 + angle + margin) - begin + 1.0
    first[0] = <int>(begin - axis.bins * floor(begin / axis.bins))
    count[0] = <int>(length if length < axis.bins else axis.bins)
