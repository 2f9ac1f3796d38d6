"""Grains of a sample as arrays, whoever found them: what is exported, compared, matched and tracked."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class GrainList:
    """Grains in the frame of the sample: X along the beam at omega = 0, Z up along the axis, µm.

    What a file does not tell is NaN, or None for the crystal.

    Parameters
    ----------
    ids : (n,) int64, as in the file
    orientations : (n, 3, 3) U, crystal (a* along x, c along z) to sample
    positions : (n, 3) centres of mass, µm
    cells : (n, 6) a, b, c (Å), alpha, beta, gamma (degrees)
    radii : (n,) of the sphere of the same volume, µm
    completeness : (n,) part of the expected spots that was found
    strains : (n, 3, 3) sample frame, 1e-6; where there is a choice the one from the spots (eKen)
    space_group : 1 ... 230
    cell : of the unstrained crystal, Å and degrees
    name : what to call the list: the file
    """

    ids: NDArray[np.int64]
    orientations: Floats
    positions: Floats
    cells: Floats
    radii: Floats
    completeness: Floats
    strains: Floats
    space_group: int | None = None
    cell: tuple[float, ...] | None = None
    name: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        n = len(self.ids)
        for values, shape in (
            (self.orientations, (n, 3, 3)), (self.positions, (n, 3)), (self.cells, (n, 6)), (self.radii, (n,)),
            (self.completeness, (n,)), (self.strains, (n, 3, 3)),
        ):  # fmt: skip
            if values.shape != shape:
                raise ValueError(f"{values.shape} for {n} grains where {shape} belongs")

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_] | slice) -> GrainList:
        """The list of these grains."""
        names = ("ids", "orientations", "positions", "cells", "radii", "completeness", "strains")
        return replace(self, **{name: getattr(self, name)[rows] for name in names})
