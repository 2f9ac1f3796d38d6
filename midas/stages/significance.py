"""Maxima that noise has made of one spot: no peaks of their own (docs/theory/peaks.md#significant-maxima)."""

from __future__ import annotations

import numpy as np

from midas._ext.peaks.frame_regions import Regions
from midas._ext.peaks.prominence import significant_maxima


def significant(regions: Regions, sigmas: float) -> Regions:
    """The same regions with the maxima that rise by more than so many standard deviations; 0: all of them."""
    if sigmas <= 0 or len(regions.maxima) == len(regions.thresholds):
        return regions
    kept = significant_maxima(
        regions.y, regions.z, regions.counts, regions.offsets, regions.maxima, regions.maxima_offsets, sigmas
    )
    ends = np.append(0, np.cumsum(kept, dtype=np.int64))
    return regions._replace(maxima=regions.maxima[kept == 1], maxima_offsets=ends[regions.maxima_offsets])
