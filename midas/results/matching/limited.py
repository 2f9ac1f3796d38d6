"""Pairs of two states where limits leave few that are possible: no table of all pairs (docs/theory/matching.md)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from midas.experiment.orientation import misorientation, symmetry_operators
from midas.formats.matched import QUATERNION, SET_POSITION
from midas.formats.table import Table
from midas.results.matching.assignment import assign
from midas.results.matching.candidates import Finder, Snapshot
from midas.results.matching.options import MatchOptions

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


def limited(options: MatchOptions) -> bool:
    """Whether few pairs are possible, and each grain has one partner."""
    some = options.max_misorientation is not None or options.max_distance is not None
    return some and not options.keep_duplicates


def match_limited(
    first: Table, second: Table, options: MatchOptions, space_group: int, cell: Sequence[float] | None
) -> tuple[Indices, Floats]:
    """As many pairs as are possible, and of those the ones of the least total cost.

    Returns
    -------
    (k, 2) rows, by those of the first state, and (k,) costs; as `match_grains` of `compute_cost_matrix`
    """
    operators = symmetry_operators(space_group, cell)
    rows, columns = _near(first, second, options, operators)
    one, two = (state.numbers(SET_POSITION)[which] for state, which in ((first, rows), (second, columns)))
    apart: Floats = np.linalg.norm(one - two, axis=1)
    one, two = (state.numbers(QUATERNION)[which] for state, which in ((first, rows), (second, columns)))
    turned = np.abs(misorientation(one, two, operators) - options.ref_misorientation)
    cost = {"orientation": turned, "position": apart}.get(options.mode)
    if cost is None:
        cost = turned / options.weights[0] + apart / options.weights[1]
    possible = _within(apart, options.max_distance) & _within(turned, options.max_misorientation)
    possible &= _within(cost, options.max_cost) & ~_of_other_size(first, second, rows, columns, options.size_filter)
    rows, columns, cost = rows[possible], columns[possible], cost[possible]
    chosen = assign(rows, columns, cost, (len(first), len(second)))
    return np.column_stack([rows[chosen], columns[chosen]]).astype(np.intp), cost[chosen]


def _near(first: Table, second: Table, options: MatchOptions, operators: Floats) -> tuple[Indices, Indices]:
    """Pairs among which are all those within the limits."""
    if not len(first) or not len(second):
        return np.empty(0, np.intp), np.empty(0, np.intp)
    if options.max_distance is not None:
        trees = [cKDTree(state.numbers(SET_POSITION)) for state in (first, second)]
        reach = max(options.max_distance, 0.0) * (1 + 1e-9) + 1e-9
        found = trees[0].sparse_distance_matrix(trees[1], reach, output_type="ndarray")
        return found["i"].astype(np.intp), found["j"].astype(np.intp)
    angle = min(options.ref_misorientation + (options.max_misorientation or 0.0) + 1e-6, 180.0)
    one, two = (
        Snapshot(state.numbers(QUATERNION), state.numbers(SET_POSITION), np.zeros(len(state)))
        for state in (first, second)
    )
    pairs = Finder(two, operators, max(angle, 1e-6)).candidates(one)
    return pairs.first, pairs.second


def _within(values: Floats, limit: float | None) -> NDArray[np.bool_]:
    return np.ones(len(values), bool) if limit is None else values <= limit


def _of_other_size(first: Table, second: Table, rows: Indices, columns: Indices, percent: float) -> NDArray[np.bool_]:
    """Whether radii differ by more than a part of that in the first state; one that is not known is no reason."""
    one, two = first["GrainSize"][rows], second["GrainSize"][columns]
    if percent == 0:
        return np.zeros(len(rows), bool)
    other: NDArray[np.bool_] = (np.abs(one - two) > one * 0.01 * percent) & (one > 0)
    return other
