"""Grain lists of every kind, ring intensities, panel shifts; good and bad."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from midas.experiment.orientation import euler_angles, matrices_from_euler
from midas.formats.panels import read_shifts
from midas.formats.simulated import (
    GrainList,
    grain_list_header,
    read_grain_list,
    read_ring_intensities,
    write_grain_list,
)
from midas.runtime.errors import FormatError

CELL = [3.5, 3.6, 3.7, 90.0, 91.0, 92.0]
MATRIX = [0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0]


def text(*values: float) -> str:
    return " ".join(str(value) for value in values)


def test_grains_csv_round_trip(tmp_path: Path) -> None:
    grains = GrainList(
        np.array([MATRIX, MATRIX]).reshape(-1, 3, 3),
        np.array([[1.0, 2.0, 3.0], [-4.5, 0.25, 1e3]]),
        np.array([CELL, CELL]),
        header=grain_list_header(2, 225, np.array(CELL), 100.0),
    )
    write_grain_list(tmp_path / "g.csv", grains)
    back = read_grain_list(tmp_path / "g.csv", matrices_from_euler)
    for name in ("matrices", "positions", "cells"):
        np.testing.assert_array_equal(getattr(back, name), getattr(grains, name))
    assert back.header == grains.header
    assert (tmp_path / "g.csv").read_text().splitlines()[9].split("\t")[0] == "1"
    assert len((tmp_path / "g.csv").read_text().splitlines()) == 11


def test_surplus_words_are_ignored_and_radii_read_on_request(tmp_path: Path) -> None:
    header = grain_list_header(1, 225, np.array(CELL))
    line = text(7, *MATRIX, 1, 2, 3, *CELL, 0.1, 0.2, 0.3, 55.5)
    (tmp_path / "g.csv").write_text(f"{header}\n{line} words\n")
    assert read_grain_list(tmp_path / "g.csv", matrices_from_euler).radii is None
    assert read_grain_list(tmp_path / "g.csv", matrices_from_euler, radii=True).radii.tolist() == [55.5]


def test_spot_id_form(tmp_path: Path) -> None:
    values = [5, *MATRIX, 0, 1.0, 2.0, 3.0, 0, *CELL, 9, 9]
    (tmp_path / "g.csv").write_text("# SpotID,O11,...\n" + ",".join(map(str, values)) + "\n")
    grains = read_grain_list(tmp_path / "g.csv", matrices_from_euler)
    assert grains.matrices.ravel().tolist() == MATRIX
    assert grains.positions.tolist() == [[1, 2, 3]] and grains.cells.tolist() == [CELL]


def test_ebsd_form(tmp_path: Path) -> None:
    (tmp_path / "g.csv").write_text("#EBSD\n# X Y Z\n1,2,3,90,0,0\nno numbers\n4 5 6\t10 20 30\n1 2 3\n")
    grains = read_grain_list(tmp_path / "g.csv", matrices_from_euler)
    np.testing.assert_allclose(grains.matrices[0].ravel(), MATRIX, atol=1e-12)
    np.testing.assert_allclose(np.degrees(euler_angles(grains.matrices[1])), [10, 20, 30])
    assert grains.positions.tolist() == [[1, 2, 3], [4, 5, 6]] and grains.cells is None


def test_mic_form(tmp_path: Path) -> None:
    head = "%TriEdgeSize 5\n%NumPhases 1\n%GlobalPosition 12.5\n%OrientationRowNr ...\n"
    rows = [text(1, 2, 3, 10, 20, 5, 1, 0.1, 0.2, 0.3, confidence, 1) for confidence in (0.9, 0.5, 0.4)]
    (tmp_path / "g.mic").write_text(head + "\n".join(rows) + "\n")
    grains = read_grain_list(tmp_path / "g.mic", matrices_from_euler, min_confidence=0.4)
    assert grains.positions.tolist() == [[10, 20, 12.5]] * 2
    np.testing.assert_allclose(grains.matrices[0], matrices_from_euler([0.1, 0.2, 0.3]))


def test_binary_form(tmp_path: Path) -> None:
    np.array([[1, 2, 3, *MATRIX, 1e-3, 2e-3, 3e-3, 4e-3, 5e-3, 6e-3]]).tofile(tmp_path / "g.bin")
    grains = read_grain_list(tmp_path / "g.bin", matrices_from_euler, binary=True)
    assert grains.matrices.ravel().tolist() == MATRIX and grains.positions.tolist() == [[1, 2, 3]]
    assert grains.strains.tolist() == [[1e-3, 2e-3, 3e-3, 4e-3, 5e-3, 6e-3]]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "no grain list"),
        ("GrainID X Y\n1 2 3\n", "%NumGrains"),
        ("# vtk DataFile Version 3.0\n", "not supported yet"),
        ("#EBSD\n\n1 2 3\n", "no grains"),
        ("%TriEdgeSize 5\n\n%GlobalPosition\n\n", "line 3"),
        ("%NumGrains 0\n" + 8 * "%\n", "no grains"),
        ("%NumGrains 1\n" + 8 * "%\n" + "1 2 3\n", "line 10"),
        ("%NumGrains 1\n" + 8 * "%\n" + text(1, *MATRIX, "x", 2, 3, *CELL) + "\n", "line 10"),
        ("%NumGrains 1\n" + 8 * "%\n" + text(1, *MATRIX, "nan", 2, 3, *CELL) + "\n", "finite"),
        ("# SpotID\n1,2,3\n", "line 2"),
    ],
)
def test_bad_grain_lists(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "g.csv").write_text(content)
    with pytest.raises(FormatError, match=words):
        read_grain_list(tmp_path / "g.csv", matrices_from_euler)


def test_cut_off_binary_list(tmp_path: Path) -> None:
    (tmp_path / "g.bin").write_bytes(b"\0" * 100)
    with pytest.raises(FormatError, match="cut off"):
        read_grain_list(tmp_path / "g.bin", matrices_from_euler, binary=True)


def test_radii_are_missing(tmp_path: Path) -> None:
    (tmp_path / "g.csv").write_text("#EBSD\n\n1 2 3 0 0 0\n")
    with pytest.raises(FormatError, match="IntensityByVolume"):
        read_grain_list(tmp_path / "g.csv", matrices_from_euler, radii=True)


def test_ring_intensities(tmp_path: Path) -> None:
    (tmp_path / "i.txt").write_text("h k l I d ring\n1 1 1 30 2 1\n-1 1 1 10 2 1\nbad\n2 0 0 80 1.7 2\n")
    assert read_ring_intensities(tmp_path / "i.txt") == {1: 0.5, 2: 1.0}


def test_panel_shifts(tmp_path: Path) -> None:
    (tmp_path / "s.txt").write_text("# id dY dZ\n\n0 1 2\n3 0.5 -0.5 0.1 7 8\n")
    assert read_shifts(tmp_path / "s.txt") == {0: (1.0, 2.0, 0.0), 3: (0.5, -0.5, 0.1)}
    (tmp_path / "s.txt").write_text("0 1 2\n1 x\n")
    with pytest.raises(FormatError, match="line 2"):
        read_shifts(tmp_path / "s.txt")
