"""Uncertainties of several numbers of a grain as one (docs/theory/uncertainty.md#table)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from midas.formats.table import Table

#: columns of ``GrainsSigma.csv`` that belong together
POSITION_SIGMAS, ROTATION_SIGMAS = ("sX", "sY", "sZ"), ("sRx", "sRy", "sRz")


def together(table: Table, columns: Sequence[str]) -> NDArray[np.float64]:
    """(n,) root of the sum of the squares of these columns, in their unit; NaN where one is not known."""
    root: NDArray[np.float64] = np.sqrt(sum(table[column] ** 2 for column in columns))
    return root
