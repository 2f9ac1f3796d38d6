"""Orientation and position for every start spot: ``IndexerOMP`` (docs/theory/indexing.md)."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from midas._ext.index.indexer import Indexer
from midas.experiment.sharp_match import skips_explained_seeds
from midas.formats import hkls as hkl_format
from midas.formats import index
from midas.formats.grains import ORIENTATION, read_grains
from midas.formats.index import IndexedSeeds
from midas.formats.layer import Layer
from midas.formats.marks import mark_of
from midas.formats.passes import SeedPass, back_to_first
from midas.formats.spots import EXTRA_INFO_BINARY, NO_SPOT, SPOTS_BINARY, read_binary_spots, read_seed_ids
from midas.formats.table import Layout, Table, integer
from midas.ledger.recorded import recorded
from midas.ledger.run_key import run_key
from midas.ledger.steps import INDEXING
from midas.runtime.errors import FormatError, OutputError, StageError, UsageError
from midas.runtime.files import remove
from midas.runtime.named_paths import named_file, places_of
from midas.runtime.parallel import SERIAL, Communicator
from midas.runtime.result import StageResult
from midas.stages.digits import digits
from midas.stages.explained_seeds import Explanation
from midas.stages.index_setup import beside_spots, make_indexer, rings_in_use
from midas.stages.seed_search import SeedSearch, seeds_of

if TYPE_CHECKING:
    from midas.parameters import Parameters

log = logging.getLogger(__name__)

#: ``SpotsToIndex.csv`` of seed mode
_TRACKED = Layout(header="", columns=(integer("spot_id"), integer("grain_id")))

#: slots beyond twice the seeds: so many for a wrong number cost nothing
_SPARE_SLOTS = 10_000


@recorded(INDEXING)
@digits("indexing")
def run(
    layer: Layer,
    parameters: Parameters,
    *,
    threads: int,
    comm: Communicator = SERIAL,
    seed_count: int | None = None,
    seeds: ArrayLike | None = None,
    spots: Table | None = None,
    hkls: Table | None = None,
    resume: bool = False,
) -> StageResult[IndexedSeeds]:
    """Index the start spots and write ``IndexBest.bin`` and ``IndexBestFull.bin``.

    With `GrainsFile` no search takes place: the grains of that file are matched with the spots, and the first spot of
    each becomes its start spot in ``SpotsToIndex.csv``. That is the work of the first member alone.

    Parameters
    ----------
    seed_count : slots of the output files (the legacy nSpotsToIndex); one per line of ``SpotsToIndex.csv`` by default
    seeds : spot ids, as in ``SpotsToIndex.csv``
    spots : table of ``Spots.bin``
    hkls : table of ``hkls.csv``
    resume : seeds that a run like this one has indexed before it was interrupted are not searched again

    Returns
    -------
    StageResult whose data is the `IndexedSeeds` of this member
    """
    started, p = time.perf_counter(), parameters.for_stage("indexing")
    _check_count(seed_count)
    if (tracking := bool(p.get("GrainsFile"))) and comm.rank != 0:
        comm.barrier()
        return StageResult("indexing", {}, index.join(range(0), []))
    spots, hkls = _inputs(layer, spots, hkls)
    rings = rings_in_use(p, hkls)
    _forget_passes(layer, seeds, comm, tracking)
    indexer = make_indexer(layer, p, rings, spots, hkls)
    ids = _seed_ids(layer, seeds, tracking)
    slots = _slots(ids, seed_count)
    if ids is None or tracking:
        data = _track(layer, p, indexer, spots, hkls, slots, threads)
        comm.barrier()
    else:
        start = _start_rows(spots, ids[:slots], rings, slots)
        explanation, beside = _explanation(layer, parameters, spots, hkls, threads)
        mark = comm.broadcast(_mark(layer, p, spots, hkls, seeds=ids[:slots], slots=slots, **beside))
        data = _search(layer, indexer, start, spots, explanation, mark, threads=threads, comm=comm, resume=resume)
    log.info("Finished, time elapsed: %f seconds.", time.perf_counter() - started)
    return StageResult("indexing", _summary(data, SERIAL if tracking else comm), data)


def _search(
    layer: Layer,
    indexer: Indexer,
    start: NDArray[np.int64],
    spots: Table,
    explanation: Explanation | None,
    mark: int,
    *,
    threads: int,
    comm: Communicator,
    resume: bool,
) -> IndexedSeeds:
    """The seeds of this member; their slots are filled."""
    files, slots = (layer.index_best, layer.index_best_full), len(start)
    with index.open_slots(*files, slots, comm, mark=mark, resume=resume) as writer:
        search = SeedSearch(writer, indexer, start, spots, comm.rows(slots), threads)
        return search.every_one() if explanation is None else search.unexplained(explanation, comm)


def _explanation(
    layer: Layer, parameters: Parameters, spots: Table, hkls: Table, threads: int
) -> tuple[Explanation | None, dict[str, object]]:
    """What tells which seeds need no search, and what it depends on beside them; None where all are searched."""
    p = parameters.for_stage("indexing")
    if not skips_explained_seeds(p):
        return None, {}
    if not layer.extra_info_binary.exists():
        log.warning("%s is missing: seeds that a grain explains are searched, too", layer.extra_info_binary.name)
        return None, {}
    recorded = read_binary_spots(layer.extra_info_binary, EXTRA_INFO_BINARY)
    if not np.array_equal(recorded["spot_id"], spots["spot_id"]):
        reason = f"does not hold the spots of {layer.spots_binary.name}; run ff-bin again"
        raise FormatError(reason, file=layer.extra_info_binary)
    refinement = parameters.for_stage("refinement")
    explanation = Explanation(layer, refinement, p, hkls, recorded, threads)
    return explanation, {"recorded": recorded.columns, "refinement": run_key("refinement", refinement, ())}


def _check_count(seed_count: int | None) -> None:
    if seed_count is not None and seed_count < 0:
        raise UsageError("must not be negative", key="nSpotsToIndex", value=seed_count)


def _slots(ids: NDArray[np.int64] | None, seed_count: int | None) -> int:
    """Slots of the output files: what was asked for, else one a seed."""
    if seed_count is None:
        return 0 if ids is None else len(ids)
    if ids is not None and seed_count > 2 * len(ids) + _SPARE_SLOTS:
        reason = f"must be the number of lines of SpotsToIndex.csv, which has {len(ids)}"
        raise UsageError(reason, key="nSpotsToIndex", value=seed_count)
    if ids is not None and seed_count > len(ids):
        log.warning("nSpotsToIndex is %d, but there are %d seeds; the other slots stay empty", seed_count, len(ids))
    return seed_count


@recorded(INDEXING)
@digits("indexing")
def run_again(
    layer: Layer,
    parameters: Parameters,
    seed_pass: SeedPass,
    *,
    threads: int,
    comm: Communicator = SERIAL,
    spots: Table | None = None,
    hkls: Table | None = None,
    resume: bool = False,
) -> StageResult[IndexedSeeds]:
    """Index the seeds of a later pass among the spots that it sees; the rows of the passes before stay as they are.

    See docs/theory/indexing.md#passes.

    Parameters
    ----------
    spots, hkls, resume : as of `run`

    Returns
    -------
    StageResult whose data is the `IndexedSeeds` of this member
    """
    p = parameters.for_stage("indexing").changed(Completeness=seed_pass.completeness)
    spots, hkls = _inputs(layer, spots, hkls)
    spots, rings = _seen(spots, seed_pass), rings_in_use(p, hkls)
    indexer = make_indexer(layer, p, rings, spots, hkls)
    seeds, first = seed_pass.seeds, seed_pass.first
    start, mine = _start_rows(spots, seeds, rings), comm.rows(len(seeds))
    mark = comm.broadcast(_mark(layer, p, spots, hkls, seeds=seeds, first=first))
    files, rows = (layer.index_best, layer.index_best_full), range(first, seed_pass.total)
    with index.append_slots(*files, rows, comm, mark=mark, resume=resume) as writer:
        data = SeedSearch(writer, indexer, start, spots, mine, threads, first).every_one()
    return StageResult("indexing", _summary(data, comm), data)


def _mark(layer: Layer, p: Parameters, spots: Table, hkls: Table, **more: object) -> int:
    """The mark of the slots of this run (docs/theory/indexing.md#marks)."""
    return mark_of(run_key("indexing", p, beside_spots(layer), spots=spots.columns, hkls=hkls.columns, **more))


def _seen(spots: Table, seed_pass: SeedPass) -> Table:
    """The spots with those that the pass does not see on no ring, where nothing matches them."""
    hidden = Table(spots.names, spots.columns.copy())
    hidden["ring"][~np.isin(spots["spot_id"], seed_pass.visible)] = 0
    return hidden


def _forget_passes(layer: Layer, seeds: ArrayLike | None, comm: Communicator, tracking: bool) -> None:
    """Who indexes the seeds of the file again begins with the first pass. Only the first rank may have others."""
    if tracking:  # the first rank alone, which makes its own seeds
        return
    if seeds is None and (comm.rank == 0 or not comm.connected):
        back_to_first(layer)
    comm.barrier()


def _inputs(layer: Layer, spots: Table | None, hkls: Table | None) -> tuple[Table, Table]:
    """Spots and reflections, from memory or from their files."""
    spots = read_binary_spots(layer.spots_binary, SPOTS_BINARY) if spots is None else spots
    hkls = hkl_format.LAYOUT.read(layer.hkls) if hkls is None else hkls
    if not len(spots):
        raise StageError("no spots", file=layer.spots_binary)
    if not layer.output.is_dir():
        raise OutputError("output folder does not exist", file=layer.output)
    return spots, hkls


def _summary(data: IndexedSeeds, comm: Communicator) -> dict[str, object]:
    """Rows of the closing table: the first of connected members tells for all of them."""
    found = data.best[data.found]
    own = (len(data), len(found), float(np.sum(found["matched"] / found["expected"])))
    everybody = comm.gather(own)
    if everybody is None:
        return {}
    seeds, indexed, completeness = np.sum(everybody, axis=0)
    return {"seeds": int(seeds), "indexed": int(indexed), "mean completeness": round(completeness / max(indexed, 1), 4)}


# ---------------------------------------------------------------- inputs


def _seed_ids(layer: Layer, seeds: ArrayLike | None, tracking: bool) -> NDArray[np.int64] | None:
    """Of the seeds that there are; None where the grains of a file are yet to make them."""
    if tracking and seeds is None and not layer.spots_to_index.exists():
        return None
    return read_seed_ids(layer.spots_to_index, blanks=True) if seeds is None else np.asarray(seeds, np.int64)


def _start_rows(
    spots: Table, ids: NDArray[np.int64], rings: dict[int, float], slots: int | None = None
) -> NDArray[np.int64]:
    """Row of each start spot, -1 where there is none that can be indexed, and in the slots behind the last one."""
    known = spots["spot_id"]
    rows = ids - 1
    direct = (rows >= 0) & (rows < len(known))
    direct[direct] = known[rows[direct]] == ids[direct]
    if not direct.all():
        # Ids that are not row + 1: the first row with the id, as the order of a stable sort tells.
        order = np.argsort(known, kind="stable")
        place = np.minimum(np.searchsorted(known[order], ids), len(order) - 1)
        rows = np.where(direct, rows, np.where(known[order[place]] == ids, order[place], -1))
    for spot_id in np.unique(ids[(rows < 0) & (ids != NO_SPOT)]):
        log.warning("start spot %d is not in Spots.bin; its slot stays empty", spot_id)
    on_ring = np.isin(spots["ring"][rows], list(rings))
    for spot_id in np.unique(ids[(rows >= 0) & ~on_ring]):
        log.warning("start spot %d lies on no ring in use; its slot stays empty", spot_id)
    start = np.full(len(ids) if slots is None else slots, -1)
    start[: len(ids)] = np.where(on_ring, rows, -1)
    return start


# ---------------------------------------------------------------- work


def _track(
    layer: Layer, p: Parameters, indexer: Indexer, spots: Table, hkls: Table, slots: int, threads: int
) -> IndexedSeeds:
    """Seed mode: match the grains of `GrainsFile`, make their first spots the start spots.

    See docs/theory/indexing.md#given-grains.
    """
    named = named_file(p["GrainsFile"], *places_of(layer.folder), key="GrainsFile", source=layer.paramstest)
    grains = read_grains(named, through="GrainRadius", strict=False)
    orientations = grains.numbers(ORIENTATION)
    positions = np.column_stack([grains["X"], grains["Y"], grains["Z"]])
    found, offsets, matched, fractions = indexer.evaluate(
        orientations, positions, grains["GrainRadius"], threads=threads
    )
    part = seeds_of(range(len(grains)), spots, found, offsets, matched)
    rows = range(max(slots, len(grains)))
    mark = _mark(layer, p, spots, hkls, grains=orientations, positions=positions, slots=len(rows))
    with index.open_slots(layer.index_best, layer.index_best_full, len(rows), SERIAL, mark=mark) as writer:
        writer.write(index.join(rows, [part]))
    firsts = [part.ids[part.offsets[i]] if part.found[i] else NO_SPOT for i in range(len(part))]
    remove(layer.seed_passes)
    tracked = Table.from_columns(_TRACKED.names, {"spot_id": firsts, "grain_id": grains["GrainID"]})
    _TRACKED.write(layer.spots_to_index, tracked)
    for i, fraction in enumerate(fractions):
        if fraction < p["Completeness"]:
            log.info("%f %d", fraction, i)
        log.info(
            "IDNr: %d, Total: %d, ID: %d, Confidence: %f, nExp: %f, nObs: %f",
            i, len(part), firsts[i], fraction, part.best["expected"][i], part.best["matched"][i],
        )  # fmt: skip
    return index.join(rows, [part])
