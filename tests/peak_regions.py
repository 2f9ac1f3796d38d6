"""Regions as the scan of a frame finds them, from pixels or images that a test has made."""

from __future__ import annotations

import numpy as np

from midas._ext.peaks.frame_regions import Regions

Array = np.ndarray


def regions_of(*regions: tuple[Array, list[int]], threshold: float = 10.0) -> Regions:
    """From the (n, 3) pixels (y, z, counts) and the maxima of each region."""
    pixels = np.concatenate([p for p, _ in regions])
    return Regions(
        len(regions), len(regions), pixels[:, 0].astype(np.int16), pixels[:, 1].astype(np.int16),
        pixels[:, 2].astype(float), np.cumsum([0, *(len(p) for p, _ in regions)]), np.full(len(regions), threshold),
        np.concatenate([m for _, m in regions]).astype(np.int32), np.cumsum([0, *(len(m) for _, m in regions)]),
    )  # fmt: skip


def pixels_of(image: Array, lowest: float) -> Array:
    """The (n, 3) pixels (y, z, counts) of an image that have at least so many counts."""
    above = np.argwhere(image >= lowest)
    return np.column_stack([above, image[image >= lowest]])
