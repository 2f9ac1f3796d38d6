"""Orientation and position for every start spot: ``IndexerOMP`` (docs/theory/indexing.md)."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from midas._ext.index.indexer import Indexer
from midas._ext.index.table import SpotTable
from midas.experiment import crystal
from midas.experiment.detector import has_exact_wedge, surface_tilts
from midas.experiment.orientation import rotation_range
from midas.experiment.region import accepted_region
from midas.formats import hkls as hkl_format
from midas.formats import index
from midas.formats.binary import filled
from midas.formats.grains import ORIENTATION, read_grains
from midas.formats.index import IndexedSeeds
from midas.formats.layer import Layer
from midas.formats.passes import SeedPass, back_to_first
from midas.formats.spots import NO_SPOT, SPOTS_BINARY, read_binary_spots, read_seed_ids
from midas.formats.table import Layout, Table, integer
from midas.runtime import progress
from midas.runtime.errors import OutputError, StageError, UsageError
from midas.runtime.files import remove
from midas.runtime.parallel import SERIAL, Communicator
from midas.runtime.result import StageResult
from midas.stages.digits import digits

if TYPE_CHECKING:
    from midas.parameters import Parameters

log = logging.getLogger(__name__)

#: ``SpotsToIndex.csv`` of seed mode
_TRACKED = Layout(header="", columns=(integer("spot_id"), integer("grain_id")))

#: smallest step and bin, degrees: finer ones would fill the memory with tables
_FINEST = 0.001

#: seeds searched between two writes; many more than threads, few enough to keep memory flat
_CHUNK = 512


@digits
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

    Returns
    -------
    StageResult whose data is the `IndexedSeeds` of this member
    """
    started = time.perf_counter()
    if seed_count is not None and seed_count < 0:
        raise UsageError("must not be negative", key="nSpotsToIndex", value=seed_count)
    p = parameters.for_stage("indexing")
    if (tracking := bool(p.get("GrainsFile"))) and comm.rank != 0:
        comm.barrier()
        return StageResult("indexing", {}, index.join(range(0), []))
    spots, hkls = _inputs(layer, spots, hkls)
    rings = rings_in_use(p, hkls)
    if not tracking:
        _forget_passes(layer, seeds, comm)
    indexer = make_indexer(layer, p, rings, spots, hkls)
    ids = None if tracking and not layer.spots_to_index.exists() and seeds is None else _seed_ids(layer, seeds)
    slots = _slots(ids, seed_count)
    if ids is None or tracking:
        data = _track(layer, p, indexer, spots, slots, threads)
        comm.barrier()
    else:
        start = _start_rows(spots, ids[:slots], rings)
        with index.open_slots(layer.index_best, layer.index_best_full, slots, comm) as writer:
            data = _index(writer, indexer, start, spots, comm.rows(slots), threads)
    log.info("Finished, time elapsed: %f seconds.", time.perf_counter() - started)
    return StageResult("indexing", _summary(data, SERIAL if tracking else comm), data)


def _slots(ids: NDArray[np.int64] | None, seed_count: int | None) -> int:
    """Slots of the output files: what was asked for, else one a seed."""
    if seed_count is None:
        return 0 if ids is None else len(ids)
    if ids is not None and seed_count > len(ids):
        log.warning("nSpotsToIndex is %d, but there are %d seeds; the other slots stay empty", seed_count, len(ids))
    return seed_count


@digits
def run_again(
    layer: Layer,
    parameters: Parameters,
    seed_pass: SeedPass,
    *,
    threads: int,
    comm: Communicator = SERIAL,
    spots: Table | None = None,
    hkls: Table | None = None,
) -> StageResult[IndexedSeeds]:
    """Index the seeds of a later pass among the spots that it sees; the rows of the passes before stay as they are.

    See docs/theory/indexing.md#passes.

    Parameters
    ----------
    spots, hkls : as of `run`

    Returns
    -------
    StageResult whose data is the `IndexedSeeds` of this member
    """
    p = parameters.for_stage("indexing").changed(Completeness=seed_pass.completeness)
    spots, hkls = _inputs(layer, spots, hkls)
    spots, rings = _seen(spots, seed_pass), rings_in_use(p, hkls)
    indexer = make_indexer(layer, p, rings, spots, hkls)
    start, mine = _start_rows(spots, seed_pass.seeds, rings), comm.rows(len(seed_pass.seeds))
    best, full = layer.index_best, layer.index_best_full
    with index.append_slots(best, full, seed_pass.first, len(seed_pass.seeds), comm) as writer:
        data = _index(writer, indexer, start, spots, mine, threads, seed_pass.first)
    return StageResult("indexing", _summary(data, comm), data)


