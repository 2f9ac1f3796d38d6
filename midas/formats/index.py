"""Results of the indexer: ``IndexBest.bin`` and ``IndexBestFull.bin`` (docs/theory/indexing.md#results).

Every seed has a slot of fixed size in both files, and every member of a run writes the slots of its own seeds.
``IndexBest.marks`` tells which slots are written (docs/theory/indexing.md#marks).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from midas.formats.binary import FLOAT64, numbers, read_records
from midas.formats.marks import MarkFile, begin, give_names, is_marked, marks_file
from midas.formats.slots import SlotFile, read_slots, unfinished
from midas.runtime.errors import FormatError
from midas.runtime.files import remove
from midas.runtime.ragged import offsets_of

if TYPE_CHECKING:
    from midas.runtime.parallel import Communicator

#: spots that fit into the slot of one seed in IndexBestFull, ProcessKey and FitBest: a limit of the file format
SLOT = 5000

#: nobody expects as many spots of a grain
_MOST_SPOTS = 1 << 31

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


#: ``IndexBest.bin``, ``IndexBestFull.bin`` and their marks
_Names: TypeAlias = tuple[Path, Path, Path]


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

    def part(self, chosen: slice, rows: range) -> IndexedSeeds:
        """Some of these seeds in a row, which have the slots `rows`."""
        first, last = self.offsets[chosen.start], self.offsets[chosen.stop]
        offsets = self.offsets[chosen.start : chosen.stop + 1] - first
        return IndexedSeeds(rows, self.best[chosen], offsets, self.ids[first:last], self.radii[first:last])

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
    best_path: str | os.PathLike[str],
    full_path: str | os.PathLike[str],
    rows: range | None = None,
    missing: NDArray[np.bool_] | None = None,
) -> IndexedSeeds:
    """The slots `rows` of both files, all of them by default; rows beyond the end of ``IndexBest.bin`` have no result.

    A row with more spots than fit into a slot keeps its count in `best`, and has no spots here.

    Parameters
    ----------
    missing : (rows,) flags of those that count as if nothing was found

    Raises
    ------
    FormatError
        when a file is missing or cut off, or holds no spots where ``IndexBest.bin`` counts some
    """
    best_path, full_path = Path(best_path), Path(full_path)
    records = read_records(best_path, BEST, (), written_by="ff-index")
    rows = range(len(records)) if rows is None else rows
    if len(rows) and not len(records):
        raise FormatError("is empty; run ff-index again", file=best_path)
    best = np.zeros(len(rows), BEST)
    found = records[rows.start : rows.stop]
    numbers(best)[: len(found)] = numbers(found)
    if missing is not None:
        best[missing] = np.zeros((), BEST)
    matched, expected = best["matched"], best["expected"]
    sound = (matched >= 0) & (matched < _MOST_SPOTS) & (matched == np.trunc(matched))
    for name, count, good in (("matched", matched, sound), ("expected", expected, np.abs(expected) < _MOST_SPOTS)):
        if (bad := np.flatnonzero(~good)).size:
            reason = f"slot {rows[bad[0]]} holds {count[bad[0]]:g} {name} spots; it is damaged, run ff-index again"
            raise FormatError(reason, file=best_path)
    counts = np.where(matched > SLOT, 0, matched).astype(np.int64)
    offsets = offsets_of(counts)
    pairs = _pairs(best_path, full_path, rows, counts)
    ids = np.where(np.abs(pairs[:, 0]) < 2**53, pairs[:, 0], 0).astype(np.int64)
    return IndexedSeeds(rows, best, offsets, ids, np.ascontiguousarray(pairs[:, 1]))


def _pairs(best_path: Path, full_path: Path, rows: range, counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """(spot id, grain radius) of the spots of each row, one row after the other."""
    try:
        length = full_path.stat().st_size
    except OSError as error:
        raise FormatError(f"cannot be read ({error.strerror}); run ff-index first", file=full_path) from None
    if length % FULL_BYTES:
        reason = f"has {length} bytes, not a multiple of {FULL_BYTES} bytes a record; it is cut off"
        raise FormatError(reason, file=full_path)
    used = np.flatnonzero(counts) + rows.start
    if used.size and used[-1] >= length // FULL_BYTES:
        first = used[np.searchsorted(used, length // FULL_BYTES)]
        raise FormatError(f"ends before slot {first}, which has spots in {best_path}", file=full_path)
    found = read_slots(
        full_path, FLOAT64, FULL_BYTES, used, 2 * counts[used - rows.start], written_by="ff-index", what="spots"
    )
    return found.reshape(-1, 2)


class SlotWriter:
    """Both files and their marks, open for writing. Made by `open_slots` and `append_slots`.

    Parameters
    ----------
    overwrite : whether the slots may hold anything
    """

    def __init__(self, best: SlotFile, full: SlotFile, marks: MarkFile, overwrite: bool):
        self._best, self._full, self._marks = best, full, marks
        self._overwrite = overwrite

    def done(self, rows: range) -> NDArray[np.bool_]:
        """(rows,) which of these the run has indexed before it was interrupted."""
        return self._marks.of(rows)

    def read(self, rows: range) -> IndexedSeeds:
        """What is written of these rows."""
        return read(self._best.path, self._full.path, rows)

    def write(self, seeds: IndexedSeeds) -> None:
        """Fill the slots of these seeds; what a slot held before is gone."""
        self._best.write(seeds.rows.start, seeds.best.tobytes())
        pairs = np.column_stack([seeds.ids.astype("<f8"), seeds.radii.astype("<f8")])
        for i, row in enumerate(seeds.rows):
            used = pairs[seeds.spots(i)].tobytes()
            self._full.write(row, used)
            if self._overwrite:
                self._full.clear(row, len(used))
        self._marks.put(seeds.rows)


@contextmanager
def _opened(best: Path, full: Path, marks: Path, mark: int) -> Iterator[tuple[SlotFile, SlotFile, MarkFile]]:
    with SlotFile(best, BEST.itemsize) as of_best, SlotFile(full, FULL_BYTES) as of_full, MarkFile(marks, mark) as of:
        yield of_best, of_full, of


@contextmanager
def append_slots(
    best_path: Path, full_path: Path, rows: range, comm: Communicator, *, mark: int, resume: bool = False
) -> Iterator[SlotWriter]:
    """Open both files for these rows behind those that are there and stay as they are.

    Readers take as many rows as there are seeds, so that rows of a run that was stopped are never seen.

    Parameters
    ----------
    mark : of the run
    resume : rows that have this mark stay, too
    """
    marks_path = marks_file(best_path)
    with _opened(best_path, full_path, marks_path, mark) as (best, full, marks):
        kept = resume and comm.rank == 0 and bool(is_marked(marks_path, rows, mark).any())
        if comm.rank == 0:
            for file in (marks, best, full):
                if not kept:
                    file.shorten(rows.start)
                file.reserve(rows.stop)
        comm.barrier()
        yield SlotWriter(best, full, marks, overwrite=resume)
    comm.barrier()


@contextmanager
def open_slots(
    best_path: Path,
    full_path: Path,
    slots: int,
    comm: Communicator,
    *,
    mark: int,
    resume: bool = False,
) -> Iterator[SlotWriter]:
    """Open both files with room for `slots` seeds, for the members of `comm` to fill side by side.

    A run that knows all its members (one process, or MPI) writes under names of their own and renames at the end. What
    it has written by then stays when it is interrupted, for a run with the same mark that is to go on. Legacy blocks
    cannot wait for each other: each creates the files if they are missing, extends them if they are short, never
    truncates, and overwrites its own slots completely, so that blocks may run in any order.

    Parameters
    ----------
    mark : of the run
    resume : slots that have this mark stay as they are
    """
    names = (best_path, full_path, marks_file(best_path))
    if comm.size > 1 and not comm.connected:
        with _open_block(names, comm.rows(slots), slots, mark, resume) as writer:
            yield writer
        return
    own = (unfinished(best_path), unfinished(full_path), unfinished(names[2]))
    if comm.rank == 0:
        begin(names, own, range(slots), mark, resume=resume)
    comm.barrier()
    complete = resume and best_path.exists() and bool(is_marked(names[2], range(slots), mark).all())
    targets = names if complete else own
    comm.barrier()
    try:
        with _opened(*targets, mark) as (best, full, marks):
            for file in (best, full, marks):
                file.reserve(slots)
            yield SlotWriter(best, full, marks, overwrite=resume)
        comm.barrier()
    except BaseException:
        if comm.rank == 0 and not complete and not is_marked(own[2], range(slots), mark).any():
            for path in own:
                path.unlink(missing_ok=True)  # there is nothing to go on with
        raise
    if comm.rank == 0 and not complete:
        give_names(own, names)


@contextmanager
def _open_block(names: _Names, mine: range, slots: int, mark: int, resume: bool) -> Iterator[SlotWriter]:
    """The files of a run whose members do not know each other, for one of them."""
    if not resume:
        remove(*map(unfinished, names))
    with _opened(*names, mark) as (best, full, marks):
        marks.reserve(slots)
        marks.clear_others(range(slots))
        if not resume:
            marks.clear(mine)
        had_content = [file.reserve(slots) for file in (best, full)]
        yield SlotWriter(best, full, marks, overwrite=any(had_content))
