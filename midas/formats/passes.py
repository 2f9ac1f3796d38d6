"""Seeds of later indexing passes: ``SeedPasses.csv`` and the rows that it counts (docs/theory/indexing.md#passes).

The seeds of a later pass stand behind those of the first one in ``SpotsToIndex.csv`` and in every binary. The binaries
are extended first, which nobody sees, since a reader takes as many rows as there are seeds; then keys and seeds get
their names together.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from midas.formats.binary import INT32
from midas.formats.index import BEST, FULL_BYTES
from midas.formats.layer import Layer
from midas.formats.marks import MARK, is_marked, marks_file
from midas.formats.refined import FIT_BEST, FIT_BEST_BYTES, KEY_BYTES, ORIENT_POS_FIT, PROCESS_KEY_BYTES
from midas.formats.slots import shorten, unfinished
from midas.formats.table import Layout, Table, integer
from midas.runtime.errors import FormatError
from midas.runtime.files import read_bytes, remove, write_atomic, write_together

#: the passes and how many seeds each has; no such file after the first pass alone
SEED_PASSES = Layout(header="%Pass Seeds", columns=(integer("pass"), integer("seeds")))

_ADVICE = "run ff-setup again"


@dataclass(frozen=True)
class SeedPass:
    """One pass after the first.

    Parameters
    ----------
    number : 2 ...
    first : its first row, which is the number of seeds of the passes before
    seeds : (n,) int64 spot ids
    visible : (s,) int64 ids of the spots that the search sees
    completeness : smallest accepted one
    """

    number: int
    first: int
    seeds: NDArray[np.int64]
    visible: NDArray[np.int64]
    completeness: float

    @property
    def total(self) -> int:
        """Rows of all passes so far."""
        return self.first + len(self.seeds)


def partial_key(layer: Layer) -> Path:
    """Where the keys of all rows stand until the seeds of a pass are among the others."""
    return unfinished(layer.key)


def begin_append(layer: Layer, rows: range, mark: int, *, resume: bool = False) -> None:
    """Make room for these rows: what another run that was stopped left there goes, the rows before stay.

    Parameters
    ----------
    mark : of the run
    resume : rows with this mark stay, and so do those behind them
    """
    partial = partial_key(layer)
    marked = np.flatnonzero(is_marked(marks_file(layer.key), rows, mark)) if resume else np.empty(0, np.int64)
    if marked.size and _size(partial) >= (rows.start + int(marked[-1]) + 1) * KEY_BYTES:
        return
    abandon_append(layer, rows.start)
    write_atomic(partial, read_bytes(layer.key))


def keep_later_keys(layer: Layer, first: int) -> None:
    """Leave the keys of the `first` rows alone; those of later passes stand apart until a resumed run comes to them."""
    content, partial = read_bytes(layer.key, advice="run ff-refine first"), partial_key(layer)
    if len(content) <= first * KEY_BYTES:
        return
    # Those of a pass that was interrupted may be there, behind all that are among the others.
    if not (partial.exists() and read_bytes(partial).startswith(content)):
        write_atomic(partial, content)
    write_atomic(layer.key, content[: first * KEY_BYTES])


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def abandon_append(layer: Layer, first: int) -> None:
    """Leave the results of the refinement as they were with the `first` rows alone, to the byte."""
    remove(partial_key(layer))
    key = np.frombuffer(read_bytes(layer.key, advice="run ff-refine first"), INT32)
    if key.nbytes != first * KEY_BYTES:
        reason = f"has {key.nbytes} bytes where {first} seeds need {first * KEY_BYTES}"
        raise FormatError(reason, file=layer.key)
    ids, counts = key.reshape(first, 2).T
    last = int(np.flatnonzero(ids)[-1]) if ids.any() else -1
    spots = int(counts[last]) if ids.any() else 0
    ends = {
        layer.orient_pos_fit: (last + 1) * ORIENT_POS_FIT.itemsize,
        layer.process_key: last * PROCESS_KEY_BYTES + spots * INT32.itemsize,
        layer.fit_best: last * FIT_BEST_BYTES + spots * FIT_BEST.itemsize,
    }
    for path, end in ends.items():
        if last < 0:
            remove(path)
        else:
            shorten(path, end)
    shorten(marks_file(layer.key), first * MARK.itemsize)


def commit(layer: Layer, seed_pass: SeedPass) -> None:
    """The refined seeds of a pass become seeds like the others; ``SpotsToIndex.csv`` gets its name last."""
    known = read_bytes(layer.spots_to_index)
    if known and not known.endswith(b"\n"):
        known += b"\n"
    seeds = [*sizes(layer, seed_pass.first), len(seed_pass.seeds)]
    table = Table.from_columns(SEED_PASSES.names, {"pass": np.arange(1, len(seeds) + 1), "seeds": seeds})
    keys = read_bytes(partial_key(layer))
    contents = {
        layer.key: keys[: seed_pass.total * KEY_BYTES],
        layer.seed_passes: SEED_PASSES.format(table),
        layer.spots_to_index: known + "".join(f"{seed}\n" for seed in seed_pass.seeds.tolist()).encode(),
    }
    write_together(contents)
    if len(keys) <= seed_pass.total * KEY_BYTES:  # else those of the next pass are there, of a run that was interrupted
        remove(partial_key(layer))


def end(layer: Layer) -> None:
    """Leave nothing behind the rows of the seeds, where a resumed run kept what it then did not come to."""
    seeds = sum(sizes_of_all(layer))
    drop_indexed(layer, seeds)
    abandon_append(layer, seeds)


def sizes(layer: Layer, seeds: int) -> list[int]:
    """Seeds of each pass so far; `seeds` of them in all.

    A run that was stopped may have left one more pass than there are seeds of.

    Raises
    ------
    FormatError : for a list that cannot be that of these seeds
    """
    path = layer.seed_passes
    if not path.exists():
        return [seeds]
    table = SEED_PASSES.read(path)
    numbers, counts = table.integers("pass"), table.integers("seeds")
    if (bad := np.flatnonzero(numbers != np.arange(1, len(table) + 1))).size:
        reason = f"must be {bad[0] + 1}: the passes count from 1; {_ADVICE}"
        raise FormatError(reason, file=path, line=int(bad[0]) + 2, key="Pass", value=int(numbers[bad[0]]))
    if (bad := np.flatnonzero(counts < 1)).size:
        reason = f"must be greater than 0; {_ADVICE}"
        raise FormatError(reason, file=path, line=int(bad[0]) + 2, key="Seeds", value=int(counts[bad[0]]))
    ends = np.cumsum(counts)
    if seeds not in ends:
        total = int(ends[-1]) if len(ends) else 0
        reason = f"counts {total} seeds, {layer.spots_to_index.name} has {seeds}; {_ADVICE}"
        raise FormatError(f"{reason}, or remove this file if the seeds are your own", file=path)
    known: list[int] = counts[ends <= seeds].tolist()
    return known


def sizes_of_all(layer: Layer) -> list[int]:
    """Seeds of each pass, of all seeds of a layer."""
    return sizes(layer, len(read_bytes(layer.spots_to_index, advice="run ff-setup first").splitlines()))


def first_pass(layer: Layer, seeds: int) -> int:
    """How many of the seeds of a layer, `seeds` in all, are those of the first pass."""
    return sizes(layer, seeds)[0]


def back_to_first(layer: Layer) -> None:
    """Leave in ``SpotsToIndex.csv`` the seeds of the first pass alone, for who indexes them again.

    Raises
    ------
    FormatError : where ``SeedPasses.csv`` does not belong to the seeds; they stay as they are
    """
    if not layer.seed_passes.exists():
        return
    content = read_bytes(layer.spots_to_index, advice="run ff-setup first")
    lines = content.splitlines(keepends=True)
    first = first_pass(layer, len(lines))
    if first < len(lines):
        write_atomic(layer.spots_to_index, b"".join(lines[:first]))
    remove(layer.seed_passes)


def drop_indexed(layer: Layer, first: int) -> None:
    """Leave nothing of the rows from `first` on: the indexing has found nothing."""
    marks = marks_file(layer.index_best)
    for path, size in ((marks, MARK.itemsize), (layer.index_best, BEST.itemsize), (layer.index_best_full, FULL_BYTES)):
        shorten(path, first * size)
