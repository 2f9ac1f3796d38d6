"""What no spots can tell, and the conventions that fix it (docs/theory/geometry_from_grains.md#gauge)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from midas._ext.numerics.elementwise import cos, sin
from midas.calibration.grains.state import AT, Free, State, pixel_size, strains_of
from midas.experiment.angles import DEG2RAD

Array = NDArray[np.float64]

#: what fixes the scale: the mean strain of the grains is zero, nothing, every grain has the reference cell, or the mean
#: strain is zero with this standard deviation, 10⁻⁶
Trust = Literal["mean", "none", "each"] | float

_POSITION_Z, _STRAIN = 2, slice(6, 9)


@dataclass(frozen=True)
class Convention:
    """What is agreed upon.

    Parameters
    ----------
    reference : (3, 3), B of the unstrained cell
    trust : see `Trust`
    height : mean z of the grains, µm; None where the beam centre is held
    volume : (g,) weight of each grain in that mean
    """

    reference: Array
    trust: Trust
    height: float
    volume: Array

    @property
    def unknowns(self) -> int:
        """Of a grain: position and rotation, and strain unless every cell is trusted."""
        return 6 if self.trust == "each" else 12

    @property
    def trusts_mean(self) -> bool:
        """Whether the mean strain is fixed or nearly so."""
        return self.trust == "mean" or not isinstance(self.trust, str)

    def take(self, grains: NDArray[np.bool_] | NDArray[np.intp]) -> Convention:
        """The same for some of the grains."""
        return Convention(self.reference, self.trust, self.height, self.volume[grains])


@dataclass(frozen=True)
class Constraints:
    """Sums over the grains that are to be zero.

    Parameters
    ----------
    rows : (q, g, k) derivatives by the unknowns of the grains
    value : (q,) of the sums
    variance : (q,) of their distribution; 0 where they must vanish
    """

    rows: Array
    value: Array
    variance: Array

    def __len__(self) -> int:
        return len(self.value)


def height_is_free(free: Free) -> bool:
    """Whether detectors and grains can move along z together."""
    return free.all_free("BCz")


def scale_is_free(free: Free) -> bool:
    """Whether all cells can grow together, with the distances or with the wavelength."""
    return free.all_free("Lsd") or free.all_free("Wavelength")


def constraints_of(convention: Convention, free: Free, state: State) -> Constraints:
    """What the conventions ask of a state, as far as the free numbers leave it open."""
    g, k = len(state.positions), convention.unknowns
    rows, values, variances = [], [], []
    if height_is_free(free):
        row = np.zeros((g, k))
        row[:, _POSITION_Z] = convention.volume / convention.volume.sum()
        rows.append(row)
        values.append(float(row[:, _POSITION_Z] @ state.positions[:, 2]) - convention.height)
        variances.append(0.0)
    if convention.trusts_mean and k == 12 and scale_is_free(free):
        row = np.zeros((g, k))
        row[:, _STRAIN] = 1 / (3 * g)
        rows.append(row)
        values.append(mean_strain(state, convention.reference))
        variances.append(0.0 if isinstance(convention.trust, str) else float(convention.trust) ** 2)
    return Constraints(np.array(rows).reshape(-1, g, k), np.array(values), np.array(variances))


def mean_strain(state: State, reference: Array) -> float:
    """Mean of the isotropic strains of the grains, 10⁻⁶."""
    strain, _ = strains_of(state.ub, reference)
    return float(strain[:, :3].mean())


def agreed(convention: Convention, free: Free, state: State) -> State:
    """The state moved along what no spots can tell, until it is as agreed.

    The spots move little: the beam centre follows the grains, the distance their cells.
    """
    numbers, positions, ub = state.numbers.copy(), state.positions.copy(), state.ub
    if height_is_free(free):
        raised = convention.height - float(convention.volume @ positions[:, 2] / convention.volume.sum())
        positions[:, 2] += raised
        px = pixel_size(state)
        tx = DEG2RAD * numbers[:, AT["tx"]]
        if free.all_free("BCy"):
            numbers[:, AT["BCy"]] += raised * sin(tx) / px
        numbers[:, AT["BCz"]] -= raised * cos(tx) / px
    if convention.trust == "each":
        _, rotations = strains_of(ub, convention.reference)
        scale = 1e-6 * mean_strain(state, convention.reference) if free.all_free("Lsd") else 0.0
        ub = rotations @ convention.reference
        numbers[:, AT["Lsd"]] *= 1 - scale
    elif convention.trust == "mean" and scale_is_free(free):
        scale = 1e-6 * mean_strain(state, convention.reference)
        ub = ub * (1 + scale)
        name = "Lsd" if free.all_free("Lsd") else "Wavelength"
        numbers[:, AT[name]] *= 1 - scale
    return State(numbers, state.shifts, ub, positions)
