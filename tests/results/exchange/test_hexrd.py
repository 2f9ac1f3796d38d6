"""``grains.out`` against a parser and a model of its own: every reflection in HEXRD's frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from midas.results.exchange import read_grain_list
from midas.results.exchange.hexrd import format_grains
from midas.results.grain_list import GrainList
from midas.runtime.errors import FormatError

from .sample import CRYSTALS, a_along_x, busing_levy, grains

HKL = np.array([(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, -2, 3)], float).T


def in_hexrd(vectors: np.ndarray) -> np.ndarray:
    """(3, n) vectors of our sample frame (X along the beam, Z up) in HEXRD's (Y up, the beam along -Z)."""
    x, y, z = vectors
    return np.array([-y, z, -x])


def rotation(vector: np.ndarray) -> np.ndarray:
    """Rodrigues' formula."""
    angle = np.linalg.norm(vector)
    x, y, z = vector / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def symmetric(six: np.ndarray) -> np.ndarray:
    xx, yy, zz, yz, xz, xy = six
    return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])


def written(path: Path, some: GrainList) -> Path:
    path.write_bytes(format_grains(some, some.cell, ["# by a test"]))
    return path


@pytest.mark.parametrize("crystal", CRYSTALS)
def test_scattering_vectors_are_the_same(tmp_path: Path, crystal: str) -> None:
    some = grains(crystal)
    table = np.loadtxt(written(tmp_path / "grains.out", some))
    assert table.shape == (len(some), 21)
    np.testing.assert_array_equal(table[:, 0], some.ids)
    np.testing.assert_allclose(table[:, 1], some.completeness, atol=1e-6)
    reference = np.linalg.inv(a_along_x(some.cell)).T
    for row, u, position, cell in zip(table, some.orientations, some.positions, some.cells, strict=True):
        inverse = symmetric(row[9:15] / np.array([1, 1, 1, *3 * [np.sqrt(2)]]))
        g = inverse @ rotation(row[3:6]) @ reference @ HKL
        np.testing.assert_allclose(g, in_hexrd(u @ busing_levy(cell) @ HKL), atol=1e-9)
        np.testing.assert_allclose(1e3 * row[6:9], in_hexrd(position), atol=1e-9)
        values, axes = np.linalg.eigh(inverse)
        np.testing.assert_allclose(symmetric(row[15:21]), -(axes * np.log(values)) @ axes.T, atol=1e-12)


def test_axes_of_one_grain(tmp_path: Path) -> None:
    """A cube whose a, b, c lie along our X, Y, Z, 1 mm downstream, 2 mm to the left, 3 mm up."""
    some = grains("cubic", 1)
    one = GrainList(
        *(some.ids, np.eye(3)[None], np.array([[1e3, 2e3, 3e3]]), np.array([some.cell]), some.radii),
        *(some.completeness, np.zeros((1, 3, 3))),
        space_group=225, cell=some.cell,
    )  # fmt: skip
    row = np.loadtxt(written(tmp_path / "grains.out", one))
    np.testing.assert_allclose(row[6:9], [-2, 3, -1], atol=1e-12)
    # Columns: a along the beam (-Z), b to the left (-X), c up (Y).
    np.testing.assert_allclose(rotation(row[3:6]), [[0, -1, 0], [0, 0, 1], [-1, 0, 0]], atol=1e-12)
    np.testing.assert_allclose(row[9:21], [1, 1, 1, *9 * [0]], atol=1e-12)


@pytest.mark.parametrize("crystal", CRYSTALS)
def test_read_back(tmp_path: Path, crystal: str) -> None:
    some = grains(crystal)
    back = read_grain_list(written(tmp_path / "anything", some))
    np.testing.assert_array_equal(back.ids, some.ids)
    np.testing.assert_allclose(back.orientations, some.orientations, atol=1e-9)
    np.testing.assert_allclose(back.positions, some.positions, atol=1e-9)
    np.testing.assert_allclose(back.cells, some.cells, atol=1e-8)
    np.testing.assert_allclose(back.completeness, some.completeness, atol=1e-6)
    assert (back.space_group, back.cell) == (some.space_group, some.cell)


def test_of_hexrd_itself(tmp_path: Path) -> None:
    """Without our comments the cell is not known; a caller may know it."""
    some = grains("hexagonal")
    path = written(tmp_path / "grains.out", some)
    path.write_text("\n".join(line for line in path.read_text().splitlines() if not line.startswith("#")))
    bare = read_grain_list(path)
    assert bare.cell is None and bare.space_group is None and np.isnan(bare.cells).all() and np.isnan(bare.radii).all()
    strain = np.abs(bare.strains).max()
    assert 100 < strain < 10000
    told = read_grain_list(path, cell=some.cell)
    np.testing.assert_allclose(told.orientations, some.orientations, atol=1e-9)
    np.testing.assert_allclose(told.strains, bare.strains, atol=1e-6)


def test_strain_is_in_our_frame(tmp_path: Path) -> None:
    """A cube whose a axis, along the beam, is 1e-3 longer."""
    some = grains("cubic", 1)
    cell = np.array([some.cell]) * [1.001, 1, 1, 1, 1, 1]
    one = GrainList(
        *(some.ids, np.eye(3)[None], some.positions, cell, some.radii, some.completeness, some.strains),
        space_group=225, cell=some.cell,
    )  # fmt: skip
    back = read_grain_list(written(tmp_path / "grains.out", one))
    np.testing.assert_allclose(back.strains[0], np.diag([1000.0, 0, 0]), atol=1e-6)


def test_no_grains(tmp_path: Path) -> None:
    back = read_grain_list(written(tmp_path / "grains.out", grains("cubic", 4).take(slice(0, 0))))
    assert len(back) == 0 and back.orientations.shape == (0, 3, 3)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("  0.000000e+00", "", "must hold 21 finite numbers"),
        ("  0.000000e+00", "  nan", "must hold 21 finite numbers"),
        ("  0.000000e+00", "  chi", "must hold 21 finite numbers"),
    ],
)
def test_damaged(tmp_path: Path, old: str, new: str, reason: str) -> None:
    path = written(tmp_path / "grains.out", grains())
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(FormatError, match=reason) as caught:
        read_grain_list(path)
    assert caught.value.line == 5 and "\n" not in str(caught.value)


def test_truncated_and_impossible(tmp_path: Path) -> None:
    path = written(tmp_path / "grains.out", grains())
    text = path.read_text()
    path.write_text(text[:-200])
    with pytest.raises(FormatError, match="21 finite numbers"):
        read_grain_list(path)
    words = text.splitlines()[-1].split()
    words[9] = "0.0"
    path.write_text(text + "  ".join(words) + "\n")
    with pytest.raises(FormatError, match="no stretch"):
        read_grain_list(path)
