"""Where each pixel lies on the ideal detector, and the profile of an image along the radius.

See docs/theory/diagnosis.md#profile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas.experiment.detector import DetectorGeometry
from midas.experiment.image import raw_numbers

Image = NDArray[np.float32]
Floats = NDArray[np.float64]

#: pixels that are transformed at once
_BLOCK = 1 << 20


@dataclass(frozen=True)
class PolarMap:
    """Pixels of the raw frame on the ideal detector.

    Parameters
    ----------
    radius : (rows, columns) µm
    eta : (rows, columns) degrees
    valid : (rows, columns), False where a pixel measures nothing
    y_px, z_px : (rows, columns) int32, column and row in the transformed, square image
    px : size of a pixel, µm
    """

    radius: Image
    eta: Image
    valid: NDArray[np.bool_]
    y_px: NDArray[np.int32]
    z_px: NDArray[np.int32]
    px: float


def polar_map(detector: DetectorGeometry, valid: NDArray[np.bool_], operations: Sequence[int]) -> PolarMap:
    """The map of a detector.

    Parameters
    ----------
    valid : (rows, columns) of the raw frame
    operations : ``ImTransOpt``
    """
    numbers = raw_numbers(valid.shape, operations)
    y, z = np.nonzero(numbers >= 0)
    raw = numbers[y, z]
    y_px, z_px = np.empty(valid.size, np.int32), np.empty(valid.size, np.int32)
    y_px[raw], z_px[raw] = y, z
    radius, eta = np.empty(valid.size, np.float32), np.empty(valid.size, np.float32)
    for start in range(0, valid.size, _BLOCK):
        rows = slice(start, start + _BLOCK)
        _, eta[rows], radius[rows] = detector.ideal(y_px[rows], z_px[rows])
    shape = valid.shape
    return PolarMap(
        radius.reshape(shape), eta.reshape(shape), valid, y_px.reshape(shape), z_px.reshape(shape), detector.px
    )


@dataclass(frozen=True)
class Profile:
    """Means over the azimuth in steps of one pixel.

    Parameters
    ----------
    radius : (n,) middle of each step, µm
    mean, maximum : (n,) mean of the pixels of the mean and of the maximum image; NaN where there is no pixel
    pixels : (n,) number of pixels
    """

    radius: Floats
    mean: Floats
    maximum: Floats
    pixels: NDArray[np.int64]


def profile(where: PolarMap, mean: Image, maximum: Image) -> Profile:
    """I(radius) of two images of the raw frame."""
    bins = np.floor(where.radius[where.valid] / where.px).astype(np.int64)
    pixels = np.bincount(bins)

    def over_azimuth(image: Image) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.bincount(bins, image[where.valid]) / pixels, np.float64)

    radius = (np.arange(len(pixels), dtype=np.float64) + 0.5) * where.px
    return Profile(radius, over_azimuth(mean), over_azimuth(maximum), pixels)
