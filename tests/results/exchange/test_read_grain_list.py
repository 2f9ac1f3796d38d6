"""Every kind of grain list is known by its content, and anything else is said to be none in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from midas.formats.grains import GRAINS
from midas.formats.matched import GRAIN_SET
from midas.formats.table import Table
from midas.results.exchange import nexus, read_grain_list
from midas.results.exchange.hexrd import format_grains
from midas.results.exchange.imaged11 import format_map
from midas.runtime.errors import FormatError

from ..matching.grain_files import CELL, quaternions, write
from .sample import exported, grains


@pytest.fixture
def own(tmp_path: Path) -> Path:
    random = np.random.default_rng(1)
    path = write(tmp_path / "LayerNr_1" / "Grains.csv", quaternions(3, 1), random.uniform(-9, 9, (3, 3)), [4, 9, 11])
    table = GRAINS.read(path)
    for number, name in enumerate(("Confidence", "eKen11", "eKen12", "eKen33"), 1):
        table[name][:] = [0.1 * number, 0.2, 0.3]
    GRAINS.write(path, table, header="\n".join(path.read_text().splitlines()[:9]))
    return path


def test_grains_and_layer_folder(own: Path) -> None:
    for path in (own, own.parent, str(own)):
        found = read_grain_list(path)
        np.testing.assert_array_equal(found.ids, [4, 9, 11])
        np.testing.assert_array_equal(found.radii, [50.0] * 3)
        np.testing.assert_array_equal(found.completeness, [0.1, 0.2, 0.3])
        np.testing.assert_allclose(found.strains[0, [0, 0, 2], [0, 1, 2]], [0.2, 0.3, 0.4])
        assert (found.space_group, found.cell, found.name) == (225, CELL, str(own))


def test_list_of_true_grains(own: Path) -> None:
    lines = own.read_text().splitlines()
    short = own.with_name("true.txt")
    short.write_text("\n".join([*lines[:9], *("\t".join(line.split()[:19]) for line in lines[9:])]))
    found = read_grain_list(short)
    np.testing.assert_array_equal(found.positions, read_grain_list(own).positions)
    assert np.isnan(found.radii).all() and np.isnan(found.completeness).all() and np.isnan(found.strains).all()


def hdf5(path: Path, own: Path, parameters: bool = True) -> Path:
    with h5py.File(path, "w") as file:
        file["grains/summary"] = GRAINS.read(own).columns.T
        if parameters:
            file["parameters/SpaceGroup"] = 225.0
            file["parameters/LatticeParameter"] = CELL
    return path


def test_consolidated(own: Path) -> None:
    path = hdf5(own.with_name("x_consolidated.h5"), own)
    expected = read_grain_list(own)
    renamed = path.rename(path.with_name("renamed.dat"))
    found = read_grain_list(renamed)
    for name in ("ids", "orientations", "positions", "cells", "radii", "completeness", "strains"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert (found.space_group, found.cell) == (225, CELL)
    renamed.rename(path)
    own.rename(own.with_name("away"))
    assert len(read_grain_list(path.parent)) == 3
    assert read_grain_list(hdf5(path, own.with_name("away"), parameters=False)).cell is None


def test_stitched(tmp_path: Path, own: Path) -> None:
    one = read_grain_list(own)
    columns = np.column_stack([[1, 2, 3], [0, 0, 1], one.ids, one.orientations.reshape(-1, 9), one.positions])
    GRAIN_SET.write(tmp_path / "s", Table(GRAIN_SET.names, np.column_stack([columns, one.radii, quaternions(3, 1)]).T))
    found = read_grain_list(tmp_path / "s")
    np.testing.assert_array_equal(found.ids, [1, 2, 3])
    np.testing.assert_allclose(found.positions, one.positions)
    assert np.isnan(found.cells).all() and found.cell is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n",
        b"# nothing\n",
        b"hello\n",
        b"1 2 3\n",
        b"1 2 3 4\n5 6 7 8\n",
        bytes(range(256)) * 9,
        b"\x89PNG\r\n",
    ],
)
def test_anything_else(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(FormatError, match="is no grain list that is known") as caught:
        read_grain_list(tmp_path / "x")
    assert "\n" not in str(caught.value) and "ImageD11" in str(caught.value)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="cannot be read"):
        read_grain_list(tmp_path / "x")
    with pytest.raises(FormatError, match=r"has no Grains\.csv"):
        read_grain_list(tmp_path)


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        (3, "nan", "finite"),
        (3, "word", "must hold 47 numbers"),
        (1, "7.0", "line 11: O11 .*that is no rotation"),
    ],
)
def test_damaged_grains(own: Path, column: int, value: str, reason: str) -> None:
    lines = own.read_text().splitlines()
    words = lines[10].split()
    words[column] = value
    own.write_text("\n".join([*lines[:10], "\t".join(words), lines[11]]))
    with pytest.raises(FormatError, match=reason):
        read_grain_list(own)


@pytest.mark.parametrize(
    ("column", "word", "reason"),
    [
        (0, "1e308", "line 2: must hold 21 finite numbers below"),
        (0, "1.5", "number of grain 1 of the list: 1.5: must be a whole number below"),
        (0, "nan", "line 2: must hold 21 finite numbers below"),
        (3, "1e308", "line 2: must hold 21 finite numbers below"),
        (8, "1e308", "line 2: must hold 21 finite numbers below"),
        (8, "1e17", "grain 7 has numbers that are not finite, or not below"),
    ],
)
def test_numbers_that_are_none_in_grains_out(tmp_path: Path, column: int, word: str, reason: str) -> None:
    """One line, and none of NumPy's."""
    words = "7 1 0 0 0 0 0 0 0 1 1 1 0 0 0 0 0 0 0 0 0".split()
    words[column] = word
    (tmp_path / "x").write_text("# exp_map_c[0] inv(V_s)\n" + " ".join(words) + "\n")
    with pytest.raises(FormatError, match=reason):
        read_grain_list(tmp_path / "x")


