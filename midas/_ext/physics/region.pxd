"""Where spots are accepted: beside the poles, in an omega range and its box, on a live pixel of the mask.

See docs/theory/region.md.

One rule for every limit: closed below, open above. A spot whose distance from the nearer pole is just the excluded
angle is accepted; an omega, y or z on a lower limit is accepted, on an upper one not, so that two ranges or boxes that
touch share no spot. A range of a full turn has no ends: there every omega is accepted. Omega is an angle: -100 lies in
90 ... 270, and so does 260.

One exception, `closed_above` of `AcceptedRegion`: ranges that test observed spots contain their upper limits as well.
Recorded omegas are exact frame angles, and the first frame of a scan with negative steps is the upper limit itself.
"""
from libc.math cimport fabs, floor, sqrt

from midas._ext.numerics.elementary cimport atan2
from midas._ext.physics.geometry cimport RAD2DEG
from midas._ext.physics.wedge cimport Instrument, lean_spot

cdef enum Verdict:
    # The first reason against a spot, in this order
    ACCEPTED
    NO_OMEGA               # the spot has none
    OUTSIDE_ETA
    OUTSIDE_OMEGA
    OUTSIDE_BOX
    ON_DEAD_PIXEL


cdef struct Region:
    double pole            # excluded angle around eta = 0 and 180, degrees
    double cos_pole
    Py_ssize_t n           # ranges and their boxes, at least one
    const double* ranges   # (n, 2) omega, degrees; turned so that a range begins in [-180, 180)
    const double* boxes    # (n, 4) y low and high, z low and high, µm
    long long mask_side    # pixels along a side of the mask; 0: no mask
    const int* mask        # a bit per pixel, row-major, the lowest bit of a word first; 1: live
    double px              # µm


cdef inline bint beside_poles(const Region* region, double eta) noexcept nogil:
    """Whether an azimuth (degrees) is far enough from both poles; not where it is NaN, at the beam centre."""
    cdef double size = fabs(eta)
    return size >= region.pole and 180.0 - size >= region.pole


cdef inline bint direction_beside_poles(const Region* region, double y, double z) noexcept nogil:
    """`beside_poles` of the direction (y, z), without its angle."""
    return fabs(z) <= region.cos_pole * sqrt(y * y + z * z)


cdef inline bint is_full_turn(const double* limits) noexcept nogil:
    """Whether a range leaves no omega out."""
    return limits[1] - limits[0] >= 360.0


cdef inline bint in_range(const double* limits, double omega) noexcept nogil:
    """Whether an omega of [-180, 180] degrees lies in a range, which may end beyond 180."""
    return (limits[0] <= omega < limits[1] or is_full_turn(limits) or omega + 360.0 < limits[1]
            or (omega == 180.0 and limits[0] == -180.0 < limits[1]))


cdef inline bint in_box(const double* box, double y, double z) noexcept nogil:
    """Whether a spot (µm) lies in a box."""
    return box[0] <= y < box[1] and box[2] <= z < box[3]


cdef inline bint pixel_is_live(const Region* region, double y, double z) noexcept nogil:
    """Whether the mask sees a spot (µm); beside the mask it does not.

    The mask has a grid of its own: the beam centre is the corner of pixel side // 2 in both directions, and pixel k
    reaches from k to the next whole number. So positions are rounded down, on either side of the centre. The pixels of
    the detector itself have their centres at whole numbers, and reach half a pixel to both sides.
    """
    cdef long long side = region.mask_side
    cdef double column = floor(side // 2 + y / region.px), row = floor(z / region.px + side // 2)
    cdef long long bit
    if not (0.0 <= column < side and 0.0 <= row < side):
        return False
    bit = <long long>column + side * <long long>row
    return (<unsigned int>region.mask[bit // 32] >> <int>(bit % 32)) & 1


cdef inline Verdict place_verdict(const Region* region, double omega, double y, double z) noexcept nogil:
    """What speaks against a spot that lies beside the poles."""
    cdef Verdict verdict = OUTSIDE_OMEGA
    cdef Py_ssize_t i
    for i in range(region.n):
        if in_range(region.ranges + 2 * i, omega):
            if in_box(region.boxes + 4 * i, y, z):
                return ACCEPTED if region.mask_side == 0 or pixel_is_live(region, y, z) else ON_DEAD_PIXEL
            verdict = OUTSIDE_BOX
    return verdict


cdef inline bint is_observable(const Region* region, const Instrument* instrument, double y_ideal, double z_ideal,
                               double cos_ideal, double sin_ideal) noexcept nogil:
    """Whether a predicted ideal spot lies in the region, which knows recorded spots when the wedge is exact."""
    cdef double y = y_ideal, z = z_ideal, cos_omega = cos_ideal, sin_omega = sin_ideal
    if instrument.exact and not lean_spot(instrument, &y, &z, &cos_omega, &sin_omega):
        return False
    return (direction_beside_poles(region, y, z)
            and place_verdict(region, RAD2DEG * atan2(sin_omega, cos_omega), y, z) == ACCEPTED)


cdef class AcceptedRegion:
    cdef Region view
    cdef tuple arrays
