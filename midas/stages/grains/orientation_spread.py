"""Spread of the orientations in a grain: six numbers of a covariance, from what its spots show of it.

See docs/theory/mosaic.md#spread and docs/theory/measured_spots.md#spread-of-orientations.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from midas._ext.numerics.elementwise import log
from midas.experiment.vectors import matrix_of

Array = NDArray[np.float64]

#: full width at half maximum of a normal distribution, standard deviations
FULL_WIDTH = np.sqrt(8 * log(2))


def spread_of(design: Array, seen: Array) -> Array:
    """What spots show of the rotations in a grain, as its spread.

    Parameters
    ----------
    design : (..., 6) float64, factors of the covariance's components in each number that was seen, as of
        `midas.experiment.vectors.products`
    seen : (...) float64, these numbers: degrees², or radians²

    Returns
    -------
    (4,) float64, degrees or radians: root of the sum of the principal variances, and their three full widths at half
    maximum, descending
    """
    components = np.asarray(np.linalg.lstsq(design.reshape(-1, 6), seen.ravel(), rcond=None)[0], np.float64)
    variances = np.linalg.eigvalsh(matrix_of(components))[::-1].clip(0)
    return np.array([np.sqrt(variances.sum()), *(FULL_WIDTH * np.sqrt(variances))])
