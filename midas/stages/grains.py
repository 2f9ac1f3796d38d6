"""Grain list: one grain from the many seeds that found it, with its strain (docs/theory/grains.md)."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import lsq_linear

from midas._ext.grains.clusters import cluster, distinct
from midas._ext.grains.strain import fable_strain, kenesei_residuals, kenesei_strain, lattice_spacings
from midas.experiment import crystal
from midas.experiment.orientation import euler_angles, quaternions_from_matrices, reduced, symmetry_operators
from midas.formats.binary import numbers
from midas.formats.grains import (
    CELL,
    EULER_ANGLES,
    FABLE,
    GRAINS,
    KENESEI,
    ORIENTATION,
    POSITION,
    SPOT_MATRIX,
    GrainIdsKey,
    GrainsHeader,
)
from midas.formats.layer import Layer
from midas.formats.refined import LEAST_COMPLETENESS, RefinedSeeds
from midas.formats.table import Table
from midas.parameters import Parameters
from midas.runtime.errors import FormatError, StageError
from midas.runtime.files import atomic_outputs, remove
from midas.runtime.parallel import SERIAL, Communicator
from midas.runtime.result import StageResult
from midas.stages.explained_spots import explained
from midas.stages.grain_inputs import GrainInputs, read_inputs, sample_distance

log = logging.getLogger(__name__)

#: solutions of one grain: a seed among the matched spots of the other, orientations closer than this (degrees)
CLUSTER_ANGLE = 0.4
#: grains closer than both of these are one
DUPLICATE_ANGLE, DUPLICATE_DISTANCE = 0.1, 5.0
#: internal angles that differ by less, relatively, are equal: converged solutions agree to rounding only
TIE = 1e-6
#: largest size of a strain component
STRAIN_BOUND = 0.01
MICROSTRAIN = 1e6
#: beyond these a number of the refinement is none: of anything in a result, and of a rotation matrix
_LARGEST, _LARGEST_COSINE = 1e12, 2.0

#: place of each component of a tensor, row by row, among the six of `kenesei_strain`
_SYMMETRIC = [0, 3, 4, 3, 1, 5, 4, 5, 2]
#: columns of Grains.csv that are numbers of the refinement
_COPIED = {
    "DiffPos": "diff_pos",
    "DiffOme": "diff_ome",
    "DiffAngle": "diff_angle",
    "GrainRadius": "grain_radius",
    "Confidence": "completeness",
}
#: columns of SpotMatrix.csv that are columns of the spot table
_OF_SPOT = {
    "Omega": "omega_ideal",
    "DetectorHor": "y_recorded",
    "DetectorVert": "z_recorded",
    "OmeRaw": "omega_detector",
    "Eta": "eta",
    "RingNr": "ring",
    "YLab": "y_ideal",
    "ZLab": "z_ideal",
}


@dataclass(frozen=True)
class _Strains:
    """Strain of each grain, dimensionless, sample frame; spots grain after grain."""

    fable: NDArray[np.float64]
    kenesei: NDArray[np.float64]
    rms: NDArray[np.float64]
    residuals: NDArray[np.float64]


@dataclass(frozen=True)
class GrainTables:
    """What the stage writes: ``Grains.csv``, ``SpotMatrix.csv``, ``GrainIDsKey.csv``."""

    grains: Table
    spot_matrix: Table
    grain_ids_key: GrainIdsKey


def run(
    layer: Layer,
    parameters: Parameters,
    *,
    threads: int,
    comm: Communicator = SERIAL,
    track: bool = False,
    refined: RefinedSeeds | None = None,
    extra_info: Table | None = None,
    ids_hash: Table | None = None,
    hkls: Table | None = None,
) -> StageResult[GrainTables]:
    """Write ``GrainIDsKey.csv``, ``SpotMatrix.csv`` and ``Grains.csv``.

    Parameters
    ----------
    track : every solution is a grain of its own (a run with seed grains)
    refined, extra_info, ids_hash, hkls : inputs in memory, else read from the layer's files; the reflections are needed
        only where there is no ``IDsHash.csv``

    Returns
    -------
    StageResult whose data is `GrainTables`
    """
    if comm.rank:  # a matter of seconds on one core
        return comm.broadcast(None)
    begin = time.perf_counter()
    parameters = parameters.for_stage("grains")
    cell = crystal.possible_cell(parameters)
    operators = symmetry_operators(
        parameters["SpaceGroup"],
        cell,
        parameters["SpaceGroupSetting"],
        legacy=parameters["GrainMerging"] == "legacy",
    )
    remove(layer.consolidated, layer.grains, layer.spot_matrix, layer.grain_ids_key)
    inputs = read_inputs(layer, refined, extra_info, ids_hash, hkls)
    solved = _solved_rows(inputs)
    log.info("Processed %d of %d IDs.", len(solved), len(solved))
    starts, members, rows = _selected(inputs, parameters, solved, operators, track)
    table, spot_matrix = _tables(inputs, parameters, sample_distance(layer, parameters), rows, threads)
    key = GrainIdsKey(starts, inputs.seeds[members], members.astype(np.int64))
    _write(layer, _header(table, parameters), table, spot_matrix, key)
    log.info("Number of grains: %d.", len(rows))
    if not len(rows):
        log.warning("no grain is left: no cluster has %d seeds and enough spots", parameters["MinNrSpots"])
    log.info("Time elapsed: %f s.", time.perf_counter() - begin)
    summary = {"seeds": len(solved), "solutions": int(solved.sum()), "clusters": len(key), "grains": len(rows)}
    data = GrainTables(GRAINS.rounded(table), SPOT_MATRIX.rounded(spot_matrix), key)
    return comm.broadcast(StageResult("grains", summary, data))


def _solved_rows(inputs: GrainInputs) -> NDArray[np.bool_]:
    """Rows with a usable solution."""
    refined = inputs.refined
    found = refined.key[:, 0] != 0
    without_spots = found & (np.diff(refined.offsets) == 0)
    matrices = refined.column("orientation")
    # NaN fails both comparisons.
    sound = (np.abs(numbers(refined.orient_pos_fit)) < _LARGEST).all(axis=1)
    sound &= (np.abs(matrices) < _LARGEST_COSINE).all(axis=1)
    not_finite = found & ~sound
    for rows, reason in ((without_spots, "no matched spot"), (not_finite, "numbers that are not finite or too large")):
        if rows.any():
            log.warning("%d solutions have %s and are left out (first: row %d)", rows.sum(), reason, np.argmax(rows))
    solved: NDArray[np.bool_] = found & ~without_spots & ~not_finite
    return solved


# Selection


def _selected(
    inputs: GrainInputs,
    parameters: Parameters,
    solved: NDArray[np.bool_],
    operators: NDArray[np.float64],
    track: bool,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Groups of solutions, the best of each in front, and the rows that are the grains."""
    if track:
        members = np.flatnonzero(solved)
        starts = np.arange(len(members) + 1, dtype=np.int64)
    else:
        starts, members = _clusters(inputs, parameters, solved, operators)
    starts, members = _best_first(inputs, starts, members)
    rows = members[starts[:-1]]
    if not track:
        rows = rows[_distinct(inputs, rows, operators)]
    return starts, members, rows[inputs.refined.column("completeness")[rows] >= LEAST_COMPLETENESS]


