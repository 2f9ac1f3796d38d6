"""Lattices that nearly have a higher symmetry: of the settings of a crystal the one that is least strained.

See docs/theory/resolving.md#nearly-symmetric-lattices.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from midas.experiment.crystal import cell_of, chosen_setting, metric_of, operations_of, possible_cell, reciprocal_basis
from midas.formats.refined import RefinedSeeds
from midas.parameters import Parameters

Array = NDArray[np.float64]

#: changes of the metric that are rounding, as a part of it
_ROUNDING = 1e-9
#: a centring vector is in twenty-fourths of the cell
_DENOMINATOR = 24


@dataclass(frozen=True)
class NearSymmetry:
    """What a lattice has besides its own symmetry.

    Parameters
    ----------
    metric : (3, 3), scalar products of the axes of the unstrained cell, Å²
    settings : (n, 3, 3), whole numbers: the axes of other settings, as columns of sums of the cell's own, whose cells
        are within the margins; the first is the identity, and of those that the lattice's symmetry makes equal there
        is one
    """

    metric: Array
    settings: Array

    @classmethod
    def of(cls, parameters: Parameters, fit: Parameters) -> NearSymmetry:
        """That of the crystal of the parameters; those of the fit say how far a cell may be from the unstrained one."""
        cell = np.array(possible_cell(parameters))
        metric = metric_of(cell)
        centrings = operations_of(chosen_setting(parameters, cell.tolist())).centrings / _DENOMINATOR
        every = _matrices()
        turned = every.transpose(0, 2, 1) @ metric @ every
        change = np.abs(cell_of(turned) / cell - 1)
        near = (change[:, :3] <= fit["MargABC"] / 100).all(axis=1)
        near &= (change[:, 3:] <= fit["MargABG"] / 100).all(axis=1)
        near &= _keep_centrings(every, centrings)
        own = near & (np.abs(turned - metric).max(axis=(1, 2)) <= _ROUNDING * np.abs(metric).max())
        return cls(metric, _representatives(every[near], every[own]))

    def least_strained(self, refined: RefinedSeeds, rows: NDArray[np.int64]) -> RefinedSeeds:
        """The solutions with the axes of these rows chosen anew where another choice is less strained."""
        if len(self.settings) == 1 or not len(rows):
            return refined
        metric = metric_of(refined.column("cell")[rows])
        turned = self.settings.transpose(0, 2, 1) @ metric[:, None] @ self.settings
        basis = np.linalg.inv(np.linalg.cholesky(self.metric))
        strain = np.linalg.norm(basis @ (turned - self.metric) @ basis.T, axis=(2, 3))
        strain[:, 0] *= 1 - _ROUNDING  # of equals the one that was found
        best = strain.argmin(axis=1)
        records = refined.orient_pos_fit.copy()
        for i in np.flatnonzero(best):
            record = records[rows[i]]
            axes = record["orientation"].reshape(3, 3) @ _axes(record["cell"]) @ self.settings[best[i]]
            cell = cell_of(turned[i, best[i]])
            record["orientation"], record["cell"] = (axes @ np.linalg.inv(_axes(cell))).ravel(), cell
        return replace(refined, orient_pos_fit=records)


@lru_cache(maxsize=1)
def _matrices() -> Array:
    """(3480, 3, 3): all of the numbers -1, 0 and 1 with the determinant 1."""
    every = np.array(list(itertools.product((-1.0, 0.0, 1.0), repeat=9))).reshape(-1, 3, 3)
    unimodular: Array = every[np.abs(np.linalg.det(every) - 1) < 0.5]
    return unimodular


def _axes(cell: Sequence[float] | Array) -> Array:
    """Cell vectors as columns in the crystal frame, Å (docs/theory/grains.md#lattice-vectors)."""
    return np.asarray(np.linalg.inv(reciprocal_basis(cell)).T, np.float64)


def _keep_centrings(operations: Array, centrings: Array) -> NDArray[np.bool_]:
    """(n,) bool, which operations carry the lattice points inside the cell to lattice points."""
    apart = (operations @ centrings.T).transpose(0, 2, 1)[:, :, None] - centrings
    kept: NDArray[np.bool_] = (np.abs(apart - np.rint(apart)).max(axis=3).min(axis=2) < 1e-6).all(axis=1)
    return kept


def _representatives(near: Array, own: Array) -> Array:
    """One of each set of operations that differ by one of the lattice's own; the identity first."""
    chosen, covered = [np.eye(3)], {operation.tobytes() for operation in _clean(own)}
    for operation in _clean(near):
        if operation.tobytes() not in covered:
            chosen.append(operation)
            covered.update(one.tobytes() for one in _clean(operation @ own))
    return np.array(chosen)


def _clean(operations: Array) -> Array:
    """The same numbers without negative zeros, so that equal ones have equal bytes."""
    return np.rint(operations) + 0.0
