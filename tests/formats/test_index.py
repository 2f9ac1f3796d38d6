"""Slots of the indexer's files: any order of blocks, sparse, complete or absent."""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path

import numpy as np
import pytest

from midas.formats import index, marks
from midas.formats.binary import numbers
from midas.formats.index import BEST, FULL_BYTES, SLOT, IndexedSeeds
from midas.runtime.errors import FormatError, OutputError
from midas.runtime.parallel import SERIAL, Communicator


def seeds(rows: range, seed: int = 0) -> IndexedSeeds:
    """Random results; every third seed has none."""
    rng = np.random.default_rng(seed)
    counts = np.array([0 if row % 3 == 2 else int(rng.integers(1, 40)) for row in rows], dtype=np.int64)
    best = np.zeros(len(rows), BEST)
    numbers(best)[:] = rng.normal(size=(len(rows), 15)) * (counts > 0)[:, None]
    best["matched"] = counts
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return IndexedSeeds(rows, best, offsets, rng.integers(1, 999, offsets[-1]), rng.uniform(1, 99, offsets[-1]))


def part(whole: IndexedSeeds, rows: range) -> IndexedSeeds:
    a, b = whole.offsets[rows.start], whole.offsets[rows.stop]
    offsets = whole.offsets[rows.start : rows.stop + 1] - a
    return IndexedSeeds(rows, whole.best[rows.start : rows.stop], offsets, whole.ids[a:b], whole.radii[a:b])


def write(folder: Path, whole: IndexedSeeds, comm: Communicator = SERIAL, mark: int = 7) -> tuple[bytes, bytes]:
    paths = folder / "IndexBest.bin", folder / "IndexBestFull.bin"
    with index.open_slots(*paths, len(whole), comm, mark=mark) as writer:
        writer.write(part(whole, comm.rows(len(whole))))
    return paths[0].read_bytes(), paths[1].read_bytes()


def equal(a: IndexedSeeds, b: IndexedSeeds) -> bool:
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ("best", "offsets", "ids", "radii"))


def test_what_is_written_reads_back(tmp_path):
    whole = seeds(range(11))
    best, full = write(tmp_path, whole)
    assert (len(best), len(full)) == (11 * BEST.itemsize, 11 * FULL_BYTES) == (11 * 120, 11 * 80000)
    again = index.read(tmp_path / "IndexBest.bin", tmp_path / "IndexBestFull.bin")
    assert again.rows == range(11) and equal(again, whole)
    some = index.read(tmp_path / "IndexBest.bin", tmp_path / "IndexBestFull.bin", range(4, 9))
    assert equal(some, part(whole, range(4, 9)))
    pairs = np.frombuffer(full).reshape(11, SLOT, 2)
    np.testing.assert_array_equal(pairs[0, : whole.offsets[1], 0], whole.ids[: whole.offsets[1]])
    assert not pairs[0, whole.offsets[1] :].any() and not pairs[2].any()


def test_the_large_file_is_sparse(tmp_path):
    write(tmp_path, seeds(range(50)))
    status = (tmp_path / "IndexBestFull.bin").stat()
    assert status.st_blocks * 512 < status.st_size / 5


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("stale", [False, True])
def test_blocks_in_any_order_give_the_same_files(tmp_path, order, stale):
    whole = seeds(range(8))
    reference = write(tmp_path, whole)
    folder = tmp_path / "blocks"
    folder.mkdir()
    if stale:
        write(folder, seeds(range(8), seed=1), mark=6)
    for rank in order:
        result = write(folder, whole, Communicator(rank, 3))
    assert result == reference


def test_more_blocks_than_seeds(tmp_path):
    whole = seeds(range(5))
    for rank in reversed(range(8)):
        result = write(tmp_path, whole, Communicator(rank, 8))
    folder = tmp_path / "one"
    folder.mkdir()
    assert result == write(folder, whole)


def test_a_single_member_replaces_a_longer_file(tmp_path):
    write(tmp_path, seeds(range(9)))
    best, full = write(tmp_path, seeds(range(4), seed=2))
    assert (len(best), len(full)) == (4 * BEST.itemsize, 4 * FULL_BYTES)


def test_an_error_leaves_no_file(tmp_path):
    with pytest.raises(ZeroDivisionError), index.open_slots(tmp_path / "a", tmp_path / "b", 3, SERIAL, mark=7):
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


def test_an_error_leaves_what_is_written_under_names_of_its_own(tmp_path):
    """Who goes on finds it; who begins anew removes it."""
    paths, whole = (tmp_path / "a.bin", tmp_path / "b.bin"), seeds(range(4))
    with pytest.raises(ZeroDivisionError), index.open_slots(*paths, 4, SERIAL, mark=7) as writer:
        writer.write(part(whole, range(1, 3)))
        raise ZeroDivisionError
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["a.bin.unfinished", "a.marks.unfinished", "b.bin.unfinished"]
    with index.open_slots(*paths, 4, SERIAL, mark=7, resume=True) as writer:
        assert np.flatnonzero(writer.done(range(4))).tolist() == [1, 2]
        assert equal(writer.read(range(1, 3)), part(whole, range(1, 3)))
        for rows in (range(1), range(3, 4)):
            writer.write(part(whole, rows))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.bin", "a.marks", "b.bin"]
    assert equal(index.read(*paths), whole)
    with index.open_slots(*paths, 4, SERIAL, mark=8, resume=True) as writer:  # another run
        assert not writer.done(range(4)).any()
        writer.write(whole)
    with index.open_slots(*paths, 4, SERIAL, mark=8) as writer:
        assert not writer.done(range(4)).any()


