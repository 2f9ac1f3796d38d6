"""Which pixels of a raw frame the peak search looks at, and what corrects them (docs/theory/peaks.md#selected-pixels).

The legacy program padded, turned and corrected each frame as a whole. Here the same operations act once, on pixel
numbers: the result says which runs of the raw frame belong to rings and which detector pixel each of theirs is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from midas.experiment.correction import flood_plane, masked_pixels, mean_dark
from midas.experiment.image import raw_numbers

if TYPE_CHECKING:
    from midas.archive import Archive, Pixel

#: pixel types that the kernel scans
PIXEL_TYPES = tuple(np.dtype(name) for name in "u1 u2 u4 i1 i2 i4 f4 f8".split())


@dataclass(frozen=True)
class Selection:
    """The selected pixels in the order of the raw frame, for `midas._ext.peaks.regions.FrameScanner`.

    Parameters
    ----------
    size : side N of the padded square detector
    starts, lengths : (s,) int64, first raw pixel and length of each run
    positions : (k,) int32, y * N + z of each pixel
    limits : (k,) in the type of the frames; a pixel below certainly fails the threshold
    thresholds, dark, flood : (k,) float64; counts = (raw value - dark) / flood
    masked : (k,) bool, whether one of the eight neighbours is masked; pixels that are masked themselves are left out
    """

    size: int
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    positions: NDArray[np.int32]
    limits: NDArray[Pixel]
    thresholds: NDArray[np.float64]
    dark: NDArray[np.float64]
    flood: NDArray[np.float64]
    masked: NDArray[np.bool_]


def select(
    archive: Archive,
    thresholds: NDArray[np.float64],
    operations: Sequence[int],
    *,
    skip: int,
    current: float,
    blanks: Sequence[float],
) -> Selection:
    """The pixels with a threshold above 0 that are not masked.

    Parameters
    ----------
    thresholds : (N, N) float64, indexed [y, z]; 0 = not in use
    operations : ``ImTransOpt``
    skip : leading dark frames to leave out
    current : factor on the corrected counts
    blanks : raw values that count as 0
    """
    size = len(thresholds)
    numbers = raw_numbers(archive.frames.shape[1:], operations)
    y, z = np.nonzero((thresholds > 0) & (numbers >= 0))
    raw = numbers[y, z]
    order = np.argsort(raw)
    raw, y, z = raw[order], y[order], z[order]
    plane = flood_plane(archive)
    masked = masked_pixels(archive, plane)
    beside = np.zeros(len(raw), bool)
    if masked.any():
        # What stands there decides nothing: such pixels are no part of a region, and one that touches them is dropped.
        measures = ~masked.ravel()[raw]
        raw, y, z = raw[measures], y[measures], z[measures]
        beside = _beside(masked).ravel()[raw]
    flood = np.ones(len(raw)) if plane is None else plane.ravel()[raw]
    threshold, dark = thresholds[y, z], mean_dark(archive, raw, skip)
    dark = np.zeros(len(raw)) if dark is None else dark
    limits = _limits(archive.frames.dtype, threshold, dark, flood, current, bool(len(blanks)))
    positions = (y * size + z).astype(np.int32)
    return Selection(size, *_runs(raw), positions, limits, threshold, dark, flood, beside)


def _runs(raw: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First number and length of each run of consecutive numbers."""
    starts = np.flatnonzero(np.diff(raw, prepend=-2) != 1)
    return raw[starts].astype(np.int64), np.diff(starts, append=len(raw)).astype(np.int64)


def _beside(masked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The masked pixels and their eight neighbours."""
    found = masked
    for axis in (0, 1):
        grown = found.copy()
        low, high = [slice(None)] * 2, [slice(None)] * 2
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        grown[tuple(low)] |= found[tuple(high)]
        grown[tuple(high)] |= found[tuple(low)]
        found = grown
    return found


def _limits(
    dtype: np.dtype[Pixel],
    threshold: NDArray[np.float64],
    dark: NDArray[np.float64],
    flood: NDArray[np.float64],
    current: float,
    has_blanks: bool,
) -> NDArray[Pixel]:
    """Raw values below which the exact test in float64 certainly fails."""
    lowest = threshold * flood / current + dark
    lowest -= 1 + 1e-6 * np.abs(lowest)
    lowest[(flood < 0) | ~np.isfinite(lowest)] = -np.inf
    if has_blanks or dtype.kind == "f":
        lowest[lowest <= 0] = -np.inf  # blanks and NaN count as 0, which may be enough
    if dtype.kind == "f":
        return lowest.astype(dtype)
    range_ = np.iinfo(dtype.name)
    return np.clip(np.floor(lowest), range_.min, range_.max).astype(dtype)
