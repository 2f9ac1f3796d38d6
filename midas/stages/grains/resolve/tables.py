"""The crystals of a layer as grains, and the tables about their spots and seeds (docs/theory/resolving.md#outputs)."""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import ArrayLike, NDArray

from midas._ext.refine.record import grain_radii
from midas.formats.grains import GrainIdsKey
from midas.formats.resolved import GRAIN_QUALITY, SEED_VERDICTS, SPOT_OWNERS, no_number
from midas.formats.table import Table
from midas.parameters import Parameters
from midas.runtime.ragged import offsets_of, sums_by
from midas.stages.grains.inputs import GrainInputs
from midas.stages.grains.resolve.ownership import Assignment
from midas.stages.grains.resolve.rounds import Resolved
from midas.stages.grains.resolve.scene import Scene
from midas.stages.grains.resolve.verdicts import CRYSTAL, DUPLICATE, FRAGMENT, GHOST, UNSUPPORTED
from midas.stages.grains.solutions import GrainSolutions
from midas.stages.grains.strays import counted

log = logging.getLogger(__name__)

#: flags of GrainQuality.csv
AT_BOUND, UNDECIDABLE, INSIGNIFICANT, NOT_FITTED = 1, 2, 8, 16
#: below this a grain has the flag `INSIGNIFICANT`
_LOW_SIGNIFICANCE = 6.0


def solutions_of(inputs: GrainInputs, geometry: Parameters, scene: Scene, found: Resolved) -> GrainSolutions:
    """The crystals as grains; of each the spots that it owns, then those that it shares."""
    crystal, rows, owned = _listed(found)
    crystals = found.fitted.crystals
    offsets = _offsets(crystal, len(crystals))
    _, records, counts, _ = scene.refiner.refine(
        crystals.u.reshape(-1, 9), crystals.position, offsets, rows, scene.threads, crystals.cell, fit=False
    )
    # The records of a crystal stand at the front of its part; a spot without prediction has none.
    kept = records[np.arange(len(rows)) - offsets[crystal] < counts[crystal]]
    names = crystal * len(scene.spots) + rows
    known = np.isin(names, np.repeat(np.arange(len(crystals)), counts) * len(scene.spots) + kept["row"])
    crystal, rows, owned = crystal[known], rows[known], owned[known]
    return GrainSolutions(
        ids=inputs.seeds[found.rows],
        orientation=crystals.u.reshape(-1, 9),
        position=crystals.position,
        cell=crystals.cell,
        **mean_distances(kept[owned], crystal[owned], len(crystals)),
        grain_radius=_radii(geometry, scene, crystal[owned], rows[owned], len(crystals)),
        completeness=inputs.refined.column("completeness")[found.rows],
        offsets=_offsets(crystal, len(crystals)),
        spots=rows + 1,
        y_centred=np.ascontiguousarray(kept["y_centred"]),
        z_centred=np.ascontiguousarray(kept["z_centred"]),
        normals=np.ascontiguousarray(kept["g_observed"]),
        counted=counted(crystal, len(crystals), kept["diff_pos"], owned, geometry.get("px")),
        key=key_of(inputs, found),
    )


_DISTANCES = ("diff_pos", "diff_ome", "diff_angle")


