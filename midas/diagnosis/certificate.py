"""Which ways to read the image and the rotation the grains exclude, and which no data can tell apart.

See docs/theory/diagnosis.md#image-flips.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas._ext.numerics.elementwise import hypot
from midas.diagnosis.evidence import Evidence
from midas.diagnosis.flips import AHEAD, CONVINCING, Setting, compare_views, settings_of
from midas.diagnosis.trial import AS_GIVEN, Trial
from midas.formats.grains import POSITION, SPOT_MATRIX, read_grains
from midas.formats.layer import Layer
from midas.parameters import Parameters
from midas.parameters.table import Value
from midas.runtime.errors import StageError

GIVEN, ALIKE, EXCLUDED, OPEN, BETTER = (
    "as given",
    "cannot be told from it",
    "excluded",
    "not excluded",
    "fits better than what is given",
)

#: spots of grains that are indexed; where one reading finds them, another one is not right by chance
_SEEDS = 8


@dataclass(frozen=True)
class Reading:
    """One of the eight ways in which the image can lie, with one of the two senses of omega.

    Parameters
    ----------
    setting : what a user would write
    completeness : that the strongest spots of the grains reach with it
    verdict : GIVEN, ALIKE, EXCLUDED, OPEN or BETTER
    """

    setting: Setting
    completeness: float
    verdict: str


@dataclass(frozen=True)
class Certificate:
    """All sixteen readings, those that the data cannot tell from the given one first.

    Parameters
    ----------
    readings : of which the first is the given one
    omega_step : as given, degrees
    """

    readings: tuple[Reading, ...]
    omega_step: float

    @property
    def excluded(self) -> int:
        """Number of readings that the data exclude."""
        return sum(reading.verdict == EXCLUDED for reading in self.readings)

    def sentence(self) -> str:
        """The upshot."""
        given = self.readings[0]
        better = [reading for reading in self.readings if reading.verdict == BETTER]
        if better:
            words = self.words(better[0])
            reached = f"{better[0].completeness:.2f} instead of {given.completeness:.2f}"
            return f"ImTransOpt or the sign of OmegaStep is wrong: {words} reaches a completeness of {reached}"
        if given.completeness < CONVINCING:
            return f"the given reading reaches a completeness of {given.completeness:.2f} only: nothing can be told"
        counts = [sum(reading.verdict == verdict for reading in self.readings) for verdict in (ALIKE, EXCLUDED, OPEN)]
        left = f"; {counts[2]} others are not excluded" if counts[2] else ""
        return (
            f"image and sense of omega: the data exclude {counts[1]} of the 15 other readings{left}; {counts[0]} no "
            "data can tell from the given one, only the instrument can"
        )

    def words(self, reading: Reading) -> str:
        """A reading as lines of a parameter file."""
        setting = reading.setting
        image = f"ImTransOpt {' and '.join(map(str, setting.operations)) or '0'}"
        step = -self.omega_step if setting.reversed_omega else self.omega_step
        centre = "" if setting.beam_centre is None else ", BC {:.2f} {:.2f}".format(*setting.beam_centre)
        return f"{image}, OmegaStep {step:g}{centre}"

    def rows(self) -> list[tuple[str, str, str]]:
        """Setting, completeness and verdict of every reading."""
        return [(self.words(r), f"{r.completeness:.2f}", r.verdict) for r in self.readings]

    def text(self) -> str:
        """As a table."""
        rows = [("reading", "completeness", "verdict"), *self.rows()]
        width = max(len(row[0]) for row in rows)
        return "\n".join([self.sentence(), *(f"{a:<{width}}  {b:>12}  {c}" for a, b, c in rows)])


def certificate(layer: Layer, parameters: Parameters, threads: int) -> Certificate:
    """Index the strongest spots of the grains of a finished layer under every reading.

    Raises
    ------
    StageError : the layer has no spots to ask
    """
    evidence = Evidence(layer, parameters)
    if evidence.image is None or not len(evidence.spots):
        raise StageError("has no spots that could tell how the image lies", file=layer.folder)
    own = SPOT_MATRIX.read(layer.spot_matrix).integers("SpotID").tolist()
    return certificate_of(evidence, threads, own, read_grains(layer.grains).numbers(POSITION))


def certificate_of(
    evidence: Evidence, threads: int, own: Collection[int], grains: NDArray[np.float64] | None = None
) -> Certificate:
    """The same of a layer with spots.

    Parameters
    ----------
    own : ids of the spots of its grains; all spots if there are none
    grains : (g, 3) where these lie, µm
    """
    assert evidence.image is not None
    trial = Trial(evidence, threads, own, **_around(evidence, grains))
    trial.keep_strongest(_SEEDS)
    flips = compare_views(trial)
    centre = (evidence.detector.y_bc, evidence.detector.z_bc)
    given = flips.outcomes[AS_GIVEN].leading
    readings = []
    for view, outcome in flips.outcomes.items():
        reached, ahead = outcome.leading, outcome.leading - given
        for number, setting in enumerate(settings_of(view, evidence.image, centre, centre)):
            if view == AS_GIVEN:
                verdict = ALIKE if number else GIVEN
            elif view == flips.best:
                verdict = BETTER
            else:
                verdict = EXCLUDED if -ahead >= AHEAD and given >= CONVINCING else OPEN
            readings.append(Reading(setting, reached, verdict))
    return Certificate(tuple(readings), float(evidence.own["OmegaStep"]))


def _around(evidence: Evidence, grains: NDArray[np.float64] | None) -> dict[str, Value]:
    """The sample as large as the grains need it, also in its mirror images: a search costs the time that it is long."""
    assert evidence.handed_on is not None
    if grains is None or not len(grains):
        return {}
    p = evidence.handed_on.for_stage("diagnosis")
    radius, height = hypot(grains[:, 0], grains[:, 1]).max(), 2 * np.abs(grains[:, 2]).max()
    room = 2 * p["StepSizePos"]
    return {"Rsample": min(p["Rsample"], float(radius) + room), "Hbeam": min(p["Hbeam"], float(height) + room)}
