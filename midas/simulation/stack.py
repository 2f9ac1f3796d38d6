"""A sample that is higher than the beam, as a stack of layers (docs/theory/simulation.md#layers)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas.formats.simulated import GrainList
from midas.simulation.samples import FCC, Grains, Sample, Values

#: a slice of a grain that is thinner than this, µm, is not seen
_THINNEST = 5.0


@dataclass(frozen=True)
class Stack:
    """Spherical grains, and the layers that a beam of some height cuts out of them.

    Parameters
    ----------
    grains : all of them, of which the positions are the centres
    radii : (n,) µm
    thickness : of a layer, µm; layer k has its middle at k times this height
    layers : how many
    """

    grains: GrainList
    radii: NDArray[np.float64]
    thickness: float
    layers: int

    def layer(self, number: int) -> tuple[NDArray[np.intp], GrainList]:
        """Rows of the grains in a layer (from 0), and the grains as it sees them: centroids of their slices."""
        lower, upper = ((number + side) * self.thickness for side in (-0.5, 0.5))
        centre, radius = self.grains.positions[:, 2], self.radii
        a = np.clip(lower - centre, -radius, radius)
        b = np.clip(upper - centre, -radius, radius)
        rows = np.flatnonzero(b - a > _THINNEST)
        r, a, b = radius[rows], a[rows], b[rows]
        volume = r**2 * (b - a) - (b**3 - a**3) / 3
        moment = r**2 * (b**2 - a**2) / 2 - (b**4 - a**4) / 4
        positions = self.grains.positions[rows].copy()
        positions[:, 2] += moment / volume - number * self.thickness
        assert self.grains.cells is not None
        return rows, GrainList(self.grains.matrices[rows], positions, self.grains.cells[rows])

    def sample(self, number: int, values: Values) -> Sample:
        """A layer as a data set of its own, with these parameters."""
        grains = self.layer(number)[1]
        return Sample(f"layer {number + 1} of {self.layers}", 225, FCC, lambda: grains, values)

    def __iter__(self) -> Iterator[GrainList]:
        return (self.layer(number)[1] for number in range(self.layers))


#: of the data set DS6; the names of the raw files are the user's
DS6: Values = {
    "NrPixels": 512,
    "px": 400,
    "BC": (256, 256),
    "BeamThickness": 100,
    "Hbeam": 200,
}


def ds6() -> Stack:
    """Forty f.c.c. grains in five layers of 100 µm."""
    grains = Grains(106, 40, FCC, 300, (-50, 450), 1e-3).draw()
    return Stack(grains, 30 + 30 * np.random.default_rng(1060).random(40), 100.0, 5)
