"""The image of a powder over azimuth and radius, where every ring of a right geometry is a straight line.

See docs/theory/calibration.md#statistics.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas._ext.physics.detector import shifted_pixels
from midas.calibration.powder.image import PowderImage
from midas.experiment.detector import DetectorGeometry

Array = NDArray[np.float64]

#: of the cake
ETA_BINS, MOST_RADIUS_BINS = 360, 800
#: rows of the image that are transformed at once
_ROWS = 128


@dataclass(frozen=True)
class Cake:
    """Mean counts over azimuth and radius.

    Parameters
    ----------
    counts : (eta, radius) float64, NaN where there is no pixel
    eta : (eta,) middle of each bin, degrees
    radius : (radius,) middle of each bin, µm on the plane without tilt and distortion
    """

    counts: Array
    eta: Array
    radius: Array


def cake(image: PowderImage, detector: DetectorGeometry, panels: Array) -> Cake:
    """The mean of the pixels of each bin.

    Parameters
    ----------
    panels : (p, 8), see `midas.experiment.panels.panels_of`
    """
    side = len(image.counts)
    bins = int(min(MOST_RADIUS_BINS, max(1, round(detector.rho_d / detector.px))))
    step = detector.rho_d / bins
    total, number = np.zeros(ETA_BINS * bins), np.zeros(ETA_BINS * bins)
    columns = np.arange(side, dtype=np.float64)
    for first in range(0, side, _ROWS):
        good = ~image.masked[first : first + _ROWS]
        rows, y = np.nonzero(good)
        if not len(rows):
            continue
        moved, _ = shifted_pixels(columns[y], (rows + first).astype(np.float64), panels)
        _, eta, radius = detector.ideal(*moved)
        place = np.floor(radius / step).astype(np.int64)
        inside = (place < bins) & np.isfinite(eta)
        sector = np.minimum(((eta[inside] + 180) * (ETA_BINS / 360)).astype(np.int64), ETA_BINS - 1)
        key = sector * bins + place[inside]
        total += np.bincount(key, image.counts[first : first + _ROWS][good][inside], len(total))
        number += np.bincount(key, minlength=len(total))
    with np.errstate(invalid="ignore"):
        counts = (total / np.where(number, number, np.nan)).reshape(ETA_BINS, bins)
    middle = np.arange(ETA_BINS, dtype=np.float64) + 0.5, np.arange(bins, dtype=np.float64) + 0.5
    return Cake(counts, middle[0] * (360 / ETA_BINS) - 180, middle[1] * step)


def brightness(counts: Array) -> NDArray[np.uint8]:
    """Of a display: the logarithm of the counts above the dark quarter of the pixels; 0 where there is none."""
    known = counts[np.isfinite(counts)]
    if not known.size:
        return np.zeros(counts.shape, np.uint8)
    low, high = np.percentile(known, [25, 99.8])
    shown = np.log1p(np.clip(np.nan_to_num(counts, nan=low) - low, 0, max(high - low, 1)))
    found: NDArray[np.uint8] = (255 * shown / max(float(shown.max()), 1e-9)).astype(np.uint8)
    return found
