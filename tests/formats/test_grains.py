"""Grain lists and their keys as text (docs/theory/grains.md#grain-list)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from midas.experiment.orientation import matrices_from_euler
from midas.formats.grains import (
    GRAINS,
    SPOT_MATRIX,
    GrainIdsKey,
    GrainsHeader,
    read_crystal,
    read_grain_ids_key,
    read_grains,
)
from midas.formats.simulated import read_grain_list
from midas.formats.table import Table
from midas.results.exchange import read_grain_list as read_any
from midas.runtime.errors import FormatError

HEADER = GrainsHeader(1, 1.5576264, 200.0, 100.0, 1, 225, (4.08, 4.08, 4.08, 90.0, 90.0, 90.0))


def write(path: Path, content: str) -> Path:
    path.write_text(content)
    return path


@pytest.mark.golden
@pytest.mark.parametrize("name", ["au3", "ds1", "ds2"])
def test_golden_tables_round_trip(golden: Callable[[str], Path], name: str) -> None:
    """What was read prints as the legacy text, header values included."""
    folder = golden(name)
    text = (folder / "Grains.csv").read_bytes()
    head = b"\n".join(text.split(b"\n")[:9]).decode()
    assert GRAINS.format(read_grains(folder / "Grains.csv"), header=head) == text
    text = (folder / "SpotMatrix.csv").read_bytes()
    assert SPOT_MATRIX.format(SPOT_MATRIX.read(folder / "SpotMatrix.csv")) == text
    assert read_grain_ids_key(folder / "GrainIDsKey.csv").format() == (folder / "GrainIDsKey.csv").read_bytes()


@pytest.mark.golden
def test_the_header_is_the_legacy_one(golden: Callable[[str], Path]) -> None:
    legacy = (golden("au3") / "Grains.csv").read_text().split("\n")[:9]
    assert HEADER.text().split("\n") == ["%NumGrains 1", *legacy[1:]]


@pytest.mark.golden
def test_a_list_to_simulate_has_nineteen_columns(golden: Callable[[str], Path]) -> None:
    table = read_grains(golden("au3") / "GrainsGen.csv")
    assert table["GrainID"].tolist() == [1, 2, 3]
    assert table["a"][0] == 4.081838
    assert not table["GrainRadius"].any()


@pytest.mark.parametrize(
    ("content", "message", "line"),
    [
        ("", "NumGrains", 1),
        ("1 0 0 0\n", "NumGrains", 1),
        ("%NumGrains many\n", "NumGrains", 1),
        (HEADER.text() + "\n", "announces 1 grains, but 0 follow", 1),
        (HEADER.text() + "\n1 2 3\n", "19 numbers", 10),
        (HEADER.text() + "\n" + "\t".join(["x"] * 47) + "\n", "19 numbers", 10),
    ],
)
def test_bad_grain_lists_are_named(tmp_path: Path, content: str, message: str, line: int) -> None:
    with pytest.raises(FormatError, match=message) as caught:
        read_grains(write(tmp_path / "Grains.csv", content))
    assert caught.value.line == line


GRAIN = "7 1 0 0 0 1 0 0 0 1 1 2 3 4.08 4.08 4.08 90 90 90"


@pytest.mark.parametrize(
    ("column", "numbers", "message"),
    [
        (1, "5", r"O11 \.\.\. O33: 5 0 0 .*: is an orientation matrix that is no rotation"),
        (9, "-1", r"O11 \.\.\. O33: .* is an orientation matrix that is no rotation"),
        (5, "1e17", r"O11 \.\.\. O33: .* is an orientation matrix that is no rotation"),
        (13, "0", r"a \.\.\. gamma: 0 4.08 .*: is no cell: must be six positive numbers"),
        (14, "-4.08", "is no cell: must be six positive numbers"),
        (15, "1e9", "is no cell: lengths must lie between"),
        (16, "180", "is no cell: angles must lie between 0 and 180 degrees"),
        (16, "30 30 90", "is no cell: no cell has these angles"),
    ],
)
def test_grains_that_cannot_be_are_named(tmp_path: Path, column: int, numbers: str, message: str) -> None:
    """By every reader of a grain list, also one of grains to simulate."""
    words, new = GRAIN.split(), numbers.split()
    words[column : column + len(new)] = new
    head = HEADER.text().replace("NumGrains 1", "NumGrains 2")
    path = write(tmp_path / "Grains.csv", f"{head}\n{GRAIN}\n\n{' '.join(words)}\n")
    with np.errstate(all="raise"):
        for strict in (True, False):
            with pytest.raises(FormatError, match=rf"Grains\.csv, line 12: .*{message}"):
                read_grains(path, strict=strict)
        with pytest.raises(FormatError, match=r"Grains\.csv: .*grain 2 of the list: is (no cell|an orientation)"):
            read_grain_list(path, matrices_from_euler)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ("SpaceGroup:999", "line 7: SpaceGroup: 999: must be the number of a space group"),
        ("SpaceGroup:0", "line 7: SpaceGroup: 0: must be the number of a space group"),
        ("SpaceGroup:Fm-3m", "line 7: SpaceGroup: Fm-3m: must be the number of a space group"),
        ("Lattice Parameter: 0 0 0 0 0 0", "line 8: Lattice Parameter: 0 0 0 0 0 0: must be six positive numbers"),
        ("Lattice Parameter: 4 4 4 90 90", "line 8: Lattice Parameter: 4 4 4 90 90: must be six positive numbers"),
        ("Lattice Parameter: 4 4 4 90 90 x", "line 8: Lattice Parameter: .* must be six positive numbers"),
        ("Lattice Parameter: 4 4 4 nan 90 90", "line 8: Lattice Parameter: .* must be six positive numbers"),
        ("Lattice Parameter: 4 4 4 30 30 90", "line 8: Lattice Parameter: .* no cell has these angles"),
    ],
)
def test_crystals_that_cannot_be_are_named(tmp_path: Path, told: str, message: str) -> None:
    """By all that ask for the crystal; a list that tells none is another matter."""
    lines = HEADER.text().split("\n")
    lines[6 if told.startswith("SpaceGroup") else 7] = f"%\t{told}"
    path = write(tmp_path / "Grains.csv", "\n".join(lines) + f"\n{GRAIN}\n")
    with pytest.raises(FormatError, match=rf"Grains\.csv, {message}"):
        read_crystal(path)
    with pytest.raises(FormatError, match=rf"Grains\.csv, {message}"):
        read_any(path)
    untold = write(tmp_path / "x.csv", "%NumGrains 1" + 9 * "\n" + f"{GRAIN}\n")
    assert (read_any(untold).space_group, read_any(untold).cell) == (None, None)
    with pytest.raises(FormatError, match="has no SpaceGroup and Lattice Parameter"):
        read_crystal(untold)


def test_a_list_of_one_line_is_cut_off(tmp_path: Path) -> None:
    for content in ("%NumGrains 4", "%NumGrains 4\n"):
        path = write(tmp_path / "Grains.csv", content)
        for read in (read_grains, read_any, partial(read_grain_list, rotations=matrices_from_euler)):
            with pytest.raises(FormatError, match=r"Grains\.csv: ends within its header; it is cut off"):
                read(path)


def test_an_empty_grain_list_is_read(tmp_path: Path) -> None:
    empty = HEADER.text().replace("NumGrains 1", "NumGrains 0") + "\n"
    assert len(read_grains(write(tmp_path / "Grains.csv", empty))) == 0
    assert GRAINS.format(Table(GRAINS.names, np.empty((47, 0))), header=empty.rstrip("\n")).decode() == empty


@given(st.lists(st.lists(st.tuples(st.integers(1, 10**6), st.integers(0, 10**5)), min_size=1, max_size=5), max_size=6))
def test_keys_round_trip(tmp_path_factory: pytest.TempPathFactory, groups: list[list[tuple[int, int]]]) -> None:
    pairs = np.array([pair for group in groups for pair in group], np.int64).reshape(-1, 2)
    starts = np.concatenate([[0], np.cumsum([len(g) for g in groups])]).astype(np.int64)
    key = GrainIdsKey(starts, pairs[:, 0], pairs[:, 1])
    path = tmp_path_factory.mktemp("key") / "GrainIDsKey.csv"
    path.write_bytes(key.format())
    back = read_grain_ids_key(path)
    assert back.format() == key.format()
    padded = back.padded()
    assert padded.shape == (len(groups), 2 * max(map(len, groups), default=0))
    for line, group in zip(padded, groups, strict=True):
        flat = [n for pair in group for n in pair]
        assert line.tolist() == flat + [-1] * (padded.shape[1] - len(flat))


@pytest.mark.parametrize("content", ["1 2 3 \n", "1 2\n\n3 4\n", "1 b \n", "1.5 2\n"])
def test_bad_keys_are_named(tmp_path: Path, content: str) -> None:
    with pytest.raises(FormatError, match="pairs of whole numbers"):
        read_grain_ids_key(write(tmp_path / "GrainIDsKey.csv", content))
