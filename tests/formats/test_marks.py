"""Marks of slots: which rows of a file the last run has written."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from midas.formats.marks import (
    MarkFile,
    begin,
    described,
    is_marked,
    mark_of,
    marks_file,
    read_marks,
    runs_of,
    unwritten,
)
from midas.formats.slots import unfinished
from midas.runtime.errors import FormatError

KEYS = ("a" * 64, "b" * 64)


def flags(*rows: range, total: int) -> np.ndarray:
    found = np.zeros(total, bool)
    for part in rows:
        found[part.start : part.stop] = True
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "IndexBest.bin"


def marked(path: Path, *runs: tuple[str, range]) -> None:
    for key, rows in runs:
        with MarkFile(marks_file(path), mark_of(key)) as marks:
            marks.put(rows)


def test_a_mark_is_the_first_eight_bytes_of_the_key(path: Path) -> None:
    key = "0123456789abcdef" + 48 * "0"
    marked(path, (key, range(2, 4)))
    assert marks_file(path).name == "IndexBest.marks"
    assert marks_file(path).read_bytes() == bytes(16) + 2 * bytes.fromhex(key[:16])
    assert mark_of("0" * 64) == 1


def test_without_a_file_nothing_is_missing(path: Path) -> None:
    assert read_marks(marks_file(path), range(3)) is None
    assert not unwritten(path, range(3), [3]).any()
    assert not is_marked(marks_file(path), range(3), mark_of(KEYS[0])).any()


def test_rows_that_nobody_has_written(path: Path) -> None:
    marked(path, (KEYS[0], range(4)))
    assert unwritten(path, range(6), [6]).tolist() == flags(range(4, 6), total=6).tolist()
    assert unwritten(path, range(3, 5), [6]).tolist() == [False, True]
    marks_file(path).write_bytes(b"")
    assert unwritten(path, range(6), [6]).all()


def test_rows_of_another_run_than_the_rest(path: Path) -> None:
    marked(path, (KEYS[0], range(2)), (KEYS[1], range(2, 6)))
    assert unwritten(path, range(6), [6]).tolist() == flags(range(2), total=6).tolist()
    assert not unwritten(path, range(6), [2, 4]).any(), "each pass of the indexing is a run of its own"


def test_members_forget_other_runs_and_go_on_with_their_own(path: Path) -> None:
    marked(path, (KEYS[0], range(8)), (KEYS[1], range(2, 4)))
    with MarkFile(marks_file(path), mark_of(KEYS[1])) as marks:
        marks.clear_others(range(8))
        assert marks.pieces(range(1, 6)) == [(range(1, 2), False), (range(2, 4), True), (range(4, 6), False)]
        marks.clear(range(3, 4))
    assert unwritten(path, range(8), [8]).tolist() == [True, True, False, *[True] * 5]


@pytest.mark.parametrize(
    ("missing", "total", "words"),
    [
        ([range(512, 1024)], 2048, "rows 512-1023 (block 1 of 4?) of 2048 were"),
        ([range(500, 999)], 999, "rows 500-998 (block 1 of 2?) of 999 were"),
        ([range(7)], 7, "rows 0-6 of 7 were"),
        ([range(3, 4)], 9, "row 3 (block 3 of 9?) of 9 was"),
        ([range(2, 5)], 9, "rows 2-4 of 9 were"),
        ([range(3), range(5, 6)], 9, "rows 0-2, 5 of 9 were"),
        ([range(i, i + 1) for i in range(0, 16, 2)], 20, "rows 0, 2, 4, 6, 8 and 3 more ranges of 20 were"),
    ],
)
def test_what_is_missing_in_words(missing: list[range], total: int, words: str) -> None:
    found = flags(*missing, total=total)
    assert runs_of(found) == missing
    assert described(found, 0, total) == words


def test_a_file_that_cannot_be_read(path: Path) -> None:
    marks_file(path).mkdir()
    with pytest.raises(FormatError, match=r"IndexBest\.marks"):
        read_marks(marks_file(path), range(3))


@pytest.mark.parametrize("written", [range(6), range(4)])
@pytest.mark.parametrize("stop", range(4))
def test_stopped_between_two_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: range, stop: int) -> None:
    """A resumed run that is stopped while files change their names, and resumed again, has all that was written."""
    rows, mark = range(6), 77
    names = [tmp_path / name for name in ("Key.bin", "FitBest.bin", "Key.marks")]
    own = [unfinished(path) for path in names]
    # complete, but for the names; or some blocks of it
    files = own if written == rows else names
    for path in files[:-1]:
        path.write_bytes(b"of the run")
    with MarkFile(files[-1], mark) as marks:
        marks.reserve(len(rows))
        marks.put(written)
    if written == rows:
        files[-1].rename(names[-1])
    calls = []

    def stopping(path: Path, name: Path) -> None:
        calls.append(path)
        if len(calls) > stop:
            raise KeyboardInterrupt
        path.rename(name)

    with monkeypatch.context() as patch:
        patch.setattr("midas.formats.marks.replace", stopping)
        with suppress(KeyboardInterrupt):
            begin(names, own, rows, mark, resume=True)
    begin(names, own, rows, mark, resume=True)
    there = names if written == rows else own
    assert [path.read_bytes() for path in there[:-1]] == [b"of the run"] * 2
    assert is_marked(there[-1], rows, mark).sum() == len(written)
