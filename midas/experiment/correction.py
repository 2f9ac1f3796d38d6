"""What corrects the raw values of a detector: dark, flood and mask, in raw orientation.

See docs/theory/peaks.md#selected-pixels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from midas.archive import Archive, FrameStack
from midas.runtime.errors import ArchiveError


def mean_dark(archive: Archive, raw: NDArray[np.int32] | slice, skip: int) -> NDArray[np.float64] | None:
    """Mean of the dark frames after the skipped ones, at these raw pixels; None if there is none."""
    if archive.dark is None or len(archive.dark) <= skip:
        return None
    total: NDArray[np.float64] | float = 0.0
    for frame in range(skip, len(archive.dark)):
        total = total + np.nan_to_num(archive.dark[frame].ravel()[raw].astype(np.float64), nan=0.0)
    mean: NDArray[np.float64] = np.asarray(total) / (len(archive.dark) - skip)
    return mean


def masked_pixels(archive: Archive, flood: NDArray[np.float64] | None) -> NDArray[np.bool_]:
    """(rows, columns) True where the mask is not 0, or the flood is 0 or no number."""
    masked: NDArray[np.bool_] = np.zeros(archive.frames.shape[1:], bool)
    if flood is not None:
        masked |= ~np.isfinite(flood) | (flood == 0)
    if archive.mask is not None and len(archive.mask):
        masked |= _plane(archive, archive.mask, "exchange/mask") != 0
    return masked


def flood_plane(archive: Archive) -> NDArray[np.float64] | None:
    """(rows, columns) divisor of the counts; None if there is none."""
    if archive.flood is None or not len(archive.flood):
        return None
    return _plane(archive, archive.flood, "exchange/flood").astype(np.float64)


def _plane(archive: Archive, stack: FrameStack, name: str) -> NDArray[np.generic]:
    """The first image of a stack, which may be padded to the square."""
    rows, columns = archive.frames.shape[1:]
    plane = stack[0]
    if plane.shape not in ((rows, columns), (max(rows, columns),) * 2):
        reason = f"has frames of {plane.shape} pixels, the data have {(rows, columns)}"
        raise ArchiveError(reason, file=archive.path, key=name)
    return plane[:rows, :columns]
