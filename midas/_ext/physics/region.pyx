"""Where spots are accepted; the rule is in region.pxd."""
import numpy as np

from cython.parallel cimport prange
from libc.math cimport isnan

from midas._ext.numerics.elementary cimport cos
from midas._ext.physics.geometry cimport DEG2RAD, wrap_omega

#: the verdicts of `AcceptedRegion.verdicts`
VERDICTS = {
    "accepted": ACCEPTED,
    "no omega": NO_OMEGA,
    "outside eta": OUTSIDE_ETA,
    "outside omega": OUTSIDE_OMEGA,
    "outside box": OUTSIDE_BOX,
    "on dead pixel": ON_DEAD_PIXEL,
}


cdef class AcceptedRegion:
    """Poles, omega ranges with their boxes, and a mask.

    Parameters
    ----------
    min_eta : excluded angle around eta = 0 and 180, degrees
    ranges : (k, 2) float64, k >= 1, omega, degrees, of any turn: 90 ... 270 and -270 ... -90 are the same
    boxes : (k, 4) float64, y low and high, z low and high of each range, µm
    mask : int32 words with a bit per pixel, 1 = live; None: no mask
    mask_side : pixels along a side of the mask
    px : pixel size, µm; only used with a mask
    closed_above : whether the omega ranges contain their upper limits, for observed spots

    Raises
    ------
    ValueError : for arrays that do not fit together
    """

    def __init__(self, *, double min_eta, const double[:, ::1] ranges, const double[:, ::1] boxes,
                 const int[::1] mask=None, long long mask_side=0, double px=1.0,
                 bint closed_above=False):
        cdef Region* region = &self.view
        if ranges.shape[0] < 1 or ranges.shape[0] != boxes.shape[0] or ranges.shape[1] != 2 or boxes.shape[1] != 4:
            raise ValueError("one box of four numbers per range of two, and at least one range")
        ranges = _first_turn(np.asarray(ranges))
        if closed_above:  # below the next number is up to and with the limit
            ranges = np.column_stack([np.asarray(ranges)[:, 0], np.nextafter(np.asarray(ranges)[:, 1], np.inf)])
        region.pole = min_eta
        region.cos_pole = cos(DEG2RAD * min_eta)
        region.n = ranges.shape[0]
        region.ranges = &ranges[0, 0]
        region.boxes = &boxes[0, 0]
        region.mask_side = 0
        region.px = px
        if mask is not None:
            if mask_side < 1 or 32 * mask.shape[0] < mask_side * mask_side:
                raise ValueError("the mask needs a bit per pixel")
            region.mask_side = mask_side
            region.mask = &mask[0]
        self.arrays = (ranges, boxes, mask)

    def verdicts(self, const double[::1] omega, const double[::1] eta, const double[::1] y, const double[::1] z,
                 int threads=1):
        """What speaks against each spot.

        Parameters
        ----------
        omega, eta : (n,) float64, degrees; an omega of NaN is none, one beyond ±180 is turned back
        y, z : (n,) float64, µm

        Returns
        -------
        (n,) uint8: one of `VERDICTS`, the first reason against the spot
        """
        cdef Py_ssize_t i, n = omega.shape[0]
        out = np.empty(n, np.uint8)
        cdef unsigned char[::1] verdict = out
        if not n == eta.shape[0] == y.shape[0] == z.shape[0]:
            raise ValueError("omega, eta, y and z of every spot")
        for i in prange(n, nogil=True, num_threads=threads, schedule="static"):
            if not beside_poles(&self.view, eta[i]):
                verdict[i] = OUTSIDE_ETA
            elif isnan(omega[i]):
                verdict[i] = NO_OMEGA
            else:
                verdict[i] = <unsigned char>place_verdict(&self.view, wrap_omega(omega[i]), y[i], z[i])
        return out


def _first_turn(ranges):
    """The ranges turned so that each begins in [-180, 180); those of a full turn, which have no ends, stay."""
    turned = np.array(ranges, np.float64)
    partly = turned[:, 1] - turned[:, 0] < 360.0
    turned[partly] -= 360.0 * np.floor((turned[partly, :1] + 180.0) / 360.0)
    return turned
