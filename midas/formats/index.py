"""Results of the indexer: ``IndexBest.bin`` and ``IndexBestFull.bin`` (docs/theory/indexing.md#results).

Every seed has a slot of fixed size in both files, and every member of a run writes the slots of its own seeds.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from midas.formats.binary import FLOAT64, numbers, read_records
from midas.formats.slots import SlotFile
from midas.runtime.errors import FormatError
from midas.runtime.files import remove, replace
from midas.runtime.ragged import offsets_of

if TYPE_CHECKING:
    from midas.runtime.parallel import Communicator

#: spots that fit into the slot of one seed in IndexBestFull, ProcessKey and FitBest: a limit of the file format
SLOT = 5000

#: ``IndexBest.bin``: per seed
BEST = np.dtype(
    [
        ("internal_angle", "<f8"),
        ("orientation", "<f8", 9),
        ("position", "<f8", 3),
        ("expected", "<f8"),
        ("matched", "<f8"),
    ]
)

#: ``IndexBestFull.bin``: (spot id, grain radius) float64 pairs, SLOT per seed
FULL_BYTES = 16 * SLOT


@dataclass(frozen=True)
class IndexedSeeds:
    """What the indexer found for some seeds.

    Parameters
    ----------
    rows : slots of these seeds in the files
    best : (n,) of `BEST`; zeros where nothing was found
    offsets : (n + 1,) int64 into `ids` and `radii`: the matched spots of one seed after the other
    ids : (m,) int64
    radii : (m,) float64, grain radius of the spots, µm
    """

    rows: range
    best: NDArray[np.void]
    offsets: NDArray[np.int64]
    ids: NDArray[np.int64]
    radii: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.best)

    def spots(self, i: int) -> slice:
        """The part of `ids` and `radii` that belongs to seed `i` of these."""
        return slice(self.offsets[i], self.offsets[i + 1])

    def column(self, name: str) -> NDArray[np.float64]:
        """A field of `best`: (n,), or (n, k) where it holds k numbers."""
        field: NDArray[np.float64] = self.best[name]
        return field

    @property
    def found(self) -> NDArray[np.bool_]:
        """Which seeds have a result."""
        return self.column("matched") > 0


def join(rows: range, parts: list[IndexedSeeds]) -> IndexedSeeds:
    """The seeds `rows` from their parts, in order; seeds beyond the parts have no result."""
    best = np.zeros(len(rows), BEST)
    lengths = np.zeros(len(rows), np.int64)
    done = 0
    for part in parts:
        numbers(best)[done : done + len(part)] = numbers(part.best)
        lengths[done : done + len(part)] = np.diff(part.offsets)
        done += len(part)
    offsets = offsets_of(lengths)
    ids = np.concatenate([part.ids for part in parts]) if parts else np.empty(0, np.int64)
    radii = np.concatenate([part.radii for part in parts]) if parts else np.empty(0)
    return IndexedSeeds(rows, best, offsets, ids, radii)


def read(
    best_path: str | os.PathLike[str], full_path: str | os.PathLike[str], rows: range | None = None
) -> IndexedSeeds:
    """The slots `rows` of both files, all of them by default; rows beyond the end of ``IndexBest.bin`` have no result.

    A row with more spots than fit into a slot keeps its count in `best`, and has no spots here.

    Raises
    ------
    FormatError
        when a file is missing or cut off, or holds no spots where ``IndexBest.bin`` counts some
    """
    records = read_records(best_path, BEST, (), written_by="ff-index", mapped=True)
    rows = range(len(records)) if rows is None else rows
    if len(rows) and not len(records):
        raise FormatError("is empty; run ff-index again", file=best_path)
    best = np.zeros(len(rows), BEST)
    found = records[rows.start : rows.stop]
    numbers(best)[: len(found)] = numbers(found)
    matched = best["matched"]
    if (bad := np.flatnonzero(~((matched >= 0) & (matched == np.trunc(matched))))).size:
        raise FormatError(f"slot {rows[bad[0]]} holds {matched[bad[0]]:g} matched spots", file=best_path)
    counts = np.where(matched > SLOT, 0, matched).astype(np.int64)
    offsets = offsets_of(counts)
    pairs = np.empty((offsets[-1], 2))
    slots = read_records(full_path, FLOAT64, (SLOT, 2), written_by="ff-index", mapped=True)
    for i in np.flatnonzero(counts):
        if rows[i] >= len(slots):
            raise FormatError(f"ends before slot {rows[i]}, which has spots in {best_path}", file=full_path)
        pairs[offsets[i] : offsets[i + 1]] = slots[rows[i], : counts[i]]
    ids = np.where(np.abs(pairs[:, 0]) < 2**53, pairs[:, 0], 0).astype(np.int64)
    return IndexedSeeds(rows, best, offsets, ids, np.ascontiguousarray(pairs[:, 1]))


class SlotWriter:
    """Both files, open for writing. Made by `open_slots`."""

    def __init__(self, best: SlotFile, full: SlotFile, overwrite: bool):
        self._best, self._full = best, full
        self._overwrite = overwrite

    def write(self, seeds: IndexedSeeds) -> None:
        """Fill the slots of these seeds; what a slot held before is gone."""
        self._best.write(seeds.rows.start, seeds.best.tobytes())
        pairs = np.column_stack([seeds.ids.astype("<f8"), seeds.radii.astype("<f8")])
        for i, row in enumerate(seeds.rows):
            used = pairs[seeds.spots(i)].tobytes()
            self._full.write(row, used)
            if self._overwrite:
                self._full.clear(row, len(used))


@contextmanager
def append_slots(best_path: Path, full_path: Path, first: int, slots: int, comm: Communicator) -> Iterator[SlotWriter]:
    """Open both files for the rows ``first ... first + slots - 1`` behind those that are there and stay as they are.

    Readers take as many rows as there are seeds, so that rows of a run that was stopped are never seen.
    """
    with SlotFile(best_path, BEST.itemsize) as best, SlotFile(full_path, FULL_BYTES) as full:
        if comm.rank == 0:
            for file in (best, full):
                file.shorten(first)
                file.reserve(first + slots)
        comm.barrier()
        yield SlotWriter(best, full, overwrite=False)
    comm.barrier()


@contextmanager
def open_slots(best_path: Path, full_path: Path, slots: int, comm: Communicator) -> Iterator[SlotWriter]:
    """Open both files with room for `slots` seeds, for the members of `comm` to fill side by side.

    A run that knows all its members (one process, or MPI) writes under temporary names and renames at the end. Legacy
    blocks cannot wait for each other: each creates the files if they are missing, extends them if they are short, never
    truncates, and overwrites its own slots completely, so that blocks may run in any order.
    """
    together = comm.size == 1 or comm.connected
    names = (best_path, full_path)
    targets = tuple(path.with_name(path.name + ".part") for path in names) if together else names
    first = together and comm.rank == 0
    if first:
        remove(*names, *targets)
    comm.barrier()
    try:
        with SlotFile(targets[0], BEST.itemsize) as best, SlotFile(targets[1], FULL_BYTES) as full:
            had_content = [file.reserve(slots) for file in (best, full)]
            yield SlotWriter(best, full, overwrite=any(had_content) and not together)
        comm.barrier()
        if first:
            for target, path in zip(targets, names, strict=True):
                replace(target, path)
    except BaseException:
        if first:
            for target in targets:
                target.unlink(missing_ok=True)
        raise
