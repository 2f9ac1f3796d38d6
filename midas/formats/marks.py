"""Which slots of a binary file a run has written: ``IndexBest.marks``, ``Key.marks`` (docs/formats.md#marks).

A mark is the first eight bytes of the key of the run (docs/theory/indexing.md#marks); zero where no run with the key of
the file has been.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from midas.formats.slots import SlotFile, shorten
from midas.runtime.errors import FormatError
from midas.runtime.files import ordinary, remove, replace
from midas.runtime.locks import one_at_a_time

#: one slot
MARK = np.dtype("<u8")

#: ranges of rows that a message lists
_MOST_LISTED = 5


def mark_of(key: str) -> int:
    """The mark of a run, of its key; never 0."""
    return int.from_bytes(bytes.fromhex(key)[: MARK.itemsize], "little") or 1


def marks_file(path: Path) -> Path:
    """Where the marks of a slot file stand."""
    return path.with_suffix(".marks")


def read_marks(path: Path, rows: range) -> NDArray[np.uint64] | None:
    """The marks of these rows, 0 behind the end; None where there is no such file."""
    try:
        ordinary(path)
        content = np.fromfile(path, MARK, count=len(rows), offset=rows.start * MARK.itemsize)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FormatError(f"cannot be read ({error.strerror})", file=path) from None
    found = np.zeros(len(rows), np.uint64)
    found[: len(content)] = content
    return found


def runs_of(flags: NDArray[np.bool_], first: int = 0) -> list[range]:
    """The stretches of set flags, of rows that begin with `first`.

    Examples
    --------
    >>> runs_of(np.array([True, True, False, True]), 10)
    [range(10, 12), range(13, 14)]
    """
    steps = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]]))) + first
    return [range(start, stop) for start, stop in zip(steps[::2].tolist(), steps[1::2].tolist(), strict=True)]


def unwritten(path: Path, rows: range, passes: Sequence[int]) -> NDArray[np.bool_]:
    """Which of these rows nobody has written, or another run than the rest.

    Parameters
    ----------
    path : the slot file
    passes : seeds of each indexing pass, each of which is a run of its own

    Returns
    -------
    (rows,) flags; none is set where there are no marks
    """
    marks = read_marks(marks_file(path), rows)
    missing = np.zeros(len(rows), bool)
    if marks is None:
        return missing
    for end, seeds in zip(np.cumsum(passes).tolist(), passes, strict=True):
        own = slice(max(end - seeds - rows.start, 0), max(end - rows.start, 0))
        found, counts = np.unique(marks[own][marks[own] > 0], return_counts=True)
        missing[own] = marks[own] != (found[np.argmax(counts)] if len(found) else 1)
    return missing


def described(missing: NDArray[np.bool_], first: int, total: int) -> str:
    """The missing rows in words, for a message.

    Examples
    --------
    >>> described(np.array([False, False, True, True]), 0, 4)
    'rows 2-3 (block 1 of 2?) of 4 were'
    """
    found = runs_of(missing, first)
    words = [f"{rows.start}-{rows.stop - 1}" if len(rows) > 1 else f"{rows.start}" for rows in found[:_MOST_LISTED]]
    more = f" and {len(found) - _MOST_LISTED} more ranges" if len(found) > _MOST_LISTED else ""
    block = _block(found[0], total) if len(found) == 1 else ""
    one = np.count_nonzero(missing) == 1
    return f"{'row' if one else 'rows'} {', '.join(words)}{more}{block} of {total} {'was' if one else 'were'}"


def _block(rows: range, total: int) -> str:
    """Which legacy block these rows look like."""
    if len(rows) == total:
        return ""
    length = len(rows)
    if rows.stop == total:  # the last block may be shorter than the others
        length = next((n for n in range(length, rows.start + 1) if rows.start % n == 0), 0)
    if not length or rows.start % length:
        return ""
    blocks = -(-total // length)
    return f" (block {rows.start // length} of {blocks}?)" if -(-total // blocks) == length else ""


class MarkFile:
    """The marks of a run, open for the rows of one member of it.

    Parameters
    ----------
    mark : of the run
    """

    def __init__(self, path: str | os.PathLike[str], mark: int):
        self._file = SlotFile(path, MARK.itemsize)
        self._mark = mark

    def __enter__(self) -> MarkFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def reserve(self, rows: int) -> None:
        """Room for so many rows."""
        self._file.reserve(rows)

    def of(self, rows: range) -> NDArray[np.bool_]:
        """Which of these rows this run has written."""
        return is_marked(self._file.path, rows, self._mark)

    def pieces(self, rows: range) -> list[tuple[range, bool]]:
        """Stretches of these rows, in order, and whether this run has written them."""
        done = self.of(rows)
        pieces = [(piece, True) for piece in runs_of(done, rows.start)]
        pieces += [(piece, False) for piece in runs_of(~done, rows.start)]
        return sorted(pieces, key=lambda piece: piece[0].start)

    def put(self, rows: range) -> None:
        """Mark rows whose content is written."""
        self._file.write(rows.start, np.full(len(rows), self._mark, MARK).tobytes())

    def clear(self, rows: range) -> None:
        """Rows that are to be written."""
        if len(rows):
            self._file.write(rows.start, bytes(len(rows) * MARK.itemsize))

    def clear_others(self, rows: range) -> None:
        """Rows that another run has written do not count any more; several members may come here at once."""
        with self._file.reporting():
            handle = self._file.opened()
        with one_at_a_time(handle):
            marks = read_marks(self._file.path, rows)
            if marks is not None:
                for stale in runs_of((marks != self._mark) & (marks != 0), rows.start):
                    self.clear(stale)

    def shorten(self, rows: int) -> None:
        """Cut off the marks behind so many rows."""
        shorten(self._file.path, rows * MARK.itemsize)


def is_marked(path: Path, rows: range, mark: int) -> NDArray[np.bool_]:
    """Which of these rows have this mark; none where there is no file."""
    marks = read_marks(path, rows)
    return np.zeros(len(rows), bool) if marks is None else marks == mark


def begin(names: Sequence[Path], own: Sequence[Path], rows: range, mark: int, *, resume: bool) -> None:
    """Leave of the files of a run what it goes on with; without `resume` nothing.

    Parameters
    ----------
    names, own : the files when they are complete, and until then; their marks stand last
    rows : of the whole run
    """
    if resume and len(rows) and is_marked(names[-1], rows, mark).all():
        give_names(own, names)  # interrupted on the way
    elif resume and is_marked(own[-1], rows, mark).any():
        remove(*names)
    elif resume and is_marked(names[-1], rows, mark).any():  # some blocks of the run were through
        for path, unfinished in zip(names, own, strict=True):  # the marks last, or they would tell of what is not there
            if path.exists():
                replace(path, unfinished)
    else:
        remove(*names, *own)


def give_names(files: Sequence[Path], names: Sequence[Path]) -> None:
    """Complete files get their names, the marks first: they tell a run that is to go on that all is written.

    Files that are not there have been given theirs, or hold nothing.
    """
    for path, name in zip(reversed(files), reversed(names), strict=True):
        if path.exists():
            replace(path, name)
