"""Grain lists whose file tells only a part of what a `GrainList` holds, and what every list must satisfy."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from midas.results.grain_list import GrainList
from midas.runtime.errors import FormatError

Floats = NDArray[np.float64]

#: how far the product of an orientation with its transpose may be from 1: six printed digits make 1e-5 of it
_ROTATION = 1e-3


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
    FormatError : naming the file and the grain whose numbers are not finite, or whose orientation is no rotation
    """
    numbers = np.asarray(ids, np.int64)
    n = len(numbers)

    def filled(values: ArrayLike | None, *shape: int) -> Floats:
        return np.full((n, *shape), np.nan) if values is None else np.asarray(values, np.float64).reshape(n, *shape)

    u, x = filled(orientations, 3, 3), filled(positions, 3)
    finite = np.asarray(np.isfinite(np.column_stack([u.reshape(n, 9), x])).all(axis=1), np.bool_).reshape(n)
    _check(path, numbers, finite, "has no finite numbers")
    skew = np.abs(u @ u.swapaxes(1, 2) - np.eye(3)).max(axis=(1, 2), initial=0)
    sound = np.asarray((skew < _ROTATION) & (np.linalg.det(u) > 0), np.bool_).reshape(n)
    _check(path, numbers, sound, "has an orientation matrix that is no rotation")
    return GrainList(
        *(numbers, u, x, filled(cells, 6), filled(radii), filled(completeness), filled(strains, 3, 3)),
        space_group=space_group,
        cell=None if cell is None else tuple(float(value) for value in cell),
        name=os.fspath(path),
    )


def _check(path: str | os.PathLike[str], ids: NDArray[np.int64], sound: NDArray[np.bool_], reason: str) -> None:
    if not sound.all():
        raise FormatError(f"grain {ids[np.argmin(sound)]} {reason}", file=path)
