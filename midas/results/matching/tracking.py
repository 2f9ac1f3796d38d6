"""The same grains through a series of steps (docs/theory/matching.md#series)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas.results.matching.candidates import Snapshot
from midas.results.matching.linking import Links, link
from midas.results.matching.motion import Motion, find_motion

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
log = logging.getLogger(__name__)

#: what is the case with a track in a step: nothing; its grain is there for the first time in the series' first step or
#: later; it was there in the step before; it was missing in between; it is not there; the data do not say which it is;
#: it begins with a grain of which the data do not say whose it is
ABSENT, FIRST, NEW, LINKED, RETURNED, LOST, AMBIGUOUS, UNDECIDED = range(8)
STATES = ("absent", "first", "new", "linked", "returned", "lost", "ambiguous", "undecided")
#: states in which there is a grain
SEEN = (FIRST, NEW, LINKED, RETURNED, UNDECIDED)


@dataclass(frozen=True)
class Doubt:
    """A choice that the data leave open.

    Parameters
    ----------
    step : the later one
    track : whose grain it could be
    row : of the grain in the step
    """

    step: int
    track: int
    row: int


@dataclass(frozen=True)
class Series:
    """Grains through steps: t tracks, s steps.

    Parameters
    ----------
    rows : (t, s) row of the grain in each step, -1 where there is none
    states : (t, s) of `STATES`
    squares, margin : (t, s) of the link from the step before, see `Links`; NaN where there is none
    expected_positions : (t, s, 3) where each grain should be: by the motion alone, from where it was seen last; NaN
        before it was ever seen
    motions : (s - 1) between the steps
    doubts : in the order of the steps
    """

    rows: Indices
    states: NDArray[np.int64]
    squares: Floats
    margin: Floats
    expected_positions: Floats
    motions: tuple[Motion, ...]
    doubts: tuple[Doubt, ...]

    @property
    def steps(self) -> int:
        return int(self.rows.shape[1])

    def count(self, step: int, *states: int) -> int:
        """Tracks that are in one of these states in a step."""
        return int(np.isin(self.states[:, step], states).sum())


@dataclass
class _Track:
    """A track while the series is followed."""

    seen: int
    rows: dict[int, int]
    states: dict[int, int]
    squares: dict[int, float]
    margin: dict[int, float]
    expected: dict[int, Floats]
    open: bool = True


def track(steps: Sequence[Snapshot], operators: Floats, max_rotation: float = 10.0) -> Series:
    """Follow every grain through the steps.

    A grain that is lost moves on with the sample and is looked for in the later steps, too. One of which the data do
    not say which grain of the next step it is ends there, and the grains that it could be begin tracks of their own.

    Parameters
    ----------
    steps : the grains of each
    operators : (s, 4) symmetry
    max_rotation : largest rotation from step to step that is looked for, degrees
    """
    tracks = [_started(0, row, FIRST) for row in range(len(steps[0]))]
    place: dict[int, int] = dict(enumerate(range(len(tracks))))  # rows of `active` to tracks
    active = steps[0]
    motions: list[Motion] = []
    doubts: list[Doubt] = []
    for number in range(1, len(steps)):
        before = np.array([tracks[place[i]].seen == number - 1 for i in range(len(active))], bool)
        motion = find_motion(active.take(np.flatnonzero(before)), steps[number], operators, max_rotation)
        motions.append(motion)
        if motion.agreeing == 0 and len(active) and len(steps[number]):
            log.warning("steps %d and %d: too few grains agree on a motion; none is assumed", number, number + 1)
        expected = motion.after(active)
        ages = np.array([number - tracks[place[i]].seen for i in range(len(active))], float)
        links = link(expected, steps[number], operators, motion, ages)
        doubts += _entered(tracks, place, expected, links, number, len(steps[number]))
        active, place = _continued(tracks, place, expected, steps[number], number)
    return _series(tracks, len(steps), motions, doubts)


def _started(step: int, row: int, state: int) -> _Track:
    return _Track(step, {step: row}, {step: state}, {}, {}, {})


def _entered(
    tracks: list[_Track], place: dict[int, int], expected: Snapshot, links: Links, number: int, count: int
) -> list[Doubt]:
    """Write the links of a step into the tracks; grains that are nobody's begin new ones."""
    for i, row in place.items():
        tracks[row].states[number] = LOST
        tracks[row].expected[number] = expected.positions[i]
    taken = np.zeros(count, bool)
    for i, row, squares, margin in zip(
        *(values.tolist() for values in (links.first, links.second, links.squares, links.margin)), strict=True
    ):
        one = tracks[place[i]]
        one.states[number] = LINKED if one.seen == number - 1 else RETURNED
        one.seen, one.rows[number] = number, row
        one.squares[number], one.margin[number] = squares, margin
        taken[row] = True
    doubts = [Doubt(number, place[i], row) for i, row in links.doubtful.tolist()]
    for doubt in doubts:
        if tracks[doubt.track].seen != number:
            tracks[doubt.track].states[number] = AMBIGUOUS
            tracks[doubt.track].open = False
    undecided = {doubt.row for doubt in doubts}
    tracks += [_started(number, row, UNDECIDED if row in undecided else NEW) for row in np.flatnonzero(~taken).tolist()]
    return doubts


def _continued(
    tracks: list[_Track], place: dict[int, int], expected: Snapshot, found: Snapshot, number: int
) -> tuple[Snapshot, dict[int, int]]:
    """The grains that are looked for in the next step: those of this one, and the lost ones where they should be."""
    seen = [(one.rows[number], row) for row, one in enumerate(tracks) if one.seen == number]
    lost = [(i, row) for i, row in place.items() if tracks[row].seen != number and tracks[row].open]
    here = found.take(np.array([row for row, _ in seen], np.intp))
    gone = expected.take(np.array([i for i, _ in lost], np.intp))
    active = Snapshot(
        np.concatenate([here.quaternions, gone.quaternions]),
        np.concatenate([here.positions, gone.positions]),
        np.concatenate([here.log_radii, gone.log_radii]),
    )
    return active, dict(enumerate(row for _, row in [*seen, *lost]))


def _series(tracks: list[_Track], steps: int, motions: list[Motion], doubts: list[Doubt]) -> Series:
    shape = len(tracks), steps
    rows, states = np.full(shape, -1, np.intp), np.zeros(shape, np.int64)
    squares, margin = np.full(shape, np.nan), np.full(shape, np.nan)
    expected = np.full((*shape, 3), np.nan)
    for k, one in enumerate(tracks):
        for table, values in ((rows, one.rows), (states, one.states), (squares, one.squares), (margin, one.margin)):
            for step, value in values.items():
                table[k, step] = value
        for step, position in one.expected.items():
            expected[k, step] = position
    return Series(rows, states, squares, margin, expected, tuple(motions), tuple(doubts))
