"""How strong background, noise and peaks are, ring by ring, and which pixels are broken.

See docs/theory/diagnosis.md#thresholds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from midas._ext.peaks.full_scale import FULL_SCALES
from midas.diagnosis.look.polar import PolarMap
from midas.diagnosis.look.projections import Projections
from midas.experiment.noise import robust_spread

#: a threshold stands this many times the noise above the level
_ABOVE_NOISE = 6.0
#: a hot pixel stands this many times the noise above its neighbours, in at least half of the frames
_HOT = 10.0
#: equal pixels at the very top: a detector that has reached its limit
_FLAT_TOP = 8


@dataclass(frozen=True)
class RingLevel:
    """What the sampled frames say about one ring.

    Parameters
    ----------
    ring : number
    pixels : in its band
    level, noise : median and robust standard deviation of the pixels, counts above the dark
    suggested : threshold, counts
    peaks : connected groups of pixels above the suggested threshold, in a frame
    given : threshold of RingThresh; NaN if the ring is not in it
    peaks_given : groups above that one, in a frame
    lit : share of the pixels above the given threshold
    strongest : median of the highest pixels of the groups above the suggested threshold, counts
    """

    ring: int
    pixels: int
    level: float
    noise: float
    suggested: float
    peaks: float
    given: float
    peaks_given: float
    lit: float
    strongest: float


def ring_level(
    where: PolarMap, seen: Projections, dark: NDArray[np.float64], ring: int, radius: float, width: float, given: float
) -> RingLevel:
    """Levels in the band of a ring; `given` is its threshold in RingThresh, or NaN."""
    band = where.valid & (np.abs(where.radius - radius) <= width)
    pixels = int(np.count_nonzero(band))
    if not pixels:
        return RingLevel(ring, 0, *(float("nan"),) * 4, given, *(float("nan"),) * 3)
    box = ndimage.find_objects(band.astype(np.int8))[0]
    band, below = band[box], dark[box]
    counts = seen.sample[(slice(None), *box)][:, band] - below[band]
    level = float(np.median(counts))
    noise = robust_spread(counts, level)
    noise = max(noise, float(np.sqrt(max(level, 0.0))) if noise == 0 else noise, 0.5)
    suggested = float(np.ceil(level + _ABOVE_NOISE * noise))
    groups, tops = _groups(seen.sample, box, band, below, suggested)
    groups_given = _groups(seen.sample, box, band, below, given)[0] if np.isfinite(given) else float("nan")
    lit = float(np.mean(counts > given)) if np.isfinite(given) else float("nan")
    strongest = float(np.median(tops)) if len(tops) else float("nan")
    return RingLevel(ring, pixels, level, noise, suggested, groups, given, groups_given, lit, strongest)


def _groups(
    sample: NDArray[np.generic],
    box: tuple[slice, ...],
    band: NDArray[np.bool_],
    dark: NDArray[np.float64],
    threshold: float,
) -> tuple[float, NDArray[np.float64]]:
    """Connected groups above a threshold per frame, and the highest pixel of each."""
    total, tops = 0, [np.empty(0)]
    for frame in sample[(slice(None), *box)]:
        counts = np.where(band, frame - dark, 0.0)
        labels, number = ndimage.label(counts > threshold, np.ones((3, 3)))
        if number:
            above = labels > 0  # the maximum sorts all that it is given, and most of a frame is background
            tops.append(np.asarray(ndimage.maximum(counts[above], labels[above], np.arange(1, number + 1))))
        total += number
    return total / len(sample), np.concatenate(tops)


def hot_pixels(seen: Projections, valid: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(k, 2) rows and columns of pixels that stand far above their neighbours in at least half of the frames."""
    image = np.where(valid, seen.median, 0).astype(np.float32)
    around = ndimage.median_filter(image, 5, mode="nearest")
    excess = image - around
    noise = robust_spread(excess[valid], 0.0) if valid.any() else 0.0
    limit = _HOT * np.maximum(max(noise, 0.5), np.sqrt(np.maximum(around, 0)))
    rows, columns = np.nonzero(valid & (excess > limit))
    return np.column_stack([rows, columns])


@dataclass(frozen=True)
class Saturation:
    """Pixels at the top: the largest value, how many pixels have it, and whether it looks like a limit."""

    value: float
    pixels: int
    limit: float
    is_limit: bool


def saturation(seen: Projections, valid: NDArray[np.bool_], limit: float) -> Saturation:
    """How many pixels reach the largest value of the scan; `limit` is what the parameters call saturated."""
    values = seen.raw_maximum[valid]
    top = float(values.max()) if len(values) else 0.0
    count = int(np.count_nonzero(values >= top))
    dtype = seen.sample.dtype
    full = float(np.iinfo(dtype.name).max) if dtype.kind in "iu" else np.inf
    is_limit = top >= min(full, limit) or top in FULL_SCALES or count >= _FLAT_TOP and top > 100
    return Saturation(top, count, min(full, limit), bool(is_limit))
