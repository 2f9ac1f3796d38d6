"""What the search finds in a frame: the connected regions of pixels above threshold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Regions(NamedTuple):
    """Regions of one frame, or of several in a row.

    Parameters
    ----------
    components : connected components, single pixels included
    in_window : those whose number of pixels lies in the window
    y, z : (p,) int16, pixels of the regions that are kept, in list order
    counts : (p,) float64, their corrected values
    offsets : (n + 1,) int64, region i owns pixels offsets[i] : offsets[i + 1]
    thresholds : (n,) float64, threshold of the region's first pixel
    maxima : (m,) int32, the regions' maxima as places in their lists, in peak order
    maxima_offsets : (n + 1,) int64, region i owns maxima maxima_offsets[i] : maxima_offsets[i + 1]
    unresolved : pixels in components that are no set of peaks (docs/theory/peaks.md#crowded-frames)
    cut : regions with more maxima than are kept, and more than a set of peaks has
    full : (p,) uint8, pixels at the end of the detector's scale (docs/theory/peaks.md#full-pixels); None = none is
    centred : (n,) uint8, regions that become their centroids; None = none does
    of_pixels, of_peaks : (n,) int64, pixels and maxima of the region that each is a share of, 0 = it is whole; None:
        all are (docs/theory/peaks.md#too-many-peaks-for-one-fit)
    """

    components: int
    in_window: int
    y: NDArray[np.int16]
    z: NDArray[np.int16]
    counts: NDArray[np.float64]
    offsets: NDArray[np.int64]
    thresholds: NDArray[np.float64]
    maxima: NDArray[np.int32]
    maxima_offsets: NDArray[np.int64]
    unresolved: int = 0
    cut: int = 0
    full: NDArray[np.uint8] | None = None
    centred: NDArray[np.uint8] | None = None
    of_pixels: NDArray[np.int64] | None = None
    of_peaks: NDArray[np.int64] | None = None


def concatenate_regions(frames: Sequence[Regions]) -> Regions:
    """The regions of several frames in a row, as if they were of one."""

    def offsets(name: str) -> NDArray[np.int64]:
        lengths = np.concatenate([np.diff(getattr(frame, name)) for frame in frames])
        return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)

    def joined(name: str, like: str) -> NDArray[Any] | None:
        """What may be absent; zeros for the frames without it."""
        given = [getattr(frame, name) for frame in frames]
        there = [values for values in given if values is not None]
        if not there:
            return None
        return np.concatenate(
            [
                np.zeros(len(getattr(frame, like)), there[0].dtype) if values is None else values
                for frame, values in zip(frames, given, strict=True)
            ]
        )

    return Regions(
        components=sum(frame.components for frame in frames),
        in_window=sum(frame.in_window for frame in frames),
        y=np.concatenate([frame.y for frame in frames]),
        z=np.concatenate([frame.z for frame in frames]),
        counts=np.concatenate([frame.counts for frame in frames]),
        offsets=offsets("offsets"),
        thresholds=np.concatenate([frame.thresholds for frame in frames]),
        maxima=np.concatenate([frame.maxima for frame in frames]),
        maxima_offsets=offsets("maxima_offsets"),
        unresolved=sum(frame.unresolved for frame in frames),
        cut=sum(frame.cut for frame in frames),
        full=joined("full", "y"),
        centred=joined("centred", "thresholds"),
        of_pixels=joined("of_pixels", "thresholds"),
        of_peaks=joined("of_peaks", "thresholds"),
    )
