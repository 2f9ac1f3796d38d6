"""Rows of unequal length in one array: row i has the entries ``offsets[i] : offsets[i + 1]``."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def offsets_of(counts: ArrayLike) -> NDArray[np.int64]:
    """(n + 1,) int64 offsets of n rows of these lengths.

    Examples
    --------
    >>> offsets_of([2, 0, 3])
    array([0, 2, 2, 5])
    """
    counts = np.asarray(counts, np.int64)
    offsets = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    return offsets


def entries_of(starts: ArrayLike, counts: ArrayLike) -> NDArray[np.int64]:
    """The numbers start ... start + count - 1 of each pair, one after the other: the entries of some rows.

    Examples
    --------
    >>> entries_of([5, 0], [2, 3])
    array([5, 6, 0, 1, 2])
    """
    counts = np.asarray(counts, np.int64)
    offsets = offsets_of(counts)
    return np.arange(offsets[-1]) + np.repeat(np.asarray(starts, np.int64) - offsets[:-1], counts)


def middles_of(values: NDArray[np.float64], offsets: NDArray[np.int64]) -> NDArray[np.float64]:
    """(2, n) float64 lower and upper median of each row; NaN for an empty one.

    Examples
    --------
    >>> middles_of(np.array([3.0, 1.0, 2.0, 9.0, 7.0]), np.array([0, 2, 5]))
    array([[1., 7.],
           [3., 7.]])
    """
    counts, starts = np.diff(offsets), offsets[:-1]
    ascending = values[np.lexsort((values, np.repeat(np.arange(len(counts)), counts)))]
    middles, some = np.full((2, len(counts)), np.nan), counts > 0
    middles[0, some] = ascending[(starts + (counts - 1) // 2)[some]]
    middles[1, some] = ascending[(starts + counts // 2)[some]]
    return middles


def sums_by(row: NDArray[np.integer], values: NDArray[np.float64], rows: int) -> NDArray[np.float64]:
    """(rows,) float64 sum of the values of each row, in their order; 0 where there is none.

    Parameters
    ----------
    row : (n,) whole numbers from 0 to rows - 1, of each value

    Examples
    --------
    >>> sums_by(np.array([2, 0, 2]), np.array([1.0, 2.0, 3.0]), 4)
    array([2., 0., 4., 0.])
    """
    return np.asarray(np.bincount(row, values, rows), np.float64)
