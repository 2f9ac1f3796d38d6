"""Measure, refine, measure again, refine again (docs/theory/measured_spots.md#rounds)."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from midas._ext.grains.reflections import PredictedReflections
from midas._ext.numerics.elementwise import cos, sin
from midas._ext.pull.sums import INCOMPLETE, MEASURED
from midas.experiment.angles import wrapped
from midas.experiment.crystals import Crystals, chosen
from midas.experiment.orientation import matrices_from_quaternions
from midas.formats.layer import Layer
from midas.formats.measured import DEBLENDED, SUMMED
from midas.formats.table import Table
from midas.parameters import Parameters
from midas.stages.grains.pull.boxes import Boxes, boxes_of
from midas.stages.grains.pull.deblend import Deblender, SpotWidths, blends_of, usual_widths
from midas.stages.grains.pull.frames import BoxFiller, Measurer, SumOfBoxes
from midas.stages.grains.pull.instrument import PullSetting
from midas.stages.grains.pull.refit import Refit, refit

log = logging.getLogger(__name__)

#: measurements, with a refinement after each
ROUNDS = 2
#: orientations that are no grains, which say what a box holds by chance, and the seed that they come from
RANDOM_ORIENTATIONS, RANDOM_SEED = 30, 20120517
#: more boxes than this that hold something by chance: the measured spots prove nothing
HIGHEST_CHANCE = 0.1
#: one spot of several grains, which none of them is refined on
SHARED = -1


@dataclass(frozen=True)
class Measured:
    """The boxes of accepted reflections of grains, and what they hold.

    Parameters
    ----------
    predicted, boxes : the reflections, and the boxes around them
    sums : (n,) of `midas._ext.pull.sums.BOX_SUM`
    y, z, omega, eta : (n,) float64, centres: µm on the plane, degrees as recorded, degrees
    source : (n,) int64, `SUMMED`, `DEBLENDED`, or `SHARED`: one spot of several grains that could not be told apart
    """

    predicted: PredictedReflections
    boxes: Boxes
    sums: NDArray[np.void]
    y: NDArray[np.float64]
    z: NDArray[np.float64]
    omega: NDArray[np.float64]
    eta: NDArray[np.float64]
    source: NDArray[np.int64]

    @property
    def valid(self) -> NDArray[np.bool_]:
        """(n,) bool, boxes that hold a spot of their grain."""
        valid: NDArray[np.bool_] = (self.sums["status"] == MEASURED) & (self.source != SHARED)
        return valid

    def take(self, rows: NDArray[Any]) -> Measured:
        """These boxes; their neighbours stay rows of the whole list."""
        boxes = self.boxes.take(np.arange(len(self.sums))[rows])
        predicted = chosen(self.predicted, rows)
        return Measured(
            predicted, boxes, self.sums[rows], self.y[rows], self.z[rows], self.omega[rows], self.eta[rows],
            self.source[rows],
        )  # fmt: skip

    def spots(self) -> Table:
        """The places of all of them as the refinement takes them."""
        columns: dict[str, ArrayLike] = {
            "y_plane": self.y,
            "z_plane": self.z,
            "omega_recorded": self.omega,
            "ring": self.predicted.ring,
        }
        return Table.from_columns(tuple(columns), columns)


@dataclass(frozen=True)
class Rounds:
    """What came of all rounds.

    Parameters
    ----------
    first : all boxes of the first round, also those that hold no spot
    measured : the spots of the last round
    refit : the grains after it
    chance : part of the boxes around random orientations that hold a spot
    """

    first: Measured
    measured: Measured
    refit: Refit
    chance: float


def measure_and_refine(
    layer: Layer, setting: PullSetting, of_setup: Parameters, hkls: Table, crystals: Crystals, threads: int
) -> Rounds:
    """Two rounds for grains; the random orientations are measured with the first, spots are told apart in the last."""
    grains = len(crystals)
    first = measure(
        setting,
        _joined(crystals, random_crystals(of_setup.for_stage("pull")["LatticeParameter"])),
        grains,
        None,
        threads,
    )
    own = first.predicted.crystal < grains
    chance, first = _chance(first.take(~own)), first.take(own)
    widths = usual_widths(first.predicted, first.boxes, first.sums, grains, setting.reader.step)
    for turn in range(ROUNDS):
        boxes = measure(setting, crystals, grains, widths, threads) if turn else first
        measured = boxes.take(boxes.valid)
        log.info(
            "%d of %d boxes of %d grains hold a spot, %d of them told apart from another; %d are shared",
            len(measured.sums), len(boxes.sums), grains, (measured.source == DEBLENDED).sum(),
            (boxes.source == SHARED).sum(),
        )  # fmt: skip
        result = refit(
            layer, of_setup, setting.region, hkls, crystals, measured.spots(), measured.predicted.crystal, threads
        )
        crystals = result.crystals
    return Rounds(first, measured, result, chance)


def measure(setting: PullSetting, crystals: Crystals, grains: int, widths: SpotWidths | None, threads: int) -> Measured:
    """The boxes of all accepted reflections of crystals, of which the first ones are the grains.

    Parameters
    ----------
    widths : of the spots of the grains; with it spots that are one on the frames are told apart where they can be
    """
    predicted = crystals.predicted(setting.model, threads)
    boxes = boxes_of(predicted, setting.widths, predicted.crystal < grains)
    rows = np.flatnonzero(predicted.accepted)
    own = boxes.take(rows)
    adder = SumOfBoxes(len(rows), threads)
    work: list[Measurer] = [adder]
    if widths is not None:
        blends = blends_of(boxes, widths.of(predicted))
        deblender = Deblender(boxes, blends, rows, setting.reader.step)
        work.append(deblender)
    BoxFiller(
        setting.reader, _as_framed(setting, own, threads), setting.detector.packed(), setting.panels, threads
    ).run(work)
    sums, source = adder.sums, np.full(len(rows), SUMMED)
    if widths is not None:
        blended, resolved = blends.group[rows] >= 0, deblender.resolved[rows]
        source[blended] = np.where(resolved[blended], DEBLENDED, SHARED)
        _put(sums, resolved, deblender.peaks[rows[resolved]])
    radius = own.radius + sums["radial"]
    eta = wrapped(own.eta + np.degrees(sums["arc"] / own.radius))
    y, z = -radius * sin(np.radians(eta)), radius * cos(np.radians(eta))
    omega = wrapped(own.omega + sums["omega"])
    return Measured(chosen(predicted, rows), own, sums, y, z, omega, eta, source)


def _as_framed(setting: PullSetting, boxes: Boxes, threads: int) -> Boxes:
    """The boxes at the omegas of frames, where recorded omegas are those of the read-out of a row."""
    if setting.gap == 0:
        return boxes
    eta = np.radians(boxes.eta)
    _, z_px = setting.detector.pixel_of_plane(-boxes.radius * sin(eta), boxes.radius * cos(eta))
    return replace(boxes, omega=setting.of_frame(boxes.omega, z_px, len(setting.reader.numbers), threads))


def _put(sums: NDArray[np.void], resolved: NDArray[np.bool_], peaks: NDArray[np.float64]) -> None:
    """What the fit of blends says in place of the sums; a box that is incomplete stays so."""
    for column, name in enumerate(("intensity", "radial", "arc", "omega")):
        sums[name][resolved] = peaks[:, column]
    for column, name in enumerate(("radial_variance", "arc_variance", "omega_variance"), 4):
        sums[name][resolved] = peaks[:, column] ** 2
    sums["status"][resolved & (sums["status"] != INCOMPLETE)] = MEASURED


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
