"""How much numbers scatter, whatever a few of them are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: standard deviation of normal numbers in units of their median absolute deviation
PER_MAD = 1.4826


def robust_spread(values: NDArray[np.floating], middle: float | None = None) -> float:
    """The standard deviation that normal numbers of this median absolute deviation have.

    Parameters
    ----------
    values : of any shape, without NaN, not empty
    middle : from which they deviate; by default their median

    Examples
    --------
    >>> robust_spread(np.array([1.0, 2.0, 3.0, 4.0, 1e9]))
    1.4826
    """
    return PER_MAD * float(np.median(np.abs(values - (np.median(values) if middle is None else middle))))
