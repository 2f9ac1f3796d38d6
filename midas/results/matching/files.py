"""Matching and stitching from grain lists to tables: what ``ff-match``, ``ff-stitch`` and ``MatchGrains`` do.

See docs/theory/matching.md.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from midas.experiment.crystal import why_impossible
from midas.experiment.setting import axes_vary
from midas.formats.matched import GRAIN_SET, Matches, write_legacy_matches, write_matches
from midas.formats.table import Table
from midas.results.matching.limited import limited, match_limited
from midas.results.matching.options import MODES, MatchOptions, StitchOptions
from midas.results.matching.pairs import (
    LEGACY_REJECTED,
    compute_cost_matrix,
    differing_sizes,
    match_grains,
    match_greedily,
    matches,
    stitch_layers,
)
from midas.results.matching.sets import (
    aggregate_grains,
    cell_of,
    files_of,
    fit_affine_from_points,
    inverse_affine,
    read_offset_table,
    read_points,
    read_state_list,
)
from midas.runtime.errors import FormatError, UsageError
from midas.runtime.files import keep_inputs
from midas.runtime.result import StageResult

log = logging.getLogger(__name__)


def match(options: MatchOptions) -> StageResult[Matches]:
    """Match two states and write the table of pairs.

    Raises
    ------
    UsageError : something needed was not given. FormatError : a grain list or table that cannot be used.
    """
    _check({"--state1": options.state1, "--state2": options.state2, "--space-group": options.space_group})
    points = (options.offset_table, *options.affine_from_points)
    keep_inputs(options.output, *files_of((*options.state1, *options.state2)), *points)
    space_group = options.space_group or 0
    if min(options.weights) <= 0:
        raise UsageError("must be greater than 0", key="--weights", value=" ".join(map(str, options.weights)))
    if options.size_filter < 0:
        raise UsageError("must not be negative", key="--size-filter", value=options.size_filter)
    offsets = read_offset_table(options.offset_table) if options.offset_table else None
    first = aggregate_grains(options.state1, options.beam_thickness)
    second = aggregate_grains(options.state2, options.beam_thickness, options.offset, offsets, _affine(options))
    cell = _cell(options.state1, space_group, options.lattice)
    if limited(options):
        pairs, costs = match_limited(first, second, options, space_group, cell)
    else:
        pairs, costs = _among_all(first, second, options, space_group, cell)
    found = matches(first, second, pairs, costs, space_group, cell)
    write_matches(options.output, found)
    return StageResult("match", _summary(found), found)


def _among_all(
    first: Table, second: Table, options: MatchOptions, space_group: int, cell: Sequence[float] | None
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Pairs and their costs where any two grains may be one."""
    cost = compute_cost_matrix(
        first,
        second,
        space_group,
        options.mode,
        options.weights,
        options.ref_misorientation,
        cell=cell,
        max_misorientation=_limit(options.max_misorientation),
        max_distance=_limit(options.max_distance),
    )
    cost[differing_sizes(first, second, options.size_filter) & (first["GrainSize"][:, None] > 0)] = np.inf
    cost[cost > _limit(options.max_cost)] = np.inf
    pairs = match_grains(cost, not options.keep_duplicates)
    return pairs, cost[pairs[:, 0], pairs[:, 1]]


def stitch(options: StitchOptions) -> StageResult[Table]:
    """Join the grains of several layers and write the table."""
    needed = {"--layers": options.layers, "--space-group": options.space_group}
    _check({**needed, "--beam-thickness": options.beam_thickness})
    keep_inputs(options.output, *files_of(options.layers))
    grains = aggregate_grains(options.layers, options.beam_thickness or 0.0)
    space_group = options.space_group or 0
    cell = _cell(options.layers, space_group, options.lattice)
    stitched = stitch_layers(grains, space_group, options.misorientation_tol, options.position_tol, cell)
    GRAIN_SET.write(options.output, stitched)
    rows = {"Grains of all layers": len(grains), "Grains after stitching": len(stitched)}
    return StageResult("stitch", rows, stitched)


@dataclass(frozen=True)
class LegacyMatch:
    """The arguments of ``MatchGrains``; the mode is 0 (orientation), 1 (position) or 2 (both)."""

    output: Path
    state1: Path
    state2: Path
    space_group: int
    offset: tuple[float, float, float]
    mode: int
    beam_thickness: tuple[float, float]
    remove_duplicates: bool
    size_filter: float
    weights: tuple[float, float]
    reference: float
    max_cost: float | None = None


def match_legacy(options: LegacyMatch) -> StageResult[Matches]:
    """Match two states as ``MatchGrains`` does and write its table."""
    states = read_state_list(options.state1), read_state_list(options.state2)
    keep_inputs(options.output, options.state1, options.state2, *files_of((*states[0], *states[1])))
    first = aggregate_grains(states[0], options.beam_thickness[0])
    second = aggregate_grains(states[1], options.beam_thickness[1], options.offset)
    mode = MODES[options.mode]
    cell = _cell(states[0], options.space_group, None)
    cost = compute_cost_matrix(first, second, options.space_group, mode, options.weights, options.reference, cell=cell)
    cost[differing_sizes(second, first, options.size_filter).T] = LEGACY_REJECTED
    cost[cost > _limit(options.max_cost)] = np.inf
    pairs = match_greedily(cost, options.remove_duplicates)
    found = matches(first, second, pairs, cost[pairs[:, 0], pairs[:, 1]], options.space_group, cell)
    write_legacy_matches(options.output, found)
    return StageResult("match", _summary(found), found)


def _cell(files: Sequence[str | Path], space_group: int, given: tuple[float, ...] | None) -> tuple[float, ...] | None:
    """The cell that tells the axes of the space group: the one that is given, else that of the first file."""
    if given is not None and (reason := why_impossible(given)):
        raise UsageError(reason, key="--lattice", value=" ".join(map(str, given)))
    cell = given or cell_of(files[0])
    if cell is None and axes_vary(space_group):
        log.warning("%s does not say its cell: standard axes of space group %d (--lattice)", files[0], space_group)
    return cell


def _summary(found: Matches) -> dict[str, object]:
    rows: dict[str, object] = {
        "Grains of state 1": len(found.first),
        "Grains of state 2": len(found.second),
        "Pairs": len(found.pairs),
    }
    if len(found.pairs):
        rows["Misorientation, median"] = f"{np.median(found.misorientation):.4f} degrees"
        rows["Distance, median"] = f"{np.median(np.linalg.norm(found.difference, axis=1)):.2f} µm"
    return rows


def _limit(value: float | None) -> float:
    return np.inf if value is None else value


def _check(given: dict[str, object]) -> None:
    for name, value in given.items():
        if value is None or value == ():
            raise UsageError("is required", key=name)


def _affine(options: MatchOptions) -> NDArray[np.float64] | None:
    if options.affine is not None:
        return _as_matrix(options.affine)
    if not options.affine_from_points:
        return None
    reference, deformed = (Path(name) for name in options.affine_from_points)
    try:
        return inverse_affine(fit_affine_from_points(read_points(reference), read_points(deformed)))
    except ValueError as error:
        raise FormatError(str(error), file=deformed, key="--affine-from-points") from None


def _as_matrix(numbers: Sequence[float]) -> NDArray[np.float64]:
    matrix = np.array(numbers, float).reshape(3, 4)
    apart = np.array(numbers[:9], float).reshape(3, 3)
    if not 0.5 < np.linalg.det(matrix[:, :3]) < 2 and 0.5 < np.linalg.det(apart) < 2:
        log.warning("--affine: is read row by row as [A | t]; the numbers look like A, then t")
    return matrix
