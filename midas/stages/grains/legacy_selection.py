"""The legacy selection: seeds that share spots and orientation are one grain (docs/theory/grains.md#clusters)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from midas._ext.grains.clusters import cluster, distinct
from midas.experiment.orientation import reduced
from midas.formats.grains import GrainIdsKey
from midas.formats.refined import LEAST_COMPLETENESS
from midas.parameters import Parameters
from midas.runtime.ragged import offsets_of
from midas.stages.grains.inputs import GrainInputs, checked_fits, quaternions
from midas.stages.grains.solutions import GrainSolutions
from midas.stages.grains.strays import explained

#: solutions of one grain: a seed among the matched spots of the other, orientations closer than this (degrees)
CLUSTER_ANGLE = 0.4
#: grains closer than both of these are one
DUPLICATE_ANGLE, DUPLICATE_DISTANCE = 0.1, 5.0
#: internal angles that differ by less, relatively, are equal: converged solutions agree to rounding only
TIE = 1e-6


def select(
    inputs: GrainInputs,
    parameters: Parameters,
    solved: NDArray[np.bool_],
    operators: NDArray[np.float64],
    track: bool,
) -> GrainSolutions:
    """The grains, and the groups of seeds that they come from, the best of each in front."""
    if track:
        members = np.flatnonzero(solved)
        starts = np.arange(len(members) + 1, dtype=np.int64)
    else:
        starts, members = _clusters(inputs, parameters, solved, operators)
    starts, members = _best_first(inputs, starts, members)
    rows = members[starts[:-1]]
    if not track:
        rows = rows[_distinct(inputs, rows, operators)]
    rows = rows[inputs.refined.column("completeness")[rows] >= LEAST_COMPLETENESS]
    return _solutions(inputs, parameters, rows, GrainIdsKey(starts, inputs.seeds[members], members.astype(np.int64)))


def tracked_rows(inputs: GrainInputs, solved: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The rows that are grains where every solution is one."""
    return np.flatnonzero(solved & (inputs.refined.column("completeness") >= LEAST_COMPLETENESS))


def _solutions(
    inputs: GrainInputs, parameters: Parameters, rows: NDArray[np.int64], key: GrainIdsKey
) -> GrainSolutions:
    """The grains as the refinement left their seeds."""
    refined = inputs.refined
    counts = np.diff(refined.offsets)[rows]
    fitted = checked_fits(inputs, rows)
    offsets = offsets_of(counts)
    # The methods that repeat the legacy sequence use every spot, as it did.
    joint = parameters["RefineMethod"] == "joint"
    counted = explained(offsets, fitted["diff_pos"], parameters.get("px")) if joint else np.ones(len(fitted), bool)
    names = ("orientation", "position", "cell", "diff_pos", "diff_ome", "diff_angle", "grain_radius", "completeness")
    return GrainSolutions(
        ids=inputs.seeds[rows],
        **{name: refined.column(name)[rows] for name in names},
        offsets=offsets,
        spots=fitted["spot_id"].astype(np.int64),
        y_centred=np.ascontiguousarray(fitted["y_centred"]),
        z_centred=np.ascontiguousarray(fitted["z_centred"]),
        normals=np.ascontiguousarray(fitted["g_observed"]),
        counted=counted,
        key=key,
    )


def _clusters(
    inputs: GrainInputs, parameters: Parameters, solved: NDArray[np.bool_], operators: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Groups of at least MinNrSpots solutions: ``members[starts[k] : starts[k + 1]]``, in order of visit."""
    refined, twins = inputs.refined, bool(parameters["Twins"])
    rotations = quaternions(refined, slice(None))
    if twins:
        rotations = reduced(rotations, operators)
    starts, members = cluster(
        inputs.seeds,
        solved.astype(np.uint8),
        refined.offsets,
        refined.spot_ids,
        np.ascontiguousarray(rotations),
        operators,
        CLUSTER_ANGLE,
        twins,
    )
    sizes = np.diff(starts)
    enough = sizes >= parameters["MinNrSpots"]
    return offsets_of(sizes[enough]), members[np.repeat(enough, sizes)]


def _best_first(
    inputs: GrainInputs, starts: NDArray[np.int64], members: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The groups with the best member of each moved to its front.

    Best is the smallest internal angle; of those within `TIE` of it the highest completeness, then the smaller seed id,
    then the lower row.
    """
    if not len(members):
        return starts, members
    group = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    angle = inputs.refined.column("diff_angle")[members]
    contenders = angle <= np.minimum.reduceat(angle, starts[:-1])[group] * (1 + TIE)
    completeness = inputs.refined.column("completeness")[members]
    order = np.lexsort((members, inputs.seeds[members], -completeness, ~contenders, group))
    rank = np.ones(len(members), np.int64)
    rank[order[starts[:-1]]] = 0
    return starts, members[np.lexsort((rank, group))]


def _distinct(inputs: GrainInputs, rows: NDArray[np.int64], operators: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which representatives are no near-duplicates of an earlier one."""
    _, keys = np.unique(inputs.seeds[rows], return_inverse=True)
    positions = np.ascontiguousarray(inputs.refined.column("position")[rows])
    rotations = np.ascontiguousarray(quaternions(inputs.refined, rows))
    return distinct(keys.astype(np.int64), positions, rotations, operators, DUPLICATE_ANGLE, DUPLICATE_DISTANCE)
