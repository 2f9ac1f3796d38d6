"""A mask of pixels that measure nothing, from an image or from dark frames (docs/theory/archive.md#making-a-mask)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from midas.archive import Pixel
from midas.convert.mask import read_mask
from midas.convert.median import median, tiff
from midas.convert.options import MaskRules
from midas.convert.source import FrameSource, made
from midas.experiment.noise import robust_spread
from midas.runtime.errors import UsageError
from midas.runtime.files import write_atomic

#: side of the surroundings with which a pixel is compared
_AROUND = 5
#: darks of whole numbers scatter at least as much as their rounding
_LEAST_SCATTER = 1.0


@dataclass(frozen=True)
class PixelMask:
    """A mask, and why pixels are in it.

    Parameters
    ----------
    masked : (rows, columns)
    reasons : what is bad -> how many pixels; a pixel may have several reasons
    frames : how many were looked at
    """

    masked: NDArray[np.bool_]
    reasons: dict[str, int]
    frames: int


def find_bad_pixels(
    files: Sequence[FrameSource], values: Sequence[float], rules: MaskRules, *, threads: int
) -> PixelMask:
    """The pixels with one of `values` in any frame, those that the files say measure nothing, and those of `rules`.

    NaN is bad in every case.
    """
    shape = files[0].shape[1:]
    found: dict[str, NDArray[np.bool_]] = {f"value {value:g}": np.zeros(shape, bool) for value in values}
    not_a_number, brightest = np.zeros(shape, bool), np.full(shape, -np.inf)
    count = 0
    for one in chain.from_iterable(file.frames() for file in files):
        frame = made(one)
        count += 1
        for value, hits in zip(values, found.values(), strict=True):
            hits |= frame == value
        if frame.dtype.kind == "f":
            not_a_number |= np.isnan(frame)
        if rules.saturated is not None:
            np.fmax(brightest, frame, out=brightest)
    found["not a number"] = not_a_number
    if own := [mask for file in files if (mask := file.masked()) is not None]:
        found["said by the files"] = np.logical_or.reduce(own)
    if rules.saturated is not None:
        found[f"saturated, {rules.saturated:g} or more"] = brightest >= rules.saturated
    if rules.above is not None or rules.hot is not None:
        found |= _dark_faults(median(files, threads=threads)[0], rules)
    if rules.add is not None:
        found["mask that was there"] = read_mask(rules.add, shape, np.dtype(np.uint8))[0] != 0
    masked = np.logical_or.reduce([np.zeros(shape, bool), *found.values()])
    asked = [f"value {value:g}" for value in values]
    return PixelMask(masked, {why: int(hits.sum()) for why, hits in found.items() if hits.any() or why in asked}, count)


def _dark_faults(dark: NDArray[Pixel], rules: MaskRules) -> dict[str, NDArray[np.bool_]]:
    found = {}
    if rules.above is not None:
        found[f"median {rules.above:g} or more"] = dark >= rules.above
    if rules.hot is not None:
        if rules.hot <= 0:
            raise UsageError("must be greater than 0", key="--hot", value=rules.hot)
        counts = dark.astype(np.float64)
        difference = counts - ndimage.median_filter(counts, size=_AROUND, mode="nearest")
        scatter = robust_spread(difference[~np.isnan(difference)])
        if dark.dtype.kind != "f":
            scatter = max(scatter, _LEAST_SCATTER)
        found[f"hot by {rules.hot * scatter:.4g} counts or more"] = difference > rules.hot * scatter
    return found


def write_mask(path: Path, mask: NDArray[np.bool_]) -> None:
    """An uncompressed TIFF of bytes, 1 = masked."""
    write_atomic(path, tiff(mask.astype(np.uint8)))
