"""How many units of an image one detected photon makes (docs/theory/calibration.md#points-on-rings)."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import uniform_filter1d

from midas.calibration.powder.image import PowderImage

#: rows of which one is looked at, and pixels that say something
_EVERY, _FEWEST = 8, 100
#: px, over which the light is averaged, and part of the pixels that counts as dim
_AROUND, _DIM = 9, 0.3
#: below this part of what single photons make, the noise shows that a unit is several photons
_QUIET = 0.5
#: of squares of normal numbers, the median over the mean
_MEDIAN_OF_SQUARES = 0.4549


def quantum_of(image: PowderImage) -> float:
    """Units per photon, 1 or less: less where the noise is too small for counts, as in means of frames.

    Larger ones are not looked for: noise that is too large shows in the chi2 of every group.
    """
    counts, used = image.counts[::_EVERY], ~image.masked[::_EVERY]
    three = used[:, 1:-1] & used[:, 2:] & used[:, :-2]
    if np.count_nonzero(three) < _FEWEST:
        return 1.0
    curvature = (counts[:, 2:] - 2.0 * counts[:, 1:-1] + counts[:, :-2])[three]
    # where there is little light there are no rings, which would pass for noise
    around = uniform_filter1d(counts, _AROUND, axis=1)[:, 1:-1][three]
    dim = around <= np.quantile(around, _DIM)
    curvature, level = curvature[dim], float(np.mean(around[dim]))
    variance = float(np.median(curvature**2)) / _MEDIAN_OF_SQUARES / 6.0
    if level > 0.0 and variance > 0.0:
        return variance / level if variance < _QUIET * level else 1.0
    # most pixels hold nothing: what the faintest of the others holds is a photon
    some = counts[used & (counts > 0.0)]
    return min(float(some.min()), 1.0) if len(some) else 1.0