def test_blocks_go_on_and_one_process_goes_on_with_what_they_have(tmp_path):
    paths, whole = (tmp_path / "IndexBest.bin", tmp_path / "IndexBestFull.bin"), seeds(range(9))
    write(tmp_path, seeds(range(9), seed=3), mark=6)
    write(tmp_path, whole, Communicator(1, 3))
    with index.open_slots(*paths, 9, Communicator(1, 3), mark=7, resume=True) as writer:
        assert writer.done(range(3, 6)).all()
    with index.open_slots(*paths, 9, SERIAL, mark=7, resume=True) as writer:
        assert np.flatnonzero(writer.done(range(9))).tolist() == [3, 4, 5]
        for rows in (range(3), range(6, 9)):
            writer.write(part(whole, rows))
    assert equal(index.read(*paths), whole)
    with index.open_slots(*paths, 9, SERIAL, mark=7, resume=True) as writer:
        assert writer.done(range(9)).all()
    found = paths[0].read_bytes(), paths[1].read_bytes()
    folder = tmp_path / "one"
    folder.mkdir()
    assert found == write(folder, whole)


def test_a_run_that_ends_while_its_files_get_their_names(tmp_path, monkeypatch):
    paths, whole = (tmp_path / "IndexBest.bin", tmp_path / "IndexBestFull.bin"), seeds(range(3))
    for count in range(3):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(marks, "replace", interrupted_after(count))
            write(tmp_path, whole)
        assert not paths[0].exists()
        with index.open_slots(*paths, 3, SERIAL, mark=7, resume=True) as writer:
            assert writer.done(range(3)).all()
        assert equal(index.read(*paths), whole)


def interrupted_after(count: int):
    """`os.replace`, so many times."""
    left = iter(range(count))

    def replace(source, target):
        if next(left, None) is None:
            raise KeyboardInterrupt
        os.replace(source, target)

    return replace


@pytest.mark.parametrize("name", ["IndexBest.bin", "IndexBestFull.bin"])
def test_a_file_that_is_cut_off_while_it_is_read(tmp_path, monkeypatch, name):
    """An error, not the end of the process: nothing is mapped into memory."""
    write(tmp_path, seeds(range(30)))
    paths = tmp_path / "IndexBest.bin", tmp_path / "IndexBestFull.bin"
    read_slots = index.read_slots

    def cut(path, *more, **options):
        os.truncate(tmp_path / name, 0)
        return read_slots(path, *more, **options)

    monkeypatch.setattr(index, "read_slots", cut)
    if name == "IndexBest.bin":
        assert len(index.read(*paths)) == 30  # its records are in memory
    else:
        with pytest.raises(FormatError, match=r"IndexBestFull\.bin: has 0 bytes where its spots need"):
            index.read(*paths)


def test_a_missing_folder_is_named(tmp_path):
    path = tmp_path / "none" / "IndexBest.bin"
    with pytest.raises(OutputError, match=r"none/IndexBest\.bin"), index.open_slots(path, path, 1, SERIAL, mark=7):
        pass


def test_where_holes_are_unknown_zeros_are_written(tmp_path, monkeypatch):
    whole = seeds(range(4))
    reference = write(tmp_path, whole)
    folder = tmp_path / "blocks"
    folder.mkdir()
    write(folder, seeds(range(4), seed=5))

    def refuse(*_):
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(os, "lseek", refuse)
    for rank in (1, 0):
        result = write(folder, whole, Communicator(rank, 2))
    assert result == reference


def test_bad_files_are_refused(tmp_path):
    best, full = tmp_path / "IndexBest.bin", tmp_path / "IndexBestFull.bin"
    with pytest.raises(FormatError, match=r"IndexBest\.bin.*run ff-index first"):
        index.read(best, full)
    write(tmp_path, seeds(range(3)))
    content = bytearray(best.read_bytes())
    for number in (-1.0, 1.5, np.nan, np.inf, 1e308):
        content[BEST.itemsize - 8 : BEST.itemsize] = np.float64(number).tobytes()
        best.write_bytes(content)
        with pytest.raises(FormatError, match=re.escape(f"slot 0 holds {number:g} matched")):
            index.read(best, full)
    best.write_bytes(content[:-1])
    with pytest.raises(FormatError, match="cut off"):
        index.read(best, full)


def test_rows_beyond_the_end_have_no_result(tmp_path):
    whole = seeds(range(3))
    write(tmp_path, whole)
    best, full = tmp_path / "IndexBest.bin", tmp_path / "IndexBestFull.bin"
    longer = index.read(best, full, range(1, 6))
    assert len(longer) == 5 and not numbers(longer.best)[2:].any()
    np.testing.assert_array_equal(numbers(longer.best)[:2], numbers(whole.best)[1:])
    full.write_bytes(full.read_bytes()[:FULL_BYTES])
    with pytest.raises(FormatError, match="ends before slot 1"):
        index.read(best, full)


def test_more_spots_than_a_slot_holds_are_left_out(tmp_path):
    write(tmp_path, seeds(range(3)))
    best, full = tmp_path / "IndexBest.bin", tmp_path / "IndexBestFull.bin"
    content = bytearray(best.read_bytes())
    content[BEST.itemsize - 8 : BEST.itemsize] = np.float64(SLOT + 1).tobytes()
    best.write_bytes(content)
    data = index.read(best, full)
    assert data.best["matched"][0] == SLOT + 1 and data.spots(0) == slice(0, 0)


def test_no_seeds_at_all(tmp_path):
    assert write(tmp_path, seeds(range(0))) == (b"", b"")
    assert len(index.read(tmp_path / "IndexBest.bin", tmp_path / "IndexBestFull.bin")) == 0
