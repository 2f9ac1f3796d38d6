"""Grains that are another one once more (docs/theory/uncertainty.md#copies)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from midas.calibration.grains.fitted import FittedSpots
from midas.formats.table import Table

#: of the spots of a grain, of which more are a better one's, too
_MOST_SHARED = 0.5


def copies(spots: FittedSpots, grains: Table) -> NDArray[np.bool_]:
    """(n,) which grains have more than half of their spots in common with a better one.

    Better is the larger completeness, then the smaller internal angle, then the smaller id.
    """
    n = len(grains)
    own = spots.ids > 0
    ids, grain = spots.ids[own], spots.grain[own]
    found = np.zeros(n, bool)
    if not len(ids) or np.bincount(ids).max() == 1:
        return found
    matrix = csr_array((np.ones(len(ids)), (grain, ids)), shape=(n, int(ids.max()) + 1))
    shared = (matrix @ matrix.T).tocoo()
    order = np.lexsort((np.arange(n), grains["GrainID"], grains["DiffAngle"], -grains["Confidence"]))
    rank = np.empty(n, np.int64)
    rank[order] = np.arange(n)
    counts = np.diff(spots.offsets)
    row, column = shared.coords
    found[row[(rank[column] < rank[row]) & (shared.data > _MOST_SHARED * counts[row])]] = True
    return found
