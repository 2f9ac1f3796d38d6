"""The image of a powder."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas._ext.numerics.elementwise import hypot
from midas.experiment.image import PaddedImage


@dataclass(frozen=True)
class PowderImage:
    """Counts of a powder, as the peak search would see a frame: transformed, and padded to a square.

    Parameters
    ----------
    counts : (n, n) float64, sum of the frames without their dark; row z, column y
    masked : (n, n) bool, pixels without meaning: gaps, bad ones, those beside the detector
    frames : how many frames are summed
    full_scale : of the sum, above which a pixel is saturated; inf where nothing is
    shape : rows and columns of the raw image, without the padding
    operations : that turned the padded image, see `midas.experiment.image.PaddedImage`
    """

    counts: NDArray[np.float64]
    masked: NDArray[np.bool_]
    frames: int
    full_scale: float
    shape: tuple[int, int]
    operations: tuple[int, ...] = ()

    def farthest(self, y: float, z: float) -> float:
        """Distance from a place to the farthest corner of the detector, px; the padding is no part of it."""
        y_low, y_high, z_low, z_high = PaddedImage(*self.shape, self.operations).area
        return float(hypot(max(abs(y_low - y), abs(y_high - y)), max(abs(z_low - z), abs(z_high - z))))