@pytest.mark.parametrize("word", ["1e308", "-1e308", "inf", "1e18"])
@pytest.mark.parametrize("line", [0, 3])
def test_numbers_that_are_none_in_a_map(tmp_path: Path, line: int, word: str) -> None:
    lines = ["#translation: 0 0 0", "#name 0", "#UBI:", "4 0 0", "0 4 0", "0 0 4"]
    lines[line] = lines[line].replace("0 0", f"{word} 0", 1)
    (tmp_path / "x").write_text("\n".join(lines) + "\n")
    with pytest.raises(FormatError, match=f"line {line + 1}: must hold 3 finite numbers below"):
        read_grain_list(tmp_path / "x")


def test_truncated_grains(own: Path) -> None:
    """A lost grain is an error, as everywhere, and so is half a line."""
    lines = own.read_text().splitlines()
    own.write_text("\n".join(lines[:-1]))
    with pytest.raises(FormatError, match="line 1: announces 3 grains, but 2 follow; it is cut off"):
        read_grain_list(own)
    own.write_text("\n".join([*lines[:-1], lines[-1][:90]]))
    with pytest.raises(FormatError, match="must hold 47 numbers"):
        read_grain_list(own)


@pytest.mark.parametrize("damage", ["truncated", "nan", "columns", "none", "text"])
def test_damaged_hdf5(own: Path, damage: str) -> None:
    path = hdf5(own.with_name("x.h5"), own)
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:1500])
    else:
        with h5py.File(path, "r+") as file:
            rows = file["grains/summary"][:]
            del file["grains/summary"]
            if damage == "nan":
                rows[1, 4] = np.nan
            if damage != "none":
                file["grains/summary"] = "text" if damage == "text" else rows[:, :46] if damage == "columns" else rows
    with pytest.raises(FormatError) as caught:
        read_grain_list(path)
    reason = "cannot be read" if damage == "truncated" else "grains/summary"
    assert "\n" not in str(caught.value) and reason in str(caught.value)


def test_no_grains(own: Path) -> None:
    lines = own.read_text().splitlines()
    own.write_text("\n".join(["%NumGrains 0", *lines[1:9]]) + "\n")
    assert len(read_grain_list(own)) == 0
    assert len(grains(count=0)) == 0


KINDS: dict[str, Callable[[], bytes]] = {
    "map": lambda: format_map(grains("triclinic", 3)),
    "out": lambda: format_grains(grains("hexagonal", 3), grains("hexagonal").cell),
    "nxs": lambda: nexus.files(exported(grains("cubic", 3)))[".nxs"],
}


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damage_anywhere(kind: str, tmp_path: Path, data: st.DataObject) -> None:
    """Whatever happens to a file, it is read or said to be wrong in one line."""
    content = bytearray(KINDS[kind]())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    del content[len(content) - data.draw(st.sampled_from([0, 0, 1, 100])) :]
    (tmp_path / "x").write_bytes(content)
    try:
        found = read_grain_list(tmp_path / "x")
    except FormatError as error:
        assert "\n" not in str(error)
    else:
        assert np.isfinite(found.positions).all() and np.isfinite(found.orientations).all()
