"""Tables of matched and of stitched grains (docs/formats.md#matched-grains)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas.formats.table import Layout, Table, fixed, integer
from midas.runtime.files import write_atomic

QUATERNION = ("Q0", "Q1", "Q2", "Q3")
_ORIENTATION = tuple(f"O{i}" for i in range(9))

#: grains of several files as one list, with its own numbers, that of the file and the id there; stitching writes it
GRAIN_SET = Layout(
    header="\t".join(("UniqueID", "LayerNr", "OrigGrainID", *_ORIENTATION, "X", "Y", "Z", "GrainSize", *QUATERNION)),
    columns=(
        *map(integer, ("UniqueID", "LayerNr", "OrigGrainID")),
        *fixed(" ".join((*_ORIENTATION, "X", "Y", "Z", "GrainSize", *QUATERNION))),
    ),
    separator="\t",
    written_by="ff-stitch",
)
SET_ORIENTATION, SET_POSITION = _ORIENTATION, ("X", "Y", "Z")
IDS = ("UniqueID", "LayerNr", "OrigGrainID")

_MATCHED_HEADER = "\t".join(
    [
        *(f"{name}State{state}" for state in (1, 2) for name in ("UniqueID", "Layer", "OrigID")),
        *(f"Quat{i}State{state}" for state in (1, 2) for i in range(4)),
        *(f"{axis}State{state}" for state in (1, 2) for axis in "XYZ"),
        *("GrainSize1", "GrainSize2", "CostValue", "MisorientAngle", "dX", "dY", "dZ", "EuclideanDist"),
    ]
)
_LEGACY_HEADER = "%" + "\t".join(
    [
        *(f"{name}State{state}" for state in (2, 1) for name in ("NewID", "FNr", "OrigID")),
        *(f"Quat{i}State{state}" for state in (2, 1) for i in range(4)),
        *(f"Pos{i}State{state}" for state in (2, 1) for i in range(3)),
        *("GrainSize1", "GrainSize2", "selectionCriteriaVal", "minAngle", "diffPosX", "diffPosY", "diffPosZ"),
        "EuclideanDistt",
    ]
)


@dataclass(frozen=True)
class Matches:
    """Pairs of grains of two states.

    Parameters
    ----------
    first, second : the grains of either state, in the layout of `GRAIN_SET`
    pairs : (k, 2) rows of `first` and `second`, in the order of the file
    cost : (k,) by which they were chosen
    misorientation : (k,) degrees
    """

    first: Table
    second: Table
    pairs: NDArray[np.intp]
    cost: NDArray[np.float64]
    misorientation: NDArray[np.float64]

    @property
    def difference(self) -> NDArray[np.float64]:
        """(k, 3) position in state 1 minus position in state 2, µm."""
        one, two = (state.numbers(SET_POSITION) for state in (self.first, self.second))
        return one[self.pairs[:, 0]] - two[self.pairs[:, 1]]

    def unmatched(self, state: int) -> NDArray[np.intp]:
        """Rows of the grains of state 0 or 1 (the first or the second) that are in no pair."""
        count = len((self.first, self.second)[state])
        return np.setdiff1d(np.arange(count), self.pairs[:, state])


def write_matches(path: str | os.PathLike[str], matches: Matches) -> None:
    """The table of ``match_grains.py match``: pairs, then the grains of state 1 alone, then those of state 2 alone."""
    sides = [_side(matches.first, 4), _side(matches.second, 4)]
    measures = _measures(matches, matches.difference, position=4)
    rows = [
        *(_joined(sides[0][i], sides[1][j], m) for (i, j), m in zip(matches.pairs, measures, strict=True)),
        *(_joined(sides[0][i], _NOBODY, _NOTHING) for i in matches.unmatched(0)),
        *(_joined(_NOBODY, sides[1][j], _NOTHING) for j in matches.unmatched(1)),
    ]
    _write(path, _MATCHED_HEADER, rows)


def write_legacy_matches(path: str | os.PathLike[str], matches: Matches) -> None:
    """The table of ``MatchGrains``: state 2 first, state 2 minus state 1, numbers from 0; single grains by ids."""
    sides = [_side(matches.first, 6, base=0), _side(matches.second, 6, base=0)]
    measures = _measures(matches, -matches.difference, position=6)
    rows = []
    for (i, j), measure in zip(matches.pairs, measures, strict=True):
        one, two = sides[0][i], sides[1][j]
        parts = (two.ids, one.ids, two.quaternion, one.quaternion, two.position, one.position, one.size, two.size)
        rows.append([word for part in (*parts, measure) for word in part])
    rows += [["0"] * 3 + sides[0][i].ids + ["0"] * 22 for i in matches.unmatched(0)]
    rows += [sides[1][j].ids + ["0"] * 25 for j in matches.unmatched(1)]
    _write(path, _LEGACY_HEADER, rows)


@dataclass(frozen=True)
class _Side:
    """One grain as text."""

    ids: list[str]
    quaternion: list[str]
    position: list[str]
    size: list[str]


_NOBODY = _Side(["0"] * 3, ["0"] * 4, ["0"] * 3, ["0"])
_NOTHING = ["0"] * 6


def _side(state: Table, decimals: int, base: int = 1) -> list[_Side]:
    """The grains of a state; their own numbers count from `base`."""
    ids = state.numbers(IDS).astype(np.int64) - [1 - base, 0, 0]
    return [
        _Side([str(n) for n in i], _text(q, 6), _text(p, decimals), _text([s], decimals))
        for i, q, p, s in zip(
            ids.tolist(),
            *(state.numbers(QUATERNION), state.numbers(SET_POSITION), state["GrainSize"]),
            strict=True,
        )
    ]


def _measures(matches: Matches, difference: NDArray[np.float64], position: int) -> list[list[str]]:
    """Cost, misorientation, difference and distance of every pair; `position` decimals for the lengths."""
    distance = np.linalg.norm(difference, axis=1)
    return [
        [*_text([c, m], 6), *_text([*d, length], position)]
        for c, m, d, length in zip(matches.cost, matches.misorientation, difference, distance, strict=True)
    ]


def _joined(one: _Side, two: _Side, measure: list[str]) -> list[str]:
    parts = (one.ids, two.ids, one.quaternion, two.quaternion, one.position, two.position, one.size, two.size, measure)
    return [word for part in parts for word in part]


def _text(numbers: Iterable[float], decimals: int) -> list[str]:
    return [f"{number:.{decimals}f}" for number in numbers]


def _write(path: str | os.PathLike[str], header: str, rows: Sequence[Sequence[str]]) -> None:
    lines = [header, *("\t".join(row) for row in rows)]
    write_atomic(path, "".join(f"{line}\n" for line in lines).encode())
