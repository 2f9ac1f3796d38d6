"""Residuals of the spots of grains and their derivatives (docs/theory/geometry_from_grains.md#model)."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace

import numpy as np
from numpy.typing import NDArray

from midas._ext.calibrate.joint import PARAMETERS, Joint
from midas._ext.numerics.elementwise import hypot
from midas.calibration.grains.fitted import FittedSpots, GrainStates
from midas.experiment.detector import DetectorGeometry
from midas.experiment.instrument_numbers import numbers_of
from midas.runtime.ragged import offsets_of

Array = NDArray[np.float64]

_NO_SHIFTS = np.empty((0, 2))


@dataclass(frozen=True)
class GrainModel:
    """Grains, their spots and the instrument.

    Parameters
    ----------
    spots : whose reflections the grains have
    states : of the grains
    numbers : (1, k) float64, of the instrument
    pixels : (2, n) float64
    parameters : names of the instrument's numbers by which there are derivatives
    residual : (3, n) float64, observed minus predicted: along the radius, around it (µm), omega (degrees)
    """

    spots: FittedSpots
    states: GrainStates
    numbers: Array
    pixels: Array
    parameters: tuple[str, ...]
    residual: Array = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "residual", self._residuals())

    @classmethod
    def of(
        cls, spots: FittedSpots, states: GrainStates, detector: DetectorGeometry, names: tuple[str, ...]
    ) -> GrainModel:
        """The model without the spots whose reflections never fire.

        Parameters
        ----------
        names : of numbers of the instrument; those that are none of its are left out
        """
        pixels = np.array(detector.pixel_of_plane(spots.y, spots.z))
        parameters = tuple(name for name in names if name in PARAMETERS)
        model = cls(spots, states, numbers_of(detector)[None], pixels, parameters)
        good = np.isfinite(model.residual.sum(axis=0))
        return model if good.all() else replace(model, spots=_taken(spots, good), pixels=pixels[:, good])

    def _residuals(self) -> Array:
        if not len(self.spots):
            return np.empty((3, 0))
        ub, positions = self._grains(slice(None))
        return self._joint(slice(None)).residuals(self.numbers, _NO_SHIFTS, ub, positions)

    def jacobian(self, first: int, end: int) -> Array:
        """(3, m, 12 + p) derivatives for the spots of grains first ... end - 1."""
        rows = slice(first, end)
        columns = np.full((1, len(PARAMETERS)), -1, np.int32)
        for column, name in enumerate(self.parameters):
            columns[0, PARAMETERS.index(name)] = column
        ub, positions = self._grains(rows)
        return self._joint(rows).jacobian(
            self.numbers, _NO_SHIFTS, ub, positions, columns, np.empty(0, np.int32), len(self.parameters)
        )

    def _grains(self, rows: slice) -> tuple[Array, Array]:
        ub, positions = self.states.ub[rows].reshape(-1, 9), self.states.position[rows]
        return np.ascontiguousarray(ub), np.ascontiguousarray(positions)

    def _joint(self, grains: slice) -> Joint:
        """The spots of some grains, in the form of the kernel."""
        offsets = self.spots.offsets
        first, end, _ = grains.indices(len(offsets) - 1)
        rows = slice(offsets[first], offsets[end])
        plane = np.stack([self.spots.y[rows], self.spots.z[rows]])
        radius = hypot(*plane)
        n = len(radius)
        return Joint(
            np.ascontiguousarray(offsets[first : end + 1] - offsets[first]),
            np.ascontiguousarray(self.pixels[:, rows]),
            np.ascontiguousarray(self.spots.omega[rows]),
            np.ascontiguousarray(self.spots.hkl[rows].T),
            np.ascontiguousarray(self.spots.branch[rows]),
            plane / np.where(radius > 0, radius, np.nan),
            np.zeros(n, np.int32),
            np.full(n, -1, np.int32),
        )


def _taken(spots: FittedSpots, good: NDArray[np.bool_]) -> FittedSpots:
    """Some of the spots."""
    counts = np.bincount(spots.grain[good], minlength=len(spots.offsets) - 1)
    columns = {c.name: getattr(spots, c.name)[good] for c in fields(spots) if c.name != "offsets"}
    return FittedSpots(offsets=offsets_of(counts), **columns)
