"""Measure, refine, measure again, refine again (docs/theory/measured_spots.md#rounds)."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from midas._ext.grains.reflections import PredictedReflections
from midas._ext.pull.sums import BOX_SUM, INCOMPLETE, MEASURED
from midas.experiment.angles import wrapped
from midas.experiment.orientation import matrices_from_quaternions
from midas.formats.layer import Layer
from midas.formats.table import Table
from midas.parameters import Parameters
from midas.stages.grains.crystals import Crystals
from midas.stages.grains.pull.boxes import Boxes, boxes_of
from midas.stages.grains.pull.frames import BoxFiller, SumOfBoxes
from midas.stages.grains.pull.instrument import PullSetting
from midas.stages.grains.pull.refit import Refit, refit

log = logging.getLogger(__name__)

#: measurements, with a refinement after each
ROUNDS = 2
#: orientations that are no grains, which say what a box holds by chance, and the seed that they come from
RANDOM_ORIENTATIONS, RANDOM_SEED = 30, 20120517
#: more boxes than this that hold something by chance: the measured spots prove nothing
HIGHEST_CHANCE = 0.1


@dataclass(frozen=True)
class Measured:
    """The boxes of accepted reflections of grains, and what they hold.

    Parameters
    ----------
    predicted, boxes : the reflections, and the boxes around them
    sums : (n,) of `BOX_SUM`
    y, z, omega, eta : (n,) float64, centres: µm on the plane, degrees as recorded, degrees
    """

    predicted: PredictedReflections
    boxes: Boxes
    sums: NDArray[np.void]
    y: NDArray[np.float64]
    z: NDArray[np.float64]
    omega: NDArray[np.float64]
    eta: NDArray[np.float64]

    @property
    def valid(self) -> NDArray[np.bool_]:
        """(n,) bool, boxes that hold a spot."""
        return self.sums["status"] == MEASURED

    def take(self, rows: NDArray[Any]) -> Measured:
        """These boxes; their neighbours stay rows of the whole list."""
        boxes = self.boxes.take(np.arange(len(self.sums))[rows])
        predicted = PredictedReflections(*(np.ascontiguousarray(column[rows]) for column in self.predicted))
        return Measured(predicted, boxes, self.sums[rows], self.y[rows], self.z[rows], self.omega[rows], self.eta[rows])

    def spots(self) -> Table:
        """The places of all of them as the refinement takes them."""
        columns = {"y_plane": self.y, "z_plane": self.z, "omega_recorded": self.omega, "ring": self.predicted.ring}
        return Table.from_columns(tuple(columns), columns)


@dataclass(frozen=True)
class Rounds:
    """What came of all rounds.

    Parameters
    ----------
    measured : the spots of the last round
    refit : the grains after it
    chance : part of the boxes around random orientations that hold a spot
    """

    measured: Measured
    refit: Refit
    chance: float


def measure_and_refine(
    layer: Layer, setting: PullSetting, of_setup: Parameters, hkls: Table, crystals: Crystals, threads: int
) -> Rounds:
    """Two rounds for grains; the random orientations are measured with the first."""
    strangers = random_crystals(of_setup["LatticeParameter"])
    measured, chance = None, np.nan
    for turn in range(ROUNDS):
        everybody = _joined(crystals, strangers) if turn == 0 else crystals
        boxes = measure(setting, everybody, len(crystals), threads)
        if turn == 0:
            own = boxes.predicted.crystal < len(crystals)
            chance = _chance(boxes.take(~own))
            boxes = boxes.take(own)
        measured = boxes.take(boxes.valid)
        log.info("%d of %d boxes of %d grains hold a spot", len(measured.sums), len(boxes.sums), len(crystals))
        result = refit(layer, of_setup, hkls, crystals, measured.spots(), measured.predicted.crystal, threads)
        crystals = result.crystals
    assert measured is not None
    return Rounds(measured, result, chance)


def measure(setting: PullSetting, crystals: Crystals, grains: int, threads: int) -> Measured:
    """The boxes of all accepted reflections of crystals, of which the first ones are the grains."""
    predicted = setting.model.predicted(crystals.u, crystals.position, crystals.cell, threads)
    boxes = boxes_of(predicted, setting.widths, predicted.crystal < grains)
    accepted = np.flatnonzero(predicted.accepted)
    own = boxes.take(accepted)
    work = SumOfBoxes(len(accepted), threads)
    BoxFiller(setting.reader, own, setting.detector.packed(), setting.panels, threads).run(work)
    sums = work.sums
    radius = own.radius + sums["radial"]
    eta = wrapped(own.eta + np.degrees(sums["arc"] / own.radius))
    y, z = -radius * np.sin(np.radians(eta)), radius * np.cos(np.radians(eta))
    omega = wrapped(own.omega + sums["omega"])
    return Measured(PredictedReflections(*(column[accepted] for column in predicted)), own, sums, y, z, omega, eta)


def random_crystals(cell: tuple[float, ...]) -> Crystals:
    """Crystals of evenly distributed orientation in the middle of the sample, always the same ones."""
    quaternions = np.random.default_rng(RANDOM_SEED).normal(size=(RANDOM_ORIENTATIONS, 4))
    quaternions /= np.linalg.norm(quaternions, axis=1, keepdims=True)
    cells = np.tile(np.array(cell, np.float64), (RANDOM_ORIENTATIONS, 1))
    return Crystals(matrices_from_quaternions(quaternions), np.zeros((RANDOM_ORIENTATIONS, 3)), cells)


def _joined(*crystals: Crystals) -> Crystals:
    columns = (np.concatenate([getattr(one, name) for one in crystals]) for name in ("u", "position", "cell"))
    return Crystals(*map(np.ascontiguousarray, columns))


def _chance(strangers: Measured) -> float:
    """Part of the boxes that hold a spot; NaN without boxes."""
    complete = strangers.sums["status"] != INCOMPLETE
    return float(strangers.valid[complete].mean()) if complete.any() else np.nan
