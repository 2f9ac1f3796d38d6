"""Crystals as arrays, for whatever predicts their reflections."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas._ext.grains.reflections import PredictedReflections, ReflectionModel

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Crystals:
    """Orientation, position and cell of n crystals.

    Parameters
    ----------
    u : (n, 3, 3) float64, crystal to sample
    position : (n, 3) float64, sample frame, µm
    cell : (n, 6) float64, Å and degrees
    """

    u: Array
    position: Array
    cell: Array

    def __len__(self) -> int:
        return len(self.position)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_] | slice) -> Crystals:
        """The crystals of these rows."""
        arrays = (self.u[rows], self.position[rows], self.cell[rows])
        return Crystals(*map(np.ascontiguousarray, arrays))

    def predicted(self, model: ReflectionModel, threads: int) -> PredictedReflections:
        """Their reflections, crystal by crystal."""
        return model.predicted(self.u, self.position, self.cell, threads)

    def where(self, solved: NDArray[np.bool_], solutions: NDArray[np.void]) -> Crystals:
        """These crystals, with the solutions of a refiner in place of those that are solved.

        Parameters
        ----------
        solved : (n,) bool
        solutions : (n,), with the fields orientation (9), position (3) and cell (6)
        """
        return Crystals(
            np.where(solved[:, None, None], solutions["orientation"].reshape(-1, 3, 3), self.u),
            np.where(solved[:, None], solutions["position"], self.position),
            np.where(solved[:, None], solutions["cell"], self.cell),
        )


def chosen(predicted: PredictedReflections, rows: NDArray[np.int64] | NDArray[np.bool_]) -> PredictedReflections:
    """Some of the reflections of crystals."""
    return PredictedReflections._make(np.ascontiguousarray(column[rows]) for column in predicted)
