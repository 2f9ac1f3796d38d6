"""Which spots of a grain its solution explains (docs/theory/grains.md#spots-that-are-not-the-grains)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from midas.runtime.ragged import middles_of

#: a spot is a stray when it is farther from its prediction than so many medians of its grain
_MEDIANS = 5.0
#: and than this part of a pixel
_PIXELS = 0.05
_WITHOUT_PIXEL = 10.0  # µm


def explained(offsets: NDArray[np.int64], distance: NDArray[np.float64], px: float | None) -> NDArray[np.bool_]:
    """Which spots are where the solution of their grain has them.

    A robust fit leaves alone what it cannot explain: spots of a neighbour, or of both together where they overlap.

    Parameters
    ----------
    offsets : (n + 1,) int64; grain i has the spots ``offsets[i] : offsets[i + 1]``
    distance : (total,) float64, µm from the prediction
    px : pixel size, µm

    Returns
    -------
    (total,) bool; at least half of the spots of every grain
    """
    median = middles_of(distance, offsets)[1]
    limit = np.maximum(_MEDIANS * median, _PIXELS * px if px else _WITHOUT_PIXEL)
    inside: NDArray[np.bool_] = distance <= np.repeat(limit, np.diff(offsets))
    return inside


def counted(
    grain: NDArray[np.int64], grains: int, distance: NDArray[np.float64], own: NDArray[np.bool_], px: float | None
) -> NDArray[np.bool_]:
    """Which spots count for the strain: those that are a grain's own, and `explained`.

    Parameters
    ----------
    grain : (total,) ascending, of each spot
    distance : (total,) float64, µm from the prediction
    own : (total,) bool, whether the spot is the grain's and no other's
    px : pixel size, µm
    """
    rows = np.flatnonzero(own)
    offsets = np.searchsorted(grain[rows], np.arange(grains + 1)).astype(np.int64)
    result = np.zeros(len(own), bool)
    result[rows] = explained(offsets, distance[rows], px)
    return result