def _listed(found: Resolved) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Crystal, spot and whether it is owned, crystal by crystal: the owned ones first, by spot."""
    assignment = found.assignment
    owned = assignment.owned()
    order = np.lexsort((assignment.matches.spot, ~owned, assignment.crystal))
    return assignment.crystal[order], assignment.matches.spot[order], owned[order]


def _offsets(crystal: NDArray[np.int64], crystals: int) -> NDArray[np.int64]:
    return offsets_of(np.bincount(crystal, minlength=crystals))


def mean_distances(
    records: NDArray[np.void], crystal: NDArray[np.int64], crystals: int
) -> dict[str, NDArray[np.float64]]:
    """Of each crystal the mean distances of its spots from their predictions, by name; 0 without spots.

    Parameters
    ----------
    records : (m,) of `midas._ext.refine.record.MATCHED_SPOT`
    crystal : (m,) int64, of each record
    """
    counts = np.maximum(np.bincount(crystal, minlength=crystals), 1)
    return {name: sums_by(crystal, records[name], crystals) / counts for name in _DISTANCES}


def _radii(
    geometry: Parameters, scene: Scene, crystal: NDArray[np.int64], rows: NDArray[np.int64], crystals: int
) -> NDArray[np.float64]:
    """Grain radius of the spots that each crystal owns."""
    rejected = np.isin(scene.spots.integers("ring"), geometry["RingsToReject"]).astype(np.uint8)
    radii = np.ascontiguousarray(scene.spots["grain_radius"][rows])
    return grain_radii(_offsets(crystal, crystals), rows, radii, rejected, geometry["TakeGrainMax"] == 1)


def key_of(inputs: GrainInputs, found: Resolved) -> GrainIdsKey:
    """Of each grain its row, then the rows that repeat it or a part of it."""
    verdicts = found.verdicts
    member = np.flatnonzero(np.isin(verdicts.verdict, (CRYSTAL, DUPLICATE, FRAGMENT)) & (verdicts.crystal >= 0))
    of = verdicts.crystal[member]
    order = np.lexsort((member, verdicts.verdict[member] != CRYSTAL, of))
    rows = member[order].astype(np.int64)
    return GrainIdsKey(_offsets(of, len(found.rows)), inputs.seeds[rows], rows)


def spot_owners(inputs: GrainInputs, scene: Scene, found: Resolved) -> Table:
    """``SpotOwners.csv`` before rounding."""
    assignment, ids = found.assignment, np.append(inputs.seeds[found.rows], 0)
    matches, owner = assignment.matches, assignment.owner
    has, has_second = owner >= 0, assignment.second >= 0
    pair, second = assignment.pair[has], assignment.second_pair[has_second]
    columns: dict[str, NDArray[np.float64]] = {
        name: np.zeros(len(scene.spots)) for name in ("h", "k", "l", "Branch", "Distance", "SecondDistance")
    }
    for k, name in enumerate("hkl"):
        columns[name][has] = scene.reflections.hkl[k, matches.hkl[pair]]
    columns["Branch"][has] = matches.branch[pair]
    columns["Distance"] = np.where(has, 0.0, np.nan)
    columns["Distance"][has] = matches.distance[pair]
    columns["SecondDistance"] = np.where(has_second, 0.0, np.nan)
    columns["SecondDistance"][has_second] = matches.distance[second]
    numbers: dict[str, ArrayLike] = {
        "SpotID": scene.spots["spot_id"],
        "RingNr": scene.spots["ring"],
        "GrainID": ids[owner],
        "SecondGrainID": ids[assignment.second],
        "Shared": has_second,
    }
    return Table.from_columns(SPOT_OWNERS.names, {**columns, **numbers})


def grain_quality(inputs: GrainInputs, scene: Scene, found: Resolved, grains: GrainSolutions | None = None) -> Table:
    """``GrainQuality.csv`` before rounding.

    Parameters
    ----------
    grains : whose lists of spots count; by default all matches do. They lack those that a wide window takes from beyond
        the reach of the fit
    """
    assignment = found.assignment
    n, expected = len(found.rows), assignment.matches.expected.sum(axis=1)
    listed = np.ones(len(assignment.crystal), bool) if grains is None else _among(assignment, grains, len(scene.spots))
    owned = assignment.owned() & listed
    unique = assignment.count(owned & (assignment.second[assignment.matches.spot] < 0))
    own, matched = assignment.count(owned), assignment.count(listed)
    ids = inputs.seeds[found.rows]
    columns: dict[str, ArrayLike] = dict.fromkeys(GRAIN_QUALITY.names, no_number(n))
    columns |= {
        "GrainID": ids,
        "FamilyID": ids[found.leader],
        "nPredicted": expected,
        "nOwned": own,
        "nShared": matched - own,
        "nUnique": unique,
        "SharpCompleteness": matched / np.maximum(expected, 1),
        "UniqueCompleteness": unique / np.maximum(expected, 1),
        "Significance": found.significance,
        "nMembers": found.verdicts.seeds(n),
        "nFragments": found.verdicts.of_crystals(n, FRAGMENT),
        "nSaturated": assignment.count(owned & scene.flags.saturated[assignment.matches.spot]),
        "nMeasured": np.zeros(n),
        "Flags": _flags(scene, found),
    }
    return Table.from_columns(GRAIN_QUALITY.names, columns)


def _among(assignment: Assignment, grains: GrainSolutions, spots: int) -> NDArray[np.bool_]:
    """(m,) bool: which matches are in the lists of the grains."""
    crystal = np.repeat(np.arange(len(grains)), np.diff(grains.offsets))
    listed = crystal * spots + grains.spots - 1
    return np.isin(assignment.crystal * spots + assignment.matches.spot, listed)


def _flags(scene: Scene, found: Resolved) -> NDArray[np.int64]:
    position = np.abs(found.fitted.crystals.position)
    limits = np.array([scene.r_sample, scene.r_sample, scene.h_beam / 2])
    flags = AT_BOUND * (position >= limits * (1 - 1e-9)).any(axis=1).astype(np.int64)
    flags += UNDECIDABLE * found.undecidable + INSIGNIFICANT * (found.significance < _LOW_SIGNIFICANCE)
    return np.asarray(flags + NOT_FITTED * ~found.fitted.good)


def seed_verdicts(inputs: GrainInputs, found: Resolved) -> Table:
    """``SeedVerdicts.csv`` before rounding."""
    ids = np.append(inputs.seeds[found.rows], 0)
    columns: dict[str, ArrayLike] = {
        "Row": np.arange(len(inputs.seeds)),
        "SpotID": inputs.seeds,
        "Verdict": found.verdicts.verdict,
        "GrainID": ids[found.verdicts.crystal],
    }
    names = ("nPredicted", "nSharp", "nUnique", "Significance")
    return Table.from_columns(SEED_VERDICTS.names, columns | dict(zip(names, found.seeds.T, strict=True)))


def summary_of(scene: Scene, found: Resolved) -> dict[str, int]:
    """What became of the solutions, which the log says in one line."""
    counts = {
        "crystals": len(found.rows),
        "duplicates": found.verdicts.count(DUPLICATE),
        "fragments": found.verdicts.count(FRAGMENT),
        "ghosts": found.verdicts.count(GHOST),
        "unsupported": found.verdicts.count(UNSUPPORTED),
    }
    owned, shared = found.assignment.owner >= 0, found.assignment.second >= 0
    total = int(scene.used.sum())
    text = ", ".join(f"{count} {name}" for name, count in counts.items())
    log.info(
        "%d solutions: %s; %d of %d spots owned, %d shared",
        sum(counts.values()),
        text,
        owned.sum(),
        total,
        shared.sum(),
    )
    left = scene.used & ~owned
    if 3 * left.sum() > total:
        rings = scene.spots.integers("ring")[left]
        most = int(np.bincount(rings).argmax())
        log.warning(
            "no grain owns %d of %d spots, %d of them on ring %d", left.sum(), total, (rings == most).sum(), most
        )
    return counts