def _seen(spots: Table, seed_pass: SeedPass) -> Table:
    """The spots with those that the pass does not see on no ring, where nothing matches them."""
    hidden = Table(spots.names, spots.columns.copy())
    hidden["ring"][~np.isin(spots["spot_id"], seed_pass.visible)] = 0
    return hidden


def _forget_passes(layer: Layer, seeds: ArrayLike | None, comm: Communicator) -> None:
    """Who indexes the seeds of the file again begins with the first pass. Only the first rank may have others."""
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


def _seed_ids(layer: Layer, seeds: ArrayLike | None) -> NDArray[np.int64]:
    return read_seed_ids(layer.spots_to_index, blanks=True) if seeds is None else np.asarray(seeds, np.int64)


def _start_rows(spots: Table, ids: NDArray[np.int64], rings: dict[int, float]) -> NDArray[np.int64]:
    """Row of each start spot, -1 where there is none that can be indexed."""
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
    return np.where(on_ring, rows, -1)


def rings_in_use(p: Parameters, hkls: Table) -> dict[int, float]:
    """Ring number to radius (µm), in the order of the file."""
    numbers, radii = p["RingNumbers"], p["RingRadii"]
    if not radii:
        raise p.error("RingRadii", "is missing; give one line per ring")
    if len(numbers) < len(radii):
        raise p.error("RingNumbers", f"{len(radii)} RingRadii lines need as many RingNumbers lines")
    rings: dict[int, float] = {}
    for number, radius in zip(numbers, radii, strict=False):
        if not radius > 0:
            raise p.error("RingRadii", f"ring {number} must have a radius greater than 0")
        if number not in hkls["ring"]:
            raise p.error("RingNumbers", f"ring {number} has no reflection in hkls.csv")
        rings.setdefault(number, radius)
    return rings


def _beside_spots(layer: Layer) -> tuple[Path, Path]:
    """The mask of the user and the pixels of the detector, which stand beside Spots.bin."""
    folder = layer.spots_binary.parent
    return folder / layer.detector_mask.name, folder / layer.detector_pixels.name


def make_indexer(layer: Layer, p: Parameters, rings: dict[int, float], spots: Table, hkls: Table) -> Indexer:
    """The kernel with everything that is the same for all seeds."""
    for key in ("StepSizeOrient", "OmeBinSize", "EtaBinSize"):
        if not p[key] >= _FINEST:
            raise p.error(key, f"must be at least {_FINEST} degrees, is {p[key]:g}")
    numbers = list(rings)
    place = {number: i for i, number in enumerate(numbers)}
    # The last reflection of a ring represents it.
    last = hkls.take(np.array([np.flatnonzero(hkls["ring"] == number)[-1] for number in numbers]))
    used = hkls.take(np.isin(hkls["ring"], numbers))
    log.info("No of hkl's: %d", len(used))
    excluded = np.isin(numbers, p["RingsToExcludeFraction"])
    if excluded.all():
        log.warning("RingsToExcludeFraction names all rings: nothing can be indexed")
    ranges = _rotation_ranges(p, last)
    return Indexer(
        _spot_table(p, spots, place),
        radii=np.array(list(rings.values())),
        two_theta=last["two_theta"],
        rotation_range=ranges,
        ring_g=np.column_stack([last["g1"], last["g2"], last["g3"]]),
        excluded=excluded,
        g=np.column_stack([used["g1"], used["g2"], used["g3"]]),
        theta=used["theta"],
        hkl_ring=np.array([place[ring] for ring in used["ring"].tolist()], dtype=np.int32),
        region=accepted_region(p, *_beside_spots(layer)),
        lsd=p["Lsd"],
        wedge=p["Wedge"],
        exact_wedge=has_exact_wedge(p),
        tilts=surface_tilts(p),
        r_sample=p["Rsample"],
        h_beam=p["Hbeam"],
        position_step=p["StepSizePos"],
        orientation_step=p["StepSizeOrient"],
        margin_omega=p["MarginOme"],
        margin_eta=p["MarginEta"],
        margin_radius=p["MarginRadius"],
        margin_radial=p["MarginRadial"],
        min_completeness=p["Completeness"],
        friedel=p["UseFriedelPairs"] == 1,
    )


