"""Regions with too many peaks for one fit: divided among their peaks before they are fitted.

See docs/theory/peaks.md#too-many-peaks-for-one-fit.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from midas._ext.peaks.divide import MOST_WORK, fit_costs, nearest_peaks
from midas._ext.peaks.regions import LEAST_PIXELS_OF_PEAK, MOST_MAXIMA_OF_PEAKS

if TYPE_CHECKING:
    from midas._ext.peaks.frame_regions import Regions
    from midas.parameters import Parameters

log = logging.getLogger(__name__)

#: what the joint fits of a frame may cost for each pixel on rings, besides what one region may; those of a hundred
#: grains cost a hundredth
_WORK_OF_PIXEL = 2.0
#: the same for a crowded frame and fits of one peak each; beyond it none is worth it
_WORK_OF_CROWDED_PIXEL = 0.0625


class _Count(NamedTuple):
    """Of a frame: regions that were divided, those of them without fits, and pixels and maxima of the largest."""

    divided: int
    centred: int
    pixels: int
    maxima: int


class Division:
    """What becomes of the regions of each frame.

    Parameters
    ----------
    ring_pixels : pixels on rings
    """

    def __init__(self, settings: Parameters, ring_pixels: int):
        self._most: int = settings["MaxPeaksPerFit"]
        self._by_least_squares = settings["PeakFitMethod"] == "lm"
        # The old digits are those of joint fits, whatever they cost; a centroid takes each region as one peak.
        self._idle = settings.legacy_digits or not settings["doPeakFit"]
        self._budget = MOST_WORK + _WORK_OF_PIXEL * ring_pixels
        self._crowded_budget = MOST_WORK + _WORK_OF_CROWDED_PIXEL * ring_pixels
        self._counts: dict[int, _Count] = {}

    def of(self, frame: int, regions: Regions, crowded: bool) -> Regions:
        """The regions of a frame as they are fitted; those that are too dear divided.

        Parameters
        ----------
        crowded : whether the frame is, so that regions in it which are no set of peaks are not worth a fit
        """
        if self._idle or not len(regions.thresholds):
            return regions
        pixels, peaks = np.diff(regions.offsets), np.diff(regions.maxima_offsets)
        costs = fit_costs(regions, by_least_squares=self._by_least_squares)
        parted = (peaks > self._most) | ((costs > MOST_WORK) & (peaks > 1))
        if costs[~parted].sum() > self._budget:
            parted |= peaks > 1
        centred = pixels > MOST_WORK
        if crowded:
            no_peaks = (pixels < LEAST_PIXELS_OF_PEAK * np.maximum(peaks, 1)) | (peaks > MOST_MAXIMA_OF_PEAKS)
            centred |= no_peaks
            if (pixels + 16.0 * peaks)[~centred].sum() > self._crowded_budget:
                centred[:] = True
        parted |= centred & (peaks > 1)
        if not (parted.any() or centred.any()):
            return regions
        largest = int(np.argmax(np.where(parted | centred, pixels, 0)))
        self._counts[frame] = _Count(
            int((parted | centred).sum()), int(centred.sum()), int(pixels[largest]), int(peaks[largest])
        )
        return divided(regions, parted, centred)

    def warn(self, own: range) -> None:
        """Say which frames of this member have such regions, and how many."""
        frames = [frame for frame in sorted(self._counts) if frame in own]
        if not frames:
            return
        counts = [self._counts[frame] for frame in frames]
        worst = max(range(len(frames)), key=lambda i: counts[i].pixels)
        total, centred = sum(count.divided for count in counts), sum(count.centred for count in counts)
        log.warning(
            "%d regions on %d frames are no single fits: %d have their peaks fitted one by one (more than "
            "MaxPeaksPerFit %d, or too dear together), %d have centroids (on crowded frames, or too large to be peaks);"
            " the largest, of frame %d, has %d maxima and %d pixels; if these are no peaks, raise RingThresh",
            total, len(frames), total - centred, self._most, centred,
            frames[worst] + 1, counts[worst].maxima, counts[worst].pixels,
        )  # fmt: skip


def divided(regions: Regions, parted: NDArray[np.bool_], centred: NDArray[np.bool_]) -> Regions:
    """The same peaks, those of parted regions each in a region of its own: the pixels that are nearest to it.

    Parameters
    ----------
    parted, centred : (n,) bool, which regions; the shares of a centred one become their centroids
    """
    pixels, peaks = np.diff(regions.offsets), np.diff(regions.maxima_offsets)
    # A region is known by the first of its peaks, and a share by its own.
    owner = nearest_peaks(regions, parted.astype(np.uint8))
    order = np.argsort(owner, kind="stable")
    whole = np.repeat(~parted, peaks)
    first = np.zeros(len(whole), bool)
    first[regions.maxima_offsets[:-1]] = True
    heads = np.flatnonzero(first | ~whole)
    source = np.repeat(np.arange(len(peaks)), peaks)
    offsets = np.append(np.searchsorted(owner[order], heads), len(order)).astype(np.int64)
    region_of_peak = np.searchsorted(heads, np.arange(len(whole)), side="right") - 1
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    maxima = place[regions.offsets[source] + regions.maxima] - offsets[region_of_peak]
    parts = source[heads]
    return regions._replace(
        y=regions.y[order],
        z=regions.z[order],
        counts=regions.counts[order],
        offsets=offsets,
        thresholds=regions.thresholds[parts],
        maxima=maxima.astype(np.int32),
        maxima_offsets=np.append(heads, len(whole)).astype(np.int64),
        full=None if regions.full is None else regions.full[order],
        centred=centred[parts].astype(np.uint8),
        of_pixels=np.where(parted[parts], pixels[parts], 0),
        of_peaks=np.where(parted[parts], peaks[parts], 0),
    )


def restore_sizes(rows: NDArray[np.void], regions: Regions) -> None:
    """Give the peaks of divided regions, in place, the numbers of pixels and peaks of the whole region."""
    if regions.of_pixels is None or regions.of_peaks is None:
        return
    shares = np.flatnonzero(regions.of_peaks)
    peaks = regions.maxima_offsets[shares]
    rows["region_pixels"][peaks] = regions.of_pixels[shares]
    rows["region_peaks"][peaks] = regions.of_peaks[shares]
