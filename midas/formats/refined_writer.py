"""Writes the results of the refinement so that no reader ever takes half a result for a whole one.

See docs/theory/refinement.md#writing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from midas.formats.layer import Layer
from midas.formats.marks import MarkFile, begin, give_names, is_marked
from midas.formats.passes import abandon_append, begin_append, keep_later_keys, partial_key
from midas.formats.refined import (
    FIT_BEST_BYTES,
    KEY_BYTES,
    ORIENT_POS_FIT,
    PROCESS_KEY_BYTES,
    RefinedFiles,
    RefinedSeeds,
    read_rows,
)
from midas.formats.slots import SlotFile
from midas.runtime.files import remove
from midas.runtime.named_paths import make_subfolder

if TYPE_CHECKING:
    from midas.runtime.parallel import Communicator


class RefinedWriter:
    """The four files and their marks, open for the rows of one member of a run. Made by `open_refined`.

    A row gets its key once its other records are written, and its mark last.
    """

    def __init__(self, files: RefinedFiles, mark: int, stack: ExitStack):
        sizes = (KEY_BYTES, ORIENT_POS_FIT.itemsize, PROCESS_KEY_BYTES, FIT_BEST_BYTES)
        slots = [stack.enter_context(SlotFile(path, size)) for path, size in zip(files, sizes, strict=False)]
        self._key, self._orient_pos_fit, self._process_key, self._fit_best = slots
        self._marks = stack.enter_context(MarkFile(files.marks, mark))
        self._files = files

    def begin(self, rows: range, total: int, resume: bool, together: bool) -> None:
        """Set the keys of the rows that are to be refined to "no result"."""
        if not resume:
            for file in (self._key, self._marks):
                file.shorten(total)
        self._marks.reserve(total)
        if not together:
            self._marks.clear_others(range(total))
            if not resume:
                self._marks.clear(rows)
        for piece, done in self.pieces(rows):
            if not done:
                self._key.write(piece.start, bytes(KEY_BYTES * len(piece)))
        if not resume:  # once nobody takes an earlier key for one of this run
            for file in (self._orient_pos_fit, self._process_key, self._fit_best):
                file.shorten(total)

    def pieces(self, rows: range) -> list[tuple[range, bool]]:
        """Stretches of these rows, and whether the run has refined them before it was interrupted."""
        return self._marks.pieces(rows)

    def read(self, rows: range) -> RefinedSeeds:
        """What is written of these rows."""
        return read_rows(self._files, rows)

    def write(self, start: int, seeds: RefinedSeeds) -> None:
        """Write adjacent rows from row `start` on."""
        solved = np.flatnonzero(seeds.key[:, 0])
        if solved.size and seeds.fit_best is not None:
            for row in solved.tolist():
                spots = slice(seeds.offsets[row], seeds.offsets[row + 1])
                self._fit_best.write(start + row, seeds.fit_best[spots].tobytes())
                self._process_key.write(start + row, seeds.spot_ids[spots].astype("<i4").tobytes())
            first, last = int(solved[0]), int(solved[-1]) + 1
            self._orient_pos_fit.write(start + first, seeds.orient_pos_fit[first:last].tobytes())
            self._key.write(start + first, seeds.key[first:last].astype("<i4").tobytes())
        self._marks.put(range(start, start + len(seeds.key)))


@contextmanager
def open_refined(
    layer: Layer, rows: range, every: range, comm: Communicator, *, mark: int, resume: bool = False
) -> Iterator[RefinedWriter]:
    """Open the files for the rows of one member of a run.

    A run that knows all its members (one process, or MPI) writes under names of their own and renames at the end. What
    it has written by then stays when it is interrupted, for a run with the same mark that is to go on. Legacy blocks
    cannot wait for each other and write under the names themselves.

    Parameters
    ----------
    rows : what this member writes
    every : rows of the whole run; those in front of them are of earlier passes and stay, and the keys are then those of
        `midas.formats.passes.partial_key` until `midas.formats.passes.commit`
    mark : of the run
    resume : rows that have this mark stay, too
    """
    files, together = RefinedFiles.of(layer), comm.size == 1 or comm.connected
    first = together and comm.rank == 0
    kept, total, complete = every.start, every.stop, False
    own = replace(files, key=partial_key(layer)) if kept else files.unfinished if together else files
    if kept and first:
        begin_append(layer, every, mark, resume=resume)
    elif first:
        begin([*files], [*own], every, mark, resume=resume)
        if resume and len(every) and is_marked(files.marks, every, mark).all():
            keep_later_keys(layer, total)
    elif not together and not resume:
        remove(*files.unfinished)
    comm.barrier()
    if resume and together and not kept:
        complete = files.key.exists() and bool(is_marked(files.marks, every, mark).all())
    comm.barrier()
    make_subfolder(layer.output)
    make_subfolder(layer.results)
    try:
        with ExitStack() as stack:
            writer = RefinedWriter(files if complete else own, mark, stack)
            writer.begin(rows, total, resume, together)
            yield writer
        comm.barrier()
    except BaseException:
        if first and not complete and not is_marked(own.marks, every, mark).any():
            _abandon(layer, own, kept)  # there is nothing to go on with
        raise
    if first and not complete and not kept:
        give_names([*own], [*files])
    comm.barrier()


def _abandon(layer: Layer, own: RefinedFiles, kept: int) -> None:
    """Leave no part of a result."""
    if kept:
        abandon_append(layer, kept)
    else:
        remove(*own)
