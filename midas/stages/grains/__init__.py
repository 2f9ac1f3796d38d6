"""Grain list: one grain from the many seeds that found it, with its strain (docs/theory/grains.md)."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from midas.experiment import crystal
from midas.experiment.orientation import symmetry_operators
from midas.formats.grains import GRAINS, SPOT_MATRIX, GrainIdsKey, GrainsHeader
from midas.formats.layer import Layer
from midas.formats.refined import RefinedSeeds
from midas.formats.table import Table
from midas.parameters import Parameters
from midas.runtime.files import atomic_outputs, remove
from midas.runtime.parallel import SERIAL, Communicator
from midas.runtime.result import StageResult
from midas.stages.grains import legacy_selection
from midas.stages.grains.inputs import read_inputs, sample_distance, solved_rows
from midas.stages.grains.tables import header, tables

log = logging.getLogger(__name__)


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
    remove(layer.consolidated, layer.grains, layer.spot_matrix, layer.grain_ids_key, layer.spots_measured)
    inputs = read_inputs(layer, refined, extra_info, ids_hash, hkls)
    solved = solved_rows(inputs)
    log.info("Processed %d of %d IDs.", len(solved), len(solved))
    found = legacy_selection.select(inputs, parameters, solved, operators, track)
    table, spot_matrix = tables(inputs, parameters, sample_distance(layer, parameters), found, threads)
    _write(layer, header(table, parameters), table, spot_matrix, found.key)
    log.info("Number of grains: %d.", len(found))
    if not len(found):
        log.warning("no grain is left: no cluster has %d seeds and enough spots", parameters["MinNrSpots"])
    log.info("Time elapsed: %f s.", time.perf_counter() - begin)
    summary = {"seeds": len(solved), "solutions": int(solved.sum()), "clusters": len(found.key), "grains": len(found)}
    data = GrainTables(GRAINS.rounded(table), SPOT_MATRIX.rounded(spot_matrix), found.key)
    return comm.broadcast(StageResult("grains", summary, data))


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
