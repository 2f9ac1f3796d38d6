"""Refinement of every indexed seed: ``FitPosOrStrainsOMP`` (docs/theory/refinement.md)."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from midas._ext.refine.record import grain_radii
from midas._ext.refine.refiner import NO_VALID_SPOT, NOT_FINITE, NOT_INDEXED, NOTHING_MATCHED, REFINED, Refiner
from midas._ext.refine.settings import Method, Solver
from midas.experiment.orientation import euler_angles
from midas.experiment.region import accepted_region
from midas.experiment.seed_fit import GrainFit, recorded_spots, reflections_in_use
from midas.experiment.spot_flags import read_spot_flags
from midas.formats import hkls as hkl_list
from midas.formats import index
from midas.formats.binary import filled, read_records
from midas.formats.index import SLOT, IndexedSeeds
from midas.formats.layer import Layer
from midas.formats.marks import mark_of
from midas.formats.passes import SeedPass, sizes_of_all
from midas.formats.refined import FIT_BEST, ORIENT_POS_FIT, RefinedSeeds, joined_seeds
from midas.formats.refined_writer import RefinedWriter, open_refined
from midas.formats.spots import EXTRA_INFO_BINARY, read_binary_spots, read_seed_ids
from midas.formats.table import Table
from midas.ledger.recorded import recorded
from midas.ledger.run_key import run_key
from midas.ledger.steps import REFINEMENT
from midas.runtime import progress
from midas.runtime.chunks import Chunks
from midas.runtime.errors import StageError, UsageError
from midas.runtime.parallel import SERIAL, Communicator
from midas.runtime.ragged import entries_of, offsets_of
from midas.runtime.result import StageResult
from midas.stages.digits import digits
from midas.stages.missing_rows import missing_rows

if TYPE_CHECKING:
    from midas.parameters import Parameters

log = logging.getLogger(__name__)

#: rows between two writes and two movements of the progress bar, at most
CHUNK = 512

#: which variables are fitted in which order, and by what, for each RefineMethod
_METHODS: dict[str, tuple[Method, Solver]] = {
    "joint": ("joint", "robust"),
    "staged": ("staged", "simplex"),
    "converged": ("staged", "converged"),
}

#: fields of FitBest that repeat a column of the spot table
_OF_SPOT = ("y_ideal", "z_ideal", "omega_ideal", "omega_recorded", "y_plane", "z_plane")


@recorded(REFINEMENT)
@digits("refinement")
def run(
    layer: Layer,
    parameters: Parameters,
    *,
    threads: int,
    comm: Communicator = SERIAL,
    seed_count: int | None = None,
    seeds: Table | ArrayLike | None = None,
    seed_pass: SeedPass | None = None,
    indexed: IndexedSeeds | None = None,
    extra_info: Table | None = None,
    hkls: Table | None = None,
    resume: bool = False,
    allow_partial: bool = False,
) -> StageResult[RefinedSeeds]:
    """Refine position, orientation and cell of this member's seeds and write the four result files.

    Parameters
    ----------
    parameters : of paramstest.txt
    seed_count : number of seeds to refine; all of them by default
    seeds : ids of the seeds, or the table of SpotsToIndex.csv
    seed_pass : a later pass, whose seeds alone are refined; their keys stay apart until `midas.formats.passes.commit`
    indexed : results of the indexer for these rows, or more
    extra_info : the table of ExtraInfo.bin
    hkls : the table of hkls.csv
    resume : seeds that a run like this one has refined before it was interrupted are not refined again
    allow_partial : seeds that the indexer has not come to count as not found, with a warning

    Returns
    -------
    StageResult
        data: `RefinedSeeds` of this member's rows
    """
    parameters = parameters.for_stage("refinement")
    tracking = bool(parameters.get("GrainsFile"))
    ids = _seed_ids(layer, seeds, seed_count) if seed_pass is None else seed_pass.seeds
    own, rows, every = _rows(comm, len(ids), seed_pass)
    spots = extra_info if extra_info is not None else read_binary_spots(layer.extra_info_binary, EXTRA_INFO_BINARY)
    hkls = hkl_list.LAYOUT.read(layer.hkls) if hkls is None else hkls
    refiner = _refiner(layer, parameters, hkls, spots, tracking)
    checked = every if comm.connected or comm.size == 1 else rows
    found = _indexed_of(layer, indexed, rows, checked, seed_pass, allow_partial)
    best = _best_of(layer, found if indexed is None else indexed, every)
    mark = comm.broadcast(_mark(layer, parameters, spots, hkls, seeds=ids, best=best))
    log.info("We are tracking grains!" if tracking else "Running full file!")
    work = _work(parameters, found, spots, ids[own.start : own.stop])
    with open_refined(layer, rows, every, comm, mark=mark, resume=resume) as writer:
        refined = _refine(writer, refiner, work, rows, threads)
    return StageResult("refinement", _summary(refined), refined)


def _rows(comm: Communicator, seeds: int, seed_pass: SeedPass | None) -> tuple[range, range, range]:
    """This member's part of the seeds, its rows in the files, and those of the whole run."""
    own, first = comm.rows(seeds), 0 if seed_pass is None else seed_pass.first
    return own, range(first + own.start, first + own.stop), range(first, first + seeds)


