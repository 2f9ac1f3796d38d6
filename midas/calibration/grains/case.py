"""Spots, conventions and what may be free: what every fit of a geometry from grains has in common."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from midas.calibration.grains.classes import Classes
from midas.calibration.grains.gauge import Convention
from midas.calibration.grains.joint import ENOUGH, Fit, Problem, fit
from midas.calibration.grains.observed import Spots
from midas.calibration.grains.state import AT, WORDS, Free, State
from midas.experiment.detector import DetectorGeometry

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Measurement:
    """Grains that are seen by one detector or several, and all that is known of them.

    Parameters
    ----------
    detectors : the instruments at the start; their wavelengths are known
    cell : (6,) of the unstrained crystal
    space_group : its number, or 0
    ids : (g, d) int64, of each grain in each layer
    ub, positions : (g, 3, 3), (g, 3) at the start
    volume : (g,) relative
    spots : of the grains
    tables : of each detector all spots, assigned or not
    hkls, hkl_rings : of each detector the reflections of the rings in use
    panels : of each detector the number of its panels
    step : of omega, degrees
    range : of omega that is covered, degrees
    sentences : what was left out, for the user
    """

    detectors: tuple[DetectorGeometry, ...]
    cell: Array
    ids: NDArray[np.int64]
    ub: Array
    positions: Array
    volume: Array
    spots: Spots
    tables: tuple[Spots, ...]
    hkls: tuple[Array, ...]
    hkl_rings: tuple[NDArray[np.int64], ...]
    panels: tuple[int, ...]
    step: float
    range: float
    sentences: tuple[str, ...] = ()

    def panel_list(self) -> tuple[tuple[int, bool], ...]:
        """Detector of each panel, and whether its shifts can be free.

        All panels of a detector together are its beam centre, so that the one with the most spots stays; one with
        hardly any spots does, too.
        """
        out: list[tuple[int, bool]] = []
        for d, count in enumerate(self.panels):
            first = len(out)
            spots = np.bincount(self.spots.panel[self.spots.panel >= 0], minlength=first + count)[first : first + count]
            best = int(spots.argmax()) if count else 0
            out += [(d, p != best and bool(spots[p] >= _SPOTS_ON_PANEL)) for p in range(count)]
        return tuple(out)


#: spots that a panel needs before its shifts are free
_SPOTS_ON_PANEL = 10


@dataclass(frozen=True)
class Case:
    """A measurement as fits see it.

    Parameters
    ----------
    spots, classes : in the same order
    grains, detectors : their numbers
    convention : of what the spots cannot tell
    shared : names of numbers that all detectors have in common
    panels : see `Measurement.panel_list`
    held : names of numbers that are not to be free
    threads, iterations : of a fit
    """

    spots: Spots
    classes: Classes
    grains: int
    detectors: int
    convention: Convention
    shared: tuple[str, ...] = ("Wedge",)
    panels: tuple[tuple[int, bool], ...] = ()
    held: frozenset[str] = frozenset()
    threads: int = 1
    iterations: int = 40

    def free(self, wanted: Collection[str]) -> Free:
        """The columns of these numbers."""
        return Free.of(wanted, self.detectors, self.shared, self.panels, self.held)

    def problem(self, rows: Mask | None = None) -> Problem:
        """The spots, or some of them, for a fit."""
        spots, classes = self.spots, self.classes
        if rows is not None:
            spots, classes = spots.take(rows), classes.take(rows)
        return Problem(spots.kernel(self.grains), classes, self.convention, self.threads)

    def fit(self, state: State, wanted: Collection[str], rows: Mask | None = None, enough: float = ENOUGH) -> Fit:
        """Grains and these numbers, from all spots or some, until the cost falls by less than a part `enough`."""
        return fit(self.problem(rows), state, self.free(wanted), self.iterations, enough)

    def holding(self, names: Collection[str]) -> Case:
        """With some more numbers held."""
        return replace(self, held=self.held | set(names))

    def of_grains(self, kept: Mask, state: State) -> Case:
        """Some of the grains of a state, whose mean height is to stay what it is."""
        convention = self.convention.take(kept)
        height = float(convention.volume @ state.positions[kept, 2] / convention.volume.sum())
        rows = kept[self.spots.grain]
        return replace(
            self,
            spots=self.spots.of_grains(kept),
            classes=self.classes.take(rows),
            grains=int(kept.sum()),
            convention=replace(convention, height=height),
        )


def start_of(measurement: Measurement, numbers: Array) -> State:
    """The state that the layers describe."""
    shifts = np.zeros((sum(measurement.panels), 2))
    return State(numbers, shifts, measurement.ub.copy(), measurement.positions.copy())


def put_back(state: State, start: State, names: Collection[str], like: Free) -> State:
    """A state in which some numbers, as named by `Free`, are those of another one."""
    numbers, shifts = state.numbers.copy(), state.shifts.copy()
    for d in range(len(numbers)):
        for name, column in like.of_instrument(d):
            if like.names[column] in names:
                numbers[d, AT[name]] = start.numbers[d, AT[name]]
    for p, column in enumerate(like.panel_columns):
        if column >= 0 and like.names[column] in names:
            shifts[p] = start.shifts[p]
    return replace(state, numbers=numbers, shifts=shifts)


def names_of(words: Sequence[str]) -> tuple[str, ...]:
    """Numbers behind words."""
    return tuple(name for word in words for name in WORDS[word])
