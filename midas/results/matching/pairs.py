"""Which grains of two states, or of neighbouring layers, are the same crystal (docs/theory/matching.md)."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from midas.experiment.orientation import misorientation, symmetry_operators
from midas.formats.matched import QUATERNION, SET_POSITION, Matches
from midas.formats.table import Table
from midas.results.matching.assignment import assign

log = logging.getLogger(__name__)

#: cost that MatchGrains gives to pairs of too different size; it pairs them all the same when nothing else is left
LEGACY_REJECTED = 100000.0
_PAIRS_AT_ONCE = 1_000_000


def misorientations_of_all(
    first: Table, second: Table, space_group: int, cell: Sequence[float] | None = None
) -> NDArray[np.float64]:
    """(n1, n2) misorientation of every pair of grains, degrees; the cell tells the setting."""
    operators = symmetry_operators(space_group, cell)
    one, two = first.numbers(QUATERNION), second.numbers(QUATERNION)
    out = np.empty((len(one), len(two)))
    block = max(1, _PAIRS_AT_ONCE // max(1, len(two)))
    for start in range(0, len(one), block):
        rows = slice(start, start + block)
        out[rows] = misorientation(one[rows, None], two[None], operators)
    return out


def compute_cost_matrix(
    first: Table,
    second: Table,
    space_group: int,
    mode: str = "combined",
    weights: tuple[float, float] = (1.0, 1.0),
    ref_misorientation: float = 0.0,
    *,
    cell: Sequence[float] | None = None,
    max_misorientation: float = np.inf,
    max_distance: float = np.inf,
) -> NDArray[np.float64]:
    """How badly grains of two states fit together.

    Parameters
    ----------
    first, second : grains, see `midas.results.matching.sets.aggregate_grains`
    space_group, cell : the symmetry of the lattice makes orientations equal; the cell (Å, degrees) tells the setting,
        which without one is the standard setting
    mode : "orientation": the misorientation's difference from `ref_misorientation` (degrees), "position": the distance
        (µm), "combined": the sum of both, each divided by its weight
    weights : misorientation (degrees) and distance (µm) that count the same
    max_misorientation, max_distance : beyond these a pair costs infinity; the former is of the difference from
        `ref_misorientation`, too

    Returns
    -------
    (n1, n2)
    """
    apart: NDArray[np.float64] = cdist(first.numbers(SET_POSITION), second.numbers(SET_POSITION))
    if mode == "position" and max_misorientation == np.inf:
        return np.where(apart <= max_distance, apart, np.inf)
    turned = np.abs(misorientations_of_all(first, second, space_group, cell) - ref_misorientation)
    excluded = (apart > max_distance) | (turned > max_misorientation)
    cost = {"orientation": turned, "position": apart}.get(mode)
    if cost is None:
        cost = turned / weights[0] + apart / weights[1]
    cost[excluded] = np.inf
    return cost


def differing_sizes(reference: Table, other: Table, percent: float) -> NDArray[np.bool_]:
    """(n, m) whether the sizes of grains differ by more than a part of the reference's; 0 percent: none do."""
    one, two = reference["GrainSize"][:, None], other["GrainSize"]
    if percent == 0:
        return np.zeros((len(one), len(two)), bool)
    return np.abs(one - two) > one * 0.01 * percent


def match_grains(cost: NDArray[np.float64], remove_duplicates: bool = True) -> NDArray[np.intp]:
    """Pairs of grains of least total cost; those of infinite cost are none.

    Parameters
    ----------
    cost : (n1, n2), not negative
    remove_duplicates : every grain in one pair at most: as many pairs as possible, and of those the ones of least sum;
        else for every grain of the second state the cheapest of the first (the first of equals)

    Returns
    -------
    (k, 2) rows and columns; in order of the rows, or of the columns without `remove_duplicates`.
    """
    if not cost.size:
        return np.empty((0, 2), np.intp)
    if remove_duplicates:
        possible = np.isfinite(cost)
        if not possible.all():
            rows, columns = np.nonzero(possible)
            chosen = assign(rows, columns, cost[rows, columns], cost.shape)
            return np.column_stack([rows[chosen], columns[chosen]]).astype(np.intp)
        rows, columns = linear_sum_assignment(cost)
    else:
        columns = np.arange(cost.shape[1])
        rows = np.argmin(cost, axis=0)
    kept = np.isfinite(cost[rows, columns])
    return np.column_stack([rows[kept], columns[kept]]).astype(np.intp)