def _summary(refined: RefinedSeeds) -> dict[str, object]:
    seeds, solved = len(refined.key), int(np.count_nonzero(refined.key[:, 0]))
    log.info("Refined %d of %d seeds", solved, seeds)
    return {"seeds": seeds, "refined": solved}


def _best_of(layer: Layer, found: IndexedSeeds, rows: range) -> NDArray[np.void]:
    """What the indexer found for all rows of the run, whose spots go with it."""
    if found.rows.start <= rows.start and rows.stop <= found.rows.stop:
        return found.best[rows.start - found.rows.start : rows.stop - found.rows.start]
    return read_records(layer.index_best, index.BEST, (), written_by="ff-index")[rows.start : rows.stop]


def _mark(layer: Layer, parameters: Parameters, spots: Table, hkls: Table, **more: object) -> int:
    """The mark of the slots of this run, the same for all members of it (docs/theory/indexing.md#marks)."""
    inputs = [layer.detector_mask, layer.detector_pixels, layer.spot_flags]
    return mark_of(run_key("refinement", parameters, inputs, spots=spots.columns, hkls=hkls.columns, **more))


def _seed_ids(layer: Layer, seeds: Table | ArrayLike | None, seed_count: int | None) -> NDArray[np.int64]:
    """Ids of the seeds to refine, in the order of SpotsToIndex.csv."""
    if seeds is None:
        seeds = read_seed_ids(layer.spots_to_index)
    ids = seeds.integers("spot_id") if isinstance(seeds, Table) else np.asarray(seeds, np.int64).ravel()
    if not len(ids):
        raise StageError("holds no seeds, nothing to refine", file=layer.spots_to_index)
    if seed_count is None:
        return ids
    if seed_count < 0:
        raise UsageError("must not be negative", key="nSpotsToIndex", value=seed_count)
    if seed_count != len(ids):
        log.warning("nSpotsToIndex is %d, but there are %d seeds; the smaller number counts", seed_count, len(ids))
    return ids[:seed_count]


def _indexed_of(
    layer: Layer,
    indexed: IndexedSeeds | None,
    rows: range,
    checked: range,
    seed_pass: SeedPass | None,
    allow_partial: bool,
) -> IndexedSeeds:
    """The indexer's results of these rows, from memory if they are there; in the files the `checked` ones must be."""
    if indexed is None:
        passes = sizes_of_all(layer) if seed_pass is None else [seed_pass.first, len(seed_pass.seeds)]
        missing = missing_rows(
            layer.index_best, checked, passes, "ff-index", allow_partial=allow_partial, record=index.BEST.itemsize
        )
        own = None if missing is None else missing[rows.start - checked.start : rows.stop - checked.start]
        return index.read(layer.index_best, layer.index_best_full, rows, own)
    if not (indexed.rows.start <= rows.start and rows.stop <= indexed.rows.stop):
        raise ValueError(f"results of rows {indexed.rows} where {rows} are needed")
    return indexed.part(slice(rows.start - indexed.rows.start, rows.stop - indexed.rows.start), rows)


# What all rows share
def _refiner(layer: Layer, parameters: Parameters, hkls: Table, spots: Table, tracking: bool) -> Refiner:
    reflections, rings = reflections_in_use(layer, parameters, hkls)
    method, solver = _METHODS[parameters["RefineMethod"]]
    region = accepted_region(parameters, layer.detector_mask, layer.detector_pixels)
    fit = GrainFit.of(parameters, region, reflections, "cell" if tracking else method, solver)
    return fit.refiner(recorded_spots(spots, rings, read_spot_flags(layer, len(spots)).certainty))


# The rows
@dataclass
class _Work:
    """This member's seeds, what the indexer found for them, and what becomes of them."""

    ids: NDArray[np.int64]
    found: IndexedSeeds
    spots: Table
    rejected: NDArray[np.uint8]  # spots that do not count for the grain radius
    largest_radius: bool
    spot_rows: NDArray[np.int64]  # of every spot the indexer assigned; -1 when it is not in the spot table
    lengths: NDArray[np.int64]  # spots to refine with; 0 for a row that is skipped
    status: NDArray[np.int32]


def _work(parameters: Parameters, found: IndexedSeeds, spots: Table, ids: NDArray[np.int64]) -> _Work:
    usable = (found.column("matched") <= SLOT) & (ids > 0)
    return _Work(
        ids=ids,
        found=found,
        spots=spots,
        rejected=np.isin(spots.integers("ring"), parameters["RingsToReject"]).astype(np.uint8),
        largest_radius=parameters["TakeGrainMax"] == 1,
        spot_rows=_spot_rows(found.ids, spots),
        lengths=np.where(usable, np.diff(found.offsets), 0),
        status=np.full(len(ids), NOT_INDEXED, np.int32),
    )


