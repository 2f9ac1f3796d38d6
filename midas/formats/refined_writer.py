"""Writes the results of the refinement so that no reader ever takes half a result for a whole one.

See docs/theory/refinement.md#writing.
"""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType

import numpy as np

from midas.formats.layer import Layer
from midas.formats.passes import abandon_append, partial_key
from midas.formats.refined import FIT_BEST_BYTES, KEY_BYTES, ORIENT_POS_FIT, PROCESS_KEY_BYTES, RefinedSeeds
from midas.formats.slots import SlotFile
from midas.runtime.files import remove
from midas.runtime.named_paths import make_subfolder


def remove_refined(layer: Layer) -> None:
    """Remove the results of an earlier run; the keys first, since without them the rest means nothing."""
    remove(layer.key, partial_key(layer), layer.orient_pos_fit, layer.process_key, layer.fit_best)


class RefinedWriter:
    """The four files, open for the rows of one member of a run.

    Opening sets the keys of all these rows to "no result"; a row gets its key once its other records are written.

    Parameters
    ----------
    rows : what this member writes; when these are all of them, an error removes the files
    total : rows of the whole run
    kept : rows of earlier passes, which stand in front of them and stay; the keys are then those of `partial_key`
    """

    def __init__(self, layer: Layer, rows: range, total: int, kept: int = 0):
        self._stack = ExitStack()
        self._layer, self._rows, self._total, self._kept = layer, rows, total, kept
        sizes = (
            (partial_key(layer) if kept else layer.key, KEY_BYTES),
            (layer.orient_pos_fit, ORIENT_POS_FIT.itemsize),
            (layer.process_key, PROCESS_KEY_BYTES),
            (layer.fit_best, FIT_BEST_BYTES),
        )
        files = [SlotFile(path, size) for path, size in sizes]
        self._key, self._orient_pos_fit, self._process_key, self._fit_best = files

    def __enter__(self) -> RefinedWriter:
        make_subfolder(self._layer.output)
        make_subfolder(self._layer.results)
        try:
            for file in (self._key, self._orient_pos_fit, self._process_key, self._fit_best):
                self._stack.enter_context(file)
                file.shorten(self._total)
            if len(self._rows):
                self._key.write(self._rows.start, bytes(KEY_BYTES * len(self._rows)))
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._stack.close()
        except BaseException:
            self._abandon()
            raise
        if kind is not None:
            self._abandon()

    def _abandon(self) -> None:
        """Leave no part of a result, unless other members of the run have theirs in the same files."""
        if len(self._rows) + self._kept != self._total:
            return
        if self._kept:
            abandon_append(self._layer, self._kept)
        else:
            remove_refined(self._layer)

    def write(self, start: int, seeds: RefinedSeeds) -> None:
        """Write adjacent rows from row `start` on."""
        solved = np.flatnonzero(seeds.key[:, 0])
        if not solved.size or seeds.fit_best is None:
            return
        for row in solved.tolist():
            spots = slice(seeds.offsets[row], seeds.offsets[row + 1])
            self._fit_best.write(start + row, seeds.fit_best[spots].tobytes())
            self._process_key.write(start + row, seeds.spot_ids[spots].astype("<i4").tobytes())
        first, last = int(solved[0]), int(solved[-1]) + 1
        self._orient_pos_fit.write(start + first, seeds.orient_pos_fit[first:last].tobytes())
        self._key.write(start + first, seeds.key[first:last].astype("<i4").tobytes())
