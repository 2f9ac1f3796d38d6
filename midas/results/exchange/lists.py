"""Grain lists whose file tells only a part of what a `GrainList` holds, and what every list must satisfy."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from midas.formats.cells import fault_of
from midas.formats.table import LARGEST
from midas.results.grain_list import GrainList
from midas.runtime.errors import FormatError

Floats = NDArray[np.float64]


def grain_list(
    path: str | os.PathLike[str],
    ids: ArrayLike,
    orientations: ArrayLike,
    positions: ArrayLike,
    *,
    cells: ArrayLike | None = None,
    radii: ArrayLike | None = None,
    completeness: ArrayLike | None = None,
    strains: ArrayLike | None = None,
    space_group: int | None = None,
    cell: Sequence[float] | None = None,
) -> GrainList:
    """The grains of a file, checked; what is not given is NaN.

    Raises
    ------
    FormatError : naming the file and the grain whose numbers are not finite, whose orientation is no rotation, or whose
        cell cannot be
    """
    given = np.asarray(ids)
    n = len(given)
    if not (whole := (np.abs(given) < LARGEST) & (given == np.trunc(given))).all():
        row = int(np.argmin(whole))
        reason = f"must be a whole number below {LARGEST:.0e}"
        raise FormatError(reason, file=path, key=f"number of grain {row + 1} of the list", value=f"{given[row]:g}")
    numbers = given.astype(np.int64)

    def filled(values: ArrayLike | None, *shape: int) -> Floats:
        return np.full((n, *shape), np.nan) if values is None else np.asarray(values, np.float64).reshape(n, *shape)

    u, x = filled(orientations, 3, 3), filled(positions, 3)
    told = filled(cells, 6)
    finite = (np.abs(np.column_stack([u.reshape(n, 9), x])) < LARGEST).all(axis=1)
    if not finite.all():
        reason = f"grain {numbers[np.argmin(finite)]} has numbers that are not finite, or not below {LARGEST:.0e}"
        raise FormatError(reason, file=path)
    if fault := fault_of(u, told):
        raise FormatError(f"grain {numbers[fault.row]}: {fault.reason}", file=path, key=fault.key, value=fault.value)
    return GrainList(
        *(numbers, u, x, told, filled(radii), filled(completeness), filled(strains, 3, 3)),
        space_group=space_group,
        cell=None if cell is None else tuple(float(value) for value in cell),
        name=os.fspath(path),
    )