def _refine(writer: RefinedWriter, refiner: Refiner, work: _Work, rows: range, threads: int) -> RefinedSeeds:
    """Refine this member's rows in chunks, each written as soon as it is done; of those that are, read them."""
    parts, chunks = [], Chunks(CHUNK, threads)
    with progress.bar(len(rows), "Refinement", "seeds") as advance:
        for piece, done in writer.pieces(rows):
            if done:
                parts.append(writer.read(piece))
                work.status[piece.start - rows.start : piece.stop - rows.start] = REFINED
                advance(len(piece))
                continue
            for chunk in chunks.of(piece):
                start = chunk.start - rows.start
                part = _refine_chunk(refiner, work, slice(start, start + len(chunk)), threads)
                writer.write(chunk.start, part)
                _log_rows(part, start, len(rows))
                parts.append(part)
                advance(len(chunk))
    _warn(work)
    return joined_seeds(parts)


def _spot_rows(ids: NDArray[np.int64], spots: Table) -> NDArray[np.int64]:
    """Row of each spot id in the spot table, -1 for an id that is not there."""
    inside = (ids >= 1) & (ids <= len(spots))
    rows = np.where(inside, ids - 1, 0)
    known = inside & (spots["spot_id"][rows] == ids)
    if not known.all():
        unknown = np.unique(ids[~known])
        log.warning("Spot ids of the indexer that are not in the spot table are left out: %s", _some(unknown))
    return np.where(known, rows, -1)


def _refine_chunk(refiner: Refiner, work: _Work, chunk: slice, threads: int) -> RefinedSeeds:
    """Adjacent rows; sets their status."""
    ids, found = work.ids[chunk], work.found
    offsets = offsets_of(work.lengths[chunk])
    entries = entries_of(found.offsets[:-1][chunk], work.lengths[chunk])
    spot_rows = work.spot_rows[entries]
    orientations, positions = (np.ascontiguousarray(found.column(name)[chunk]) for name in ("orientation", "position"))
    solutions, spots, counts, status = refiner.refine(orientations, positions, offsets, spot_rows, threads)
    work.status[chunk] = status
    solved = status == REFINED
    expected, matched = found.column("expected")[chunk], found.column("matched")[chunk]
    records = filled(
        ORIENT_POS_FIT,
        solutions,
        **dict.fromkeys(("id", "id_position", "id_cell", "id_errors"), ids),
        grain_radius=grain_radii(offsets, spot_rows, found.radii[entries], work.rejected, work.largest_radius),
        completeness=np.divide(matched, expected, out=np.zeros(len(ids)), where=expected >= 1),
    )
    records[~solved] = np.zeros((), ORIENT_POS_FIT)
    key = np.where(solved[:, None], np.stack([ids, counts], axis=1), 0).astype(np.int32)
    # A row's matched spots stand at the front of its part of `spots`.
    spots = spots[entries_of(offsets[:-1], key[:, 1])]
    rows = spots["row"]
    of_table = {name: work.spots[name][rows] for name in _OF_SPOT}
    fits = filled(FIT_BEST, spots, spot_id=rows + 1, **of_table)
    return RefinedSeeds(key, records, offsets_of(key[:, 1]), (rows + 1).astype(np.int32), fits)


# Messages
def _log_rows(part: RefinedSeeds, start: int, total: int) -> None:
    """The line that the legacy program prints for every seed."""
    if not log.isEnabledFor(logging.INFO):
        return
    angles = np.degrees(euler_angles(part.column("orientation").reshape(-1, 3, 3)))
    errors = np.stack([part.column(name) for name in ("diff_pos", "diff_ome", "diff_angle")], axis=1)
    position, cell = part.column("position"), part.column("cell")
    for i in np.flatnonzero(part.key[:, 0]):
        log.info(
            "SpotID %6d, %6d out of %6d, Errors: %7.2f %6.4f %6.4f, Fitvals: Pos: %7.2f %7.2f %7.2f, "
            "Orient: %7.2f %7.2f %7.2f, LatC: %6.4f %6.4f %6.4f %7.3f %7.3f %7.3f",
            part.key[i, 0], start + i, total, *errors[i], *position[i], *angles[i], *cell[i],
        )  # fmt: skip


def _warn(work: _Work) -> None:
    """Seeds that the indexer had solved and that have no result now, with the reason."""
    matched, status = work.found.column("matched"), work.status
    reasons: tuple[tuple[str, NDArray[np.bool_]], ...] = (
        (f"have more than {SLOT} spots, which the file format cannot hold", matched > SLOT),
        ("have no spot that is in the spot table", status == NO_VALID_SPOT),
        ("have no spot that the found orientation explains", status == NOTHING_MATCHED),
        ("gave no finite result", status == NOT_FINITE),
    )
    for reason, rows in reasons:
        if rows.any():
            log.warning("%d seeds %s: %s", np.count_nonzero(rows), reason, _some(work.ids[rows]))
    if len(status) and not matched.any():
        log.warning("Nothing was found during indexing, nothing to do.")


def _some(numbers: NDArray[np.int64]) -> str:
    """The first few of a list."""
    return ", ".join(map(str, numbers[:10].tolist())) + (", ..." if len(numbers) > 10 else "")