def _clusters(
    inputs: GrainInputs, parameters: Parameters, solved: NDArray[np.bool_], operators: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Groups of at least MinNrSpots solutions: ``members[starts[k] : starts[k + 1]]``, in order of visit."""
    refined, twins = inputs.refined, bool(parameters["Twins"])
    quaternions = _quaternions(refined, slice(None))
    if twins:
        quaternions = reduced(quaternions, operators)
    starts, members = cluster(
        inputs.seeds,
        solved.astype(np.uint8),
        refined.offsets,
        refined.spot_ids,
        np.ascontiguousarray(quaternions),
        operators,
        CLUSTER_ANGLE,
        twins,
    )
    sizes = np.diff(starts)
    enough = sizes >= parameters["MinNrSpots"]
    return np.concatenate([[0], np.cumsum(sizes[enough])]), members[np.repeat(enough, sizes)]


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
    quaternions = np.ascontiguousarray(_quaternions(inputs.refined, rows))
    return distinct(keys.astype(np.int64), positions, quaternions, operators, DUPLICATE_ANGLE, DUPLICATE_DISTANCE)


def _quaternions(refined: RefinedSeeds, rows: NDArray[np.int64] | slice) -> NDArray[np.float64]:
    matrices = refined.column("orientation")[rows].reshape(-1, 3, 3)
    # Rows without a usable solution, which are zeros or anything: any rotation will do for them.
    usable = (np.abs(matrices) < _LARGEST_COSINE).all(axis=(1, 2), keepdims=True)
    usable &= matrices.any(axis=(1, 2), keepdims=True)
    return quaternions_from_matrices(np.where(usable, matrices, np.eye(3)))


# Strain


def _strains(
    inputs: GrainInputs,
    parameters: Parameters,
    lsd: float,
    rows: NDArray[np.int64],
    offsets: NDArray[np.int64],
    fitted: NDArray[np.void],
    threads: int,
) -> _Strains:
    refined = inputs.refined
    fable = fable_strain(
        refined.column("cell")[rows],
        refined.column("orientation")[rows],
        np.array(parameters["LatticeParameter"], np.float64),
        threads,
    )
    y, z, normals = (np.ascontiguousarray(fitted[name]) for name in ("y_centred", "z_centred", "g_observed"))
    unstrained = inputs.spacings[fitted["spot_id"].astype(np.int64)]
    spacings = lattice_spacings(y, z, lsd, parameters["Wavelength"])
    relative = (spacings - unstrained) / unstrained
    used = np.arange(len(relative))
    if parameters["RefineMethod"] == "joint":
        used = np.flatnonzero(explained(offsets, fitted["diff_pos"], parameters.get("px")))
    own = np.searchsorted(used, offsets).astype(np.int64)
    kenesei, solved = kenesei_strain(own, normals[used], relative[used], STRAIN_BOUND, threads)
    for i in np.flatnonzero(~solved):
        spots = used[own[i] : own[i + 1]]
        kenesei[i] = _smallest_strain(normals[spots], relative[spots])
        log.warning("the spots of grain %d do not determine its strain", inputs.seeds[rows[i]])
    residuals = kenesei_residuals(offsets, normals, relative, kenesei, threads)
    rms = np.sqrt(np.add.reduceat(residuals[used] ** 2, own[:-1]) / np.diff(own)) if len(rows) else np.empty(0)
    return _Strains(fable, kenesei, rms, residuals)


def _smallest_strain(normals: NDArray[np.float64], relative: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of all strains that fit equally well the one of smallest norm."""
    g = normals / np.linalg.norm(normals, axis=1, keepdims=True)
    design = np.stack([*(g**2).T, 2 * g[:, 0] * g[:, 1], 2 * g[:, 0] * g[:, 2], 2 * g[:, 1] * g[:, 2]], axis=1)
    strain: NDArray[np.float64] = lsq_linear(design, relative, (-STRAIN_BOUND, STRAIN_BOUND), method="bvls").x
    return strain


# Output


def _tables(
    inputs: GrainInputs, parameters: Parameters, lsd: float, rows: NDArray[np.int64], threads: int
) -> tuple[Table, Table]:
    """``Grains.csv`` and ``SpotMatrix.csv`` of the representatives, before rounding."""
    refined = inputs.refined
    counts = np.diff(refined.offsets)[rows]
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    fitted = refined.fit_rows(rows)
    spots = _checked_spots(inputs, rows, fitted)
    strains = _strains(inputs, parameters, lsd, rows, offsets, fitted, threads)
    matrices = refined.column("orientation")[rows]
    grains: dict[str, ArrayLike] = {"GrainID": inputs.seeds[rows], "RMSErrorStrain": MICROSTRAIN * strains.rms}
    grains |= _named(ORIENTATION, matrices) | _named(POSITION, refined.column("position")[rows])
    grains |= _named(CELL, refined.column("cell")[rows]) | {
        column: refined.column(name)[rows] for column, name in _COPIED.items()
    }
    grains |= _named(FABLE, MICROSTRAIN * strains.fable) | _named(KENESEI, MICROSTRAIN * strains.kenesei[:, _SYMMETRIC])
    grains |= _named(EULER_ANGLES, euler_angles(matrices.reshape(-1, 3, 3)))
    grains["PhaseNr"] = np.full(len(rows), parameters["PhaseNr"])
    own = inputs.spots.take(spots - 1)
    spot_matrix: dict[str, ArrayLike] = {column: own[name] for column, name in _OF_SPOT.items()}
    spot_matrix |= {"GrainID": np.repeat(inputs.seeds[rows], counts), "SpotID": spots}
    spot_matrix |= {"Theta": own["two_theta"] / 2, "StrainError": strains.residuals}
    return Table.from_columns(GRAINS.names, grains), Table.from_columns(SPOT_MATRIX.names, spot_matrix)


def _named(names: tuple[str, ...], columns: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """The columns of (n, k) numbers."""
    return dict(zip(names, columns.T, strict=True))


def _checked_spots(inputs: GrainInputs, rows: NDArray[np.int64], fitted: NDArray[np.void]) -> NDArray[np.int64]:
    """Spot ids of the grains, grain after grain; each has a ring, and FitBest lists the spots that ProcessKey lists."""
    refined = inputs.refined
    ranges = [refined.spot_ids[refined.offsets[r] : refined.offsets[r + 1]] for r in rows]
    spots = np.concatenate(ranges).astype(np.int64) if ranges else np.empty(0, np.int64)
    owners = np.repeat(rows, [len(r) for r in ranges])
    if (bad := np.flatnonzero(fitted["spot_id"] != spots)).size:
        row = owners[bad[0]]
        raise FormatError(f"row {row} lists other spots than ProcessKey.bin; rerun refine", file=refined.fit_best_file)
    if (bad := np.flatnonzero(~(np.abs(numbers(fitted)) < _LARGEST).all(axis=1))).size:
        reason = f"row {owners[bad[0]]} holds numbers that are not finite or too large; rerun refine"
        raise FormatError(reason, file=refined.fit_best_file)
    if (bad := np.flatnonzero(inputs.spacings[spots] <= 0)).size:
        seed = inputs.seeds[owners[bad[0]]]
        raise StageError(f"spot {spots[bad[0]]} of grain {seed} lies on no ring of IDsHash.csv or hkls.csv")
    return spots


def _header(grains: Table, parameters: Parameters) -> GrainsHeader:
    volumes = grains["GrainRadius"] ** 3
    total = volumes.sum()
    return GrainsHeader(
        count=len(grains),
        beam_center=float((grains["Z"] * volumes).sum() / total) if total > 0 else 0.0,
        beam_thickness=parameters["BeamThickness"],
        global_position=parameters["GlobalPosition"],
        phases=parameters["NumPhases"],
        space_group=parameters["SpaceGroup"],
        lattice_parameter=parameters["LatticeParameter"],
    )


def _write(layer: Layer, header: GrainsHeader, grains: Table, spot_matrix: Table, key: GrainIdsKey) -> None:
    """All three files or none; ``Grains.csv`` gets its name last."""
    contents = {
        layer.grain_ids_key: key.format(),
        layer.spot_matrix: SPOT_MATRIX.format(spot_matrix),
        layer.grains: GRAINS.format(grains, header=header.text()),
    }
    with atomic_outputs(*contents) as streams:
        for stream, content in zip(streams, contents.values(), strict=True):
            stream.write(content)
