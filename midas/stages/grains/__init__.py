"""Grain list: one grain from the many seeds that found it, with its strain (docs/theory/grains.md)."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from midas.experiment import crystal
from midas.experiment.orientation import symmetry_operators
from midas.formats.grains import GRAINS, SPOT_MATRIX, GrainIdsKey, GrainsHeader
from midas.formats.layer import Layer
from midas.formats.refined import RefinedSeeds
from midas.formats.table import Table
from midas.ledger.recorded import recorded
from midas.ledger.steps import PROCESS_GRAINS
from midas.parameters import Parameters
from midas.runtime.files import remove, write_together
from midas.runtime.parallel import SERIAL, Communicator
from midas.runtime.result import StageResult
from midas.stages.digits import digits
from midas.stages.grains import legacy_selection
from midas.stages.grains.inputs import read_inputs, sample_distance, solved_rows
from midas.stages.grains.none_left import limit_at_fault
from midas.stages.grains.resolver import ResolvedTables, Resolver, check
from midas.stages.grains.saturated import warn_of_saturated
from midas.stages.grains.solutions import GrainSolutions
from midas.stages.grains.tables import header, remove_consolidated, tables

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class GrainTables:
    """What the stage writes: ``Grains.csv``, ``SpotMatrix.csv``, ``GrainIDsKey.csv``.

    `spot_owners`, `grain_quality` and `seed_verdicts` are None where seeds are merged by the legacy rule, and so is
    `unowned`, the ids of the accepted spots that no crystal explains.
    """

    grains: Table
    spot_matrix: Table
    grain_ids_key: GrainIdsKey
    spot_owners: Table | None = None
    grain_quality: Table | None = None
    seed_verdicts: Table | None = None
    unowned: NDArray[np.int64] | None = None


@recorded(PROCESS_GRAINS)
@digits("grains")
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
    allow_partial: bool = False,
) -> StageResult[GrainTables]:
    """Write ``GrainIDsKey.csv``, ``SpotMatrix.csv`` and ``Grains.csv``.

    Parameters
    ----------
    track : every solution is a grain of its own (a run with seed grains)
    refined, extra_info, ids_hash, hkls : inputs in memory, else read from the layer's files; the reflections are needed
        only where there is no ``IDsHash.csv``
    allow_partial : seeds that the refinement has not come to count as without a solution, with a warning

    Returns
    -------
    StageResult whose data is `GrainTables`
    """
    if comm.rank:  # a matter of seconds on one core
        return comm.broadcast(None)
    begin = time.perf_counter()
    given, parameters = parameters, parameters.for_stage("grains")
    operators = _operators(parameters)
    check(parameters)
    remove_consolidated(layer)
    remove(layer.report, layer.report_picture, *layer.grain_results)
    inputs = read_inputs(layer, refined, extra_info, ids_hash, hkls, allow_partial=allow_partial)
    solved = solved_rows(inputs)
    log.info("Processed %d of %d IDs.", len(solved), len(solved))
    found, about, counts = _chosen(Resolver(layer, given, inputs, operators, hkls, threads), parameters, solved, track)
    table, spot_matrix = tables(inputs, parameters, sample_distance(layer, parameters), found, threads)
    _write(layer, header(table, parameters), table, spot_matrix, found.key, about)
    warn_of_saturated(layer, spot_matrix)
    log.info("Number of grains: %d.", len(found))
    if not len(found):
        log.warning("no grain is left: %s", _why_none(parameters, about))
    log.info("Time elapsed: %f s.", time.perf_counter() - begin)
    data = _rounded(table, spot_matrix, found.key, about)
    summary = {"seeds": len(solved), "solutions": int(solved.sum()), **counts, "grains": len(found)}
    return comm.broadcast(StageResult("grains", summary, data))


def _chosen(
    resolver: Resolver, parameters: Parameters, solved: NDArray[np.bool_], track: bool
) -> tuple[GrainSolutions, ResolvedTables | None, dict[str, int]]:
    """The grains by the rule of the parameters, what is known of them, and what is counted on the way."""
    if parameters["GrainMerging"] == "legacy":
        found = legacy_selection.select(resolver.inputs, parameters, solved, resolver.operators, track)
        return found, None, {"clusters": len(found.key)}
    found, about = resolver.tracked(solved) if track else resolver.resolved(solved)
    return found, about, about.counts


def _operators(parameters: Parameters) -> NDArray[np.float64]:
    """Proper rotations of the lattice, or those of the legacy rule."""
    legacy = parameters["GrainMerging"] == "legacy"
    cell = crystal.possible_cell(parameters)
    return symmetry_operators(parameters["SpaceGroup"], cell, parameters["SpaceGroupSetting"], legacy=legacy)


def _rounded(grains: Table, spot_matrix: Table, key: GrainIdsKey, about: ResolvedTables | None) -> GrainTables:
    """The tables as they read back from their files."""
    data = GrainTables(GRAINS.rounded(grains), SPOT_MATRIX.rounded(spot_matrix), key)
    if about is None:
        return data
    more = about.rounded()
    owners, quality, verdicts = (more[name] for name in ("spot_owners", "grain_quality", "seed_verdicts"))
    return replace(data, spot_owners=owners, grain_quality=quality, seed_verdicts=verdicts, unowned=about.unowned)


def _why_none(parameters: Parameters, about: ResolvedTables | None) -> str:
    if about is None:
        return f"no cluster has {parameters['MinNrSpots']} seeds and enough spots"
    by_itself = "no crystal owns enough spots alone once it is fitted (UniqueCompleteness, MinUniqueSpots)"
    return limit_at_fault(about.seed_verdicts, parameters) or by_itself


def _write(
    layer: Layer,
    header: GrainsHeader,
    grains: Table,
    spot_matrix: Table,
    key: GrainIdsKey,
    about: ResolvedTables | None,
) -> None:
    """All files or none; ``Grains.csv`` gets its name last."""
    contents = {} if about is None else about.contents(layer)
    contents |= {
        layer.grain_ids_key: key.format(),
        layer.spot_matrix: SPOT_MATRIX.format(spot_matrix),
        layer.grains: GRAINS.format(grains, header=header.text()),
    }
    write_together(contents)