def _rotation_ranges(p: Parameters, last: Table) -> NDArray[np.float64]:
    """Degrees about the plane normal of the last reflection of each ring after which the spots repeat."""
    group = int(p["SpaceGroup"])
    angles, rhombohedral = (90.0, 90.0, 90.0), False
    if 3 <= group <= 15 or 143 <= group <= 167:  # else the number alone says it
        angles = p["LatticeParameter"][3:]
        rhombohedral = crystal.chosen_setting(p, p["LatticeParameter"]).rhombohedral_axes
    indices = zip(last["h"], last["k"], last["l"], strict=True)
    return np.array([rotation_range(group, hkl, angles, rhombohedral) for hkl in indices])


def _spot_table(p: Parameters, spots: Table, place: dict[int, int]) -> SpotTable:
    """The look-up of the observed spots; `place` is the index of each ring."""
    return SpotTable(
        spots["y_ideal"],
        spots["z_ideal"],
        spots["omega_ideal"],
        spots["eta"],
        spots["grain_radius"],
        spots["radial_deviation"],
        np.array([place.get(ring, -1) for ring in spots["ring"].tolist()], dtype=np.int32),
        n_rings=len(place),
        omega_bin=p["OmeBinSize"],
        margin_omega=p["MarginOme"],
        orientation_step=p["StepSizeOrient"],
    )


# ---------------------------------------------------------------- work


def _seeds_of(
    rows: range, spots: Table, seeds: NDArray[np.void], offsets: NDArray[np.int64], matched: NDArray[np.int32]
) -> IndexedSeeds:
    """Records of the kernel with spot ids and radii in place of row numbers."""
    expected = seeds["expected"]
    if len(expected) and expected.max() > index.SLOT:
        raise StageError(
            f"seed {rows[int(np.argmax(expected))]} has {expected.max()} theoretical spots, a slot of "
            f"IndexBestFull.bin holds {index.SLOT}; use fewer rings"
        )
    best, ids = filled(index.BEST, seeds), spots["spot_id"][matched].astype(np.int64)
    return IndexedSeeds(rows, best, offsets, ids, spots["grain_radius"][matched])


def _index(
    writer: index.SlotWriter,
    indexer: Indexer,
    start: NDArray[np.int64],
    spots: Table,
    mine: range,
    threads: int,
    kept: int = 0,
) -> IndexedSeeds:
    """Search this member's seeds chunk by chunk and write each chunk's slots, behind those `kept` of earlier passes."""
    parts = []
    with progress.bar(len(mine), "Indexing", "seed") as advance:
        for first in range(mine.start, mine.stop, _CHUNK):
            own = range(first, min(first + _CHUNK, mine.stop))
            chosen = np.full(len(own), -1, np.int64)
            present = start[own.start : own.stop]
            chosen[: len(present)] = present
            rows = range(kept + own.start, kept + own.stop)
            part = _seeds_of(rows, spots, *indexer.search(chosen, threads=threads))
            writer.write(part)
            parts.append(part)
            _log_found(part, chosen, spots, range(kept + mine.start, kept + mine.stop))
            advance(len(own))
    return index.join(range(kept + mine.start, kept + mine.stop), parts)


def _log_found(part: IndexedSeeds, start: NDArray[np.int64], spots: Table, mine: range) -> None:
    if not log.isEnabledFor(logging.INFO):
        return
    for i in np.flatnonzero(part.found):
        expected, matched = part.best["expected"][i], part.best["matched"][i]
        log.info(
            "IDNr: %d, Total: %d, ID: %d, Confidence: %f, nExp: %f, nObs: %f, omega: %f",
            part.rows[i] - mine.start, len(mine), spots["spot_id"][start[i]], matched / expected, expected, matched,
            spots["omega_ideal"][start[i]],
        )  # fmt: skip


def _track(layer: Layer, p: Parameters, indexer: Indexer, spots: Table, slots: int, threads: int) -> IndexedSeeds:
    """Seed mode: match the grains of `GrainsFile`, make their first spots the start spots.

    See docs/theory/indexing.md#given-grains.
    """
    grains = read_grains(layer.folder / Path(p["GrainsFile"]), through="GrainRadius", strict=False)
    orientations = grains.numbers(ORIENTATION)
    positions = np.column_stack([grains["X"], grains["Y"], grains["Z"]])
    found, offsets, matched, fractions = indexer.evaluate(
        orientations, positions, grains["GrainRadius"], threads=threads
    )
    part = _seeds_of(range(len(grains)), spots, found, offsets, matched)
    rows = range(max(slots, len(grains)))
    with index.open_slots(layer.index_best, layer.index_best_full, len(rows), SERIAL) as writer:
        writer.write(part)
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
