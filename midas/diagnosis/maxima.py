"""The strongest maxima of an image, wherever they are (docs/theory/diagnosis.md#strong-pixels)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

#: maxima that are kept
_STRONGEST = 4000
#: a maximum stands this many times the noise above the level; counting noise is at least a count
ABOVE_NOISE = 6.0
LEAST_NOISE = 1.0


def summits(image: NDArray[np.floating]) -> NDArray[np.floating]:
    """The image where a pixel is the largest of its eight neighbours and itself, -inf elsewhere."""
    return np.where(image == ndimage.maximum_filter(image, 3), image, -np.inf)


def strongest(values: NDArray[np.floating], level: float, noise: float) -> NDArray[np.intp]:
    """Places of the strongest `summits` in a list of them, in descending order."""
    kept = np.argsort(-values, kind="stable")[:_STRONGEST]
    return kept[values[kept] > level + ABOVE_NOISE * max(noise, LEAST_NOISE)]
