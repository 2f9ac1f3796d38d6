"""The search of the seeds of a run: which of them, in which order, in which parts.

See docs/theory/indexing.md#explained-seeds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from midas._ext.index.indexer import Indexer
from midas.formats import index
from midas.formats.binary import filled
from midas.formats.index import IndexedSeeds
from midas.formats.marks import runs_of
from midas.formats.table import Table
from midas.runtime import progress
from midas.runtime.chunks import Chunks
from midas.runtime.errors import StageError
from midas.runtime.parallel import Communicator
from midas.stages.explained_seeds import Explanation, Solutions

log = logging.getLogger(__name__)

#: seeds searched between two writes at most: few enough to keep memory flat
_CHUNK = 512
#: of the seeds that nothing explains yet, this part is searched in each wave; and no fewer than so many
WAVE, LEAST_WAVE = 1 / 16, 64
#: of the golden section: seeds in steps of it lie far from each other
_GOLDEN = 0.6180339887498949


def seeds_of(
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


@dataclass
class SeedSearch:
    """Searches seeds and fills their slots.

    Parameters
    ----------
    writer : of the slots
    indexer : the kernel
    start : row of each seed among the spots; -1 for one that cannot be searched
    spots : table of Spots.bin
    mine : seeds whose slots this member fills
    threads : of the kernel
    kept : slots of earlier passes, before those of these seeds
    """

    writer: index.SlotWriter
    indexer: Indexer
    start: NDArray[np.int64]
    spots: Table
    mine: range
    threads: int
    kept: int = 0
    _parts: list[IndexedSeeds] = field(default_factory=list)
    _advance: Callable[[int], object] = lambda n: None

    @property
    def _rows(self) -> range:
        return range(self.kept + self.mine.start, self.kept + self.mine.stop)

    @cached_property
    def _done(self) -> NDArray[np.bool_]:
        """Which seeds of this member an interrupted run has searched."""
        return self.writer.done(self._rows)

    def every_one(self) -> IndexedSeeds:
        """Search all seeds of this member."""
        with progress.bar(len(self.mine), "Indexing", "seed") as self._advance:
            return replace(self._search(np.arange(self.mine.start, self.mine.stop)), rows=self._rows)

    def unexplained(self, explanation: Explanation, comm: Communicator) -> IndexedSeeds:
        """Search seeds in waves, and in each of them only those that nothing explains which is found so far.

        What is searched does not depend on how many members there are. Those of legacy blocks do not know each other:
        each searches the seeds of all of them, and fills its own slots.
        """
        alone = comm.size > 1 and not comm.connected
        waiting = in_wide_steps(np.flatnonzero(self.start >= 0))
        with progress.bar(len(self.mine), "Indexing", "seed") as self._advance:
            while len(waiting):
                wave = np.sort(waiting[: max(int(WAVE * len(waiting)), LEAST_WAVE)])
                own = wave[(wave >= self.mine.start) & (wave < self.mine.stop)]
                found = self._search(own)
                if alone:
                    found = self._with_others(wave, own, found)
                solutions = explanation.refined(found)
                explanation.add(solutions if alone else Solutions.joined(comm.share(solutions)))
                waiting = waiting[len(wave) :]
                waiting = waiting[~explanation.explained[self.start[waiting]]]
            self._fill_others()
        return index.join(self._rows, sorted(self._parts, key=lambda part: part.rows.start))

    def _search(self, seeds: NDArray[np.int64]) -> IndexedSeeds:
        """These seeds of this member, ascending; of those that are done, what is written."""
        done = self._done[seeds - self.mine.start]
        first = len(self._parts)
        for run in runs_of(done):
            for rows in _stretches(seeds[run.start : run.stop]):
                self._keep(self.writer.read(range(rows.start + self.kept, rows.stop + self.kept)))
        wanted, chunks = seeds[~done], Chunks(_CHUNK, self.threads)
        for own in chunks.of(range(len(wanted))):
            chosen = wanted[own.start : own.stop]
            found = self._found(chosen)
            at = 0
            for rows in _stretches(chosen):
                part = found.part(slice(at, at + len(rows)), range(rows.start + self.kept, rows.stop + self.kept))
                self.writer.write(part)
                self._keep(part)
                at += len(rows)
        return index.join(range(len(seeds)), sorted(self._parts[first:], key=lambda part: part.rows.start))

    def _found(self, seeds: NDArray[np.int64]) -> IndexedSeeds:
        rows = range(self.kept + int(seeds[0]), self.kept + int(seeds[0]) + len(seeds))
        found = seeds_of(rows, self.spots, *self.indexer.search(self.start[seeds], threads=self.threads))
        _log_found(found, seeds - self.mine.start, self.start[seeds], self.spots, len(self.mine))
        return found

    def _keep(self, part: IndexedSeeds) -> None:
        self._parts.append(part)
        self._advance(len(part))

    def _with_others(self, wave: NDArray[np.int64], own: NDArray[np.int64], found: IndexedSeeds) -> IndexedSeeds:
        """The seeds of a wave, of which those of this member are found."""
        before, after = wave[wave < self.mine.start], wave[wave >= self.mine.stop]
        parts = [self._found(before)] if len(before) else []
        parts += [found] if len(own) else []
        parts += [self._found(after)] if len(after) else []
        return index.join(range(len(wave)), parts)

    def _fill_others(self) -> None:
        """Empty slots for the seeds that were not searched."""
        left = np.ones(len(self.mine), bool)
        for part in self._parts:
            left[part.rows.start - self._rows.start : part.rows.stop - self._rows.start] = False
        for rows in runs_of(left, self._rows.start):
            for start in range(rows.start, rows.stop, _CHUNK):
                part = index.join(range(start, min(start + _CHUNK, rows.stop)), [])
                self.writer.write(part)
                self._keep(part)


def in_wide_steps(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same numbers, each far from those before it: neighbours in the list of seeds lie on the same frame."""
    place = np.arange(len(numbers)) * _GOLDEN % 1.0
    return numbers[np.argsort(place, kind="stable")]


def _stretches(rows: NDArray[np.int64]) -> list[range]:
    """Adjacent ones of these ascending numbers."""
    ends = np.flatnonzero(np.diff(rows) != 1) + 1
    return [range(int(part[0]), int(part[-1]) + 1) for part in np.split(rows, ends) if len(part)]


def _log_found(
    found: IndexedSeeds, numbers: NDArray[np.int64], start: NDArray[np.int64], spots: Table, total: int
) -> None:
    """The line that the legacy program prints for every indexed seed."""
    if not log.isEnabledFor(logging.INFO):
        return
    for i in np.flatnonzero(found.found):
        expected, matched = found.best["expected"][i], found.best["matched"][i]
        log.info(
            "IDNr: %d, Total: %d, ID: %d, Confidence: %f, nExp: %f, nObs: %f, omega: %f",
            numbers[i], total, spots["spot_id"][start[i]], matched / expected, expected, matched,
            spots["omega_ideal"][start[i]],
        )  # fmt: skip
