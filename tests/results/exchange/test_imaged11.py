"""``.map`` and ``.ubi`` against the definition of UBI, and against ImageD11 where it is installed."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from midas.results.exchange import read_grain_list
from midas.results.exchange.imaged11 import format_map
from midas.results.grain_list import GrainList
from midas.runtime.errors import FormatError

from .sample import CRYSTALS, busing_levy, grains


def written(path: Path, some: GrainList) -> Path:
    path.write_bytes(format_map(some, ["# by a test"]))
    return path


@pytest.mark.parametrize("crystal", CRYSTALS)
def test_rows_are_the_cell_vectors(tmp_path: Path, crystal: str) -> None:
    """UBI takes a scattering vector in the sample frame, x along the beam and z up, to its indices."""
    some = grains(crystal)
    lines = [line for line in written(tmp_path / "a.map", some).read_text().splitlines() if line[:1] not in ("#", "")]
    ubis = np.array([line.split() for line in lines], float).reshape(-1, 3, 3)
    hkl = np.array([(1, 0, 0), (0, 2, 0), (1, -2, 3)], float).T
    for ubi, u, cell in zip(ubis, some.orientations, some.cells, strict=True):
        np.testing.assert_allclose(ubi @ u @ busing_levy(cell) @ hkl, hkl, atol=1e-9)


@pytest.mark.parametrize("crystal", CRYSTALS)
def test_read_back(tmp_path: Path, crystal: str) -> None:
    some = grains(crystal)
    back = read_grain_list(written(tmp_path / "anything", some))
    np.testing.assert_array_equal(back.ids, some.ids)
    np.testing.assert_allclose(back.orientations, some.orientations, atol=1e-9)
    np.testing.assert_allclose(back.positions, some.positions, atol=1e-8)
    np.testing.assert_allclose(back.cells, some.cells, atol=1e-8)
    assert np.isnan(back.radii).all() and (back.space_group, back.cell) == (some.space_group, some.cell)


@pytest.mark.parametrize("crystal", CRYSTALS)
def test_imaged11_reads_it(tmp_path: Path, crystal: str) -> None:
    grain = pytest.importorskip("ImageD11.grain")
    some = grains(crystal)
    found = grain.read_grain_file(str(written(tmp_path / "a.map", some)))
    np.testing.assert_allclose([one.translation for one in found], some.positions, atol=1e-6)
    np.testing.assert_allclose([one.U for one in found], some.orientations, atol=1e-9)
    np.testing.assert_allclose([one.unitcell for one in found], some.cells, atol=1e-8)


def test_imaged11_wrote_it(tmp_path: Path) -> None:
    grain = pytest.importorskip("ImageD11.grain")
    some = grains("triclinic")
    ubis = [np.linalg.inv(u @ busing_levy(c)) for u, c in zip(some.orientations, some.cells, strict=True)]
    made = [grain.grain(ubi, translation=x) for ubi, x in zip(ubis, some.positions, strict=True)]
    grain.write_grain_file(str(tmp_path / "b.map"), made)
    back = read_grain_list(tmp_path / "b.map")
    np.testing.assert_allclose(back.orientations, some.orientations, atol=1e-6)
    np.testing.assert_allclose(back.positions, some.positions, atol=1e-3)
    np.testing.assert_array_equal(back.ids, [0, 1, 2, 3])


def test_ubi_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a.ubi").write_text("3 0 0\n0 3 0\n0 0 4\n\n0 3 0\n0 0 3\n4 0 0\n\n")
    with caplog.at_level(logging.WARNING):
        back = read_grain_list(tmp_path / "a.ubi")
    assert "2 of 2 grains have no translation" in caplog.text
    np.testing.assert_array_equal(back.positions, np.zeros((2, 3)))
    np.testing.assert_allclose(back.orientations[1], [[0, 0, 1], [1, 0, 0], [0, 1, 0]], atol=1e-12)
    np.testing.assert_allclose(back.cells, [[3, 3, 4, 90, 90, 90]] * 2)


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("#UBI:\n3 0 0\n0 3 0\n", 3, "ends within a grain"),
        ("#translation: 1 2 3\n", 1, "ends within a grain"),
        ("#translation: 1 2\n#UBI:\n3 0 0\n0 3 0\n0 0 3\n", 1, "3 finite numbers"),
        ("#UBI:\n3 0 0\n0 nan 0\n0 0 3\n", 3, "3 finite numbers"),
        ("#UBI:\n3 0 0\n0 3\n0 0 3\n", 3, "3 finite numbers"),
        ("#UBI:\n3 0 0\n3 0 0\n0 0 3\n", 4, "no right-handed cell"),
        ("#UBI:\n0 0 0\n0 3 0\n0 0 3\n", 4, "no right-handed cell"),
        ("#UBI:\n3 0 0\n0 -3 0\n0 0 3\n", 4, "no right-handed cell"),
        ("#UBI:\nthree of a kind\n", 2, "3 finite numbers"),
    ],
)
def test_damaged(tmp_path: Path, text: str, line: int, reason: str) -> None:
    (tmp_path / "a.map").write_text(text)
    with pytest.raises(FormatError, match=reason) as caught:
        read_grain_list(tmp_path / "a.map")
    assert caught.value.line == line and "\n" not in str(caught.value)
