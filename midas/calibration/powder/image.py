"""The image of a powder."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class PowderImage:
    """Counts of a powder, as the peak search would see a frame: transformed, and padded to a square.

    Parameters
    ----------
    counts : (n, n) float64, sum of the frames without their dark; row z, column y
    masked : (n, n) bool, pixels without meaning: gaps, bad ones, those beside the detector
    frames : how many frames are summed
    full_scale : of the sum, above which a pixel is saturated; inf where nothing is
    shape : rows and columns of the detector, without the padding
    """

    counts: NDArray[np.float64]
    masked: NDArray[np.bool_]
    frames: int
    full_scale: float
    shape: tuple[int, int]