def match_greedily(cost: NDArray[np.float64], remove_duplicates: bool = True) -> NDArray[np.intp]:
    """Pairs as MatchGrains chooses them: the cheapest pair of all, then the cheapest of what is left, and so on.

    Of equal ones the lower row, then the lower column. In order of the cost; without `remove_duplicates` as
    `match_grains`.
    """
    if not remove_duplicates or not cost.size:
        return match_grains(cost, remove_duplicates)
    order = np.argsort(cost, axis=None, kind="stable")
    free_rows, free_columns = (np.ones(n, bool) for n in cost.shape)
    pairs: list[tuple[int, int]] = []
    for start in range(0, len(order), _PAIRS_AT_ONCE):
        rows, columns = np.unravel_index(order[start : start + _PAIRS_AT_ONCE], cost.shape)
        free = free_rows[rows] & free_columns[columns] & np.isfinite(cost[rows, columns])
        for i, j in zip(rows[free].tolist(), columns[free].tolist(), strict=True):
            if free_rows[i] and free_columns[j]:
                free_rows[i] = free_columns[j] = False
                pairs.append((i, j))
        if len(pairs) == min(cost.shape):
            break
    return np.array(pairs, np.intp).reshape(-1, 2)


def matches(
    first: Table,
    second: Table,
    pairs: NDArray[np.intp],
    costs: NDArray[np.float64],
    space_group: int,
    cell: Sequence[float] | None = None,
) -> Matches:
    """The pairs with what the tables say about them."""
    one, two = (state.numbers(QUATERNION)[pairs[:, side]] for side, state in enumerate((first, second)))
    angles = misorientation(one, two, symmetry_operators(space_group, cell))
    return Matches(first, second, pairs, costs, angles)


def stitch_layers(
    grains: Table,
    space_group: int,
    misorientation_tol: float = 0.5,
    position_tol: float = 50.0,
    cell: Sequence[float] | None = None,
) -> Table:
    """One list of the grains of several layers, in which a grain that several layers saw stands once.

    From the first grain on, each takes in the later ones of other layers, one after the other, that lie within both
    tolerances; each time its position becomes the mean of both. Everything else stays that of the first one.

    Parameters
    ----------
    grains : of all layers in one frame, see `midas.results.matching.sets.aggregate_grains`
    misorientation_tol : degrees; a grain belongs to another one below it
    position_tol : µm; up to this distance
    cell : tells the setting of the space group; without one the standard setting

    Returns
    -------
    The grains that are left, with the numbers, layers and ids of the first of each.
    """
    grains = Table(grains.names, grains.columns.copy())
    operators = symmetry_operators(space_group, cell)
    positions, quaternions = grains.numbers(SET_POSITION), grains.numbers(QUATERNION)
    layers = grains.integers("LayerNr")
    tree = cKDTree(positions) if len(grains) else None
    merged = np.zeros(len(grains), bool)
    for i in range(len(grains)):
        last = i
        while not merged[i] and tree is not None:
            # Later grains have not moved yet: the tree holds where they are.
            near = np.array(tree.query_ball_point(positions[i], position_tol * (1 + 1e-9)), np.intp)
            near = np.sort(near[(near > last) & ~merged[near] & (layers[near] != layers[i])])
            near = near[np.linalg.norm(positions[near] - positions[i], axis=1) <= position_tol]
            near = near[misorientation(quaternions[i], quaternions[near], operators) < misorientation_tol]
            if not len(near):
                break
            last = int(near[0])
            merged[last] = True
            positions[i] = (positions[i] + positions[last]) / 2
    for name, values in zip(SET_POSITION, positions.T, strict=True):
        grains[name][:] = values
    log.info("%d grains of %d layers are %d grains", len(grains), len(np.unique(layers)), np.count_nonzero(~merged))
    return grains.take(~merged)
