"""``.ctf`` and ``.ang``: read by a parser written here, and by orix where it is installed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from midas.results.exchange import ebsd
from midas.results.exchange.crystal_frames import cell_vectors

from .sample import CRYSTALS, a_along_x, bunge, busing_levy, exported, grains

BOX = (-300.0, 300.0, -200.0, 200.0, -100.0, 100.0)


def slice_at(some: object, x: float, y: float, z: float) -> int:
    """Row of the grain at a point."""
    return int((((some.positions - [x, y, z]) ** 2).sum(axis=1) - some.radii**2).argmin())


@pytest.mark.parametrize("crystal", CRYSTALS)
def test_ctf(crystal: str) -> None:
    """Degrees, a* along x and c along z; points row by row."""
    some = grains(crystal, 12)
    lines = ebsd.ctf_files(exported(some, voxel=50.0, box=BOX, height=30.0))[".ctf"].decode().splitlines()
    head = dict(line.split("\t", 1) for line in lines[:8] if "\t" in line)
    assert lines[0] == "Channel Text File" and head["XCells"] == "12" and head["YCells"] == "8"
    at = lines.index("Phases\t1")
    lengths, angles, _, laue, group = lines[at + 1].split("\t")
    assert [float(x) for x in f"{lengths};{angles}".split(";")] == list(some.cell)
    assert (laue, group) == {"cubic": ("11", "225"), "hexagonal": ("9", "194"), "monoclinic": ("2", "14")}.get(
        crystal, ("1", "2")
    )
    rows = np.array([line.split("\t") for line in lines[at + 3 :]], float)
    assert len(rows) == 96 and (rows[:, 0] == 1).all() and rows[1, 1] == 50.0 and rows[12, 2] == 50.0
    for row in rows[::5]:
        grain = slice_at(some, row[1] - 275.0, row[2] - 175.0, 30.0)
        assert row[3] == some.ids[grain]
        u = bunge(np.radians(row[5:8]))
        np.testing.assert_allclose(
            u @ busing_levy(some.cell), some.orientations[grain] @ busing_levy(some.cell), atol=1e-8
        )


@pytest.mark.parametrize("crystal", CRYSTALS)
def test_ang(crystal: str) -> None:
    """Radians, a along x and c* along z."""
    some = grains(crystal, 12)
    lines = ebsd.ang_files(exported(some, voxel=50.0, box=BOX))[".ang"].decode().splitlines()
    head = [line for line in lines if line.startswith("#")]
    symmetry = {"cubic": 43, "hexagonal": 62, "monoclinic": 20, "triclinic": 1}[crystal]
    assert f"# Symmetry {symmetry}" in head and "# NCOLS_ODD: 12" in head and "# NROWS: 8" in head
    rows = np.array([line.split() for line in lines if not line.startswith("#")], float)
    assert rows.shape == (96, 10)
    for row in rows[::5]:
        grain = slice_at(some, row[3] - 275.0, row[4] - 175.0, 0.0)
        assert row[5] == some.ids[grain] and row[6] == pytest.approx(some.completeness[grain], abs=1e-4)
        expected = some.orientations[grain] @ cell_vectors(some.cell)
        np.testing.assert_allclose(bunge(row[:3]) @ a_along_x(some.cell), expected, atol=1e-7)


@pytest.mark.parametrize("ending", [".ang", ".ctf"])
@pytest.mark.parametrize("crystal", ["cubic", "hexagonal"])
def test_orix_reads_it(tmp_path: Path, ending: str, crystal: str) -> None:
    """orix has the rotation from sample to crystal, with the frame of the file."""
    io = pytest.importorskip("orix.io")
    some = grains(crystal, 12)
    made = exported(some, voxel=50.0, box=BOX)
    (tmp_path / f"a{ending}").write_bytes({**ebsd.ctf_files(made), **ebsd.ang_files(made)}[ending])
    found = io.load(str(tmp_path / f"a{ending}"))
    assert found.shape == (8, 12) and found.phases[1].point_group.laue.name == {"cubic": "m-3m"}.get(crystal, "6/mmm")
    lattice = found.phases[1].structure.lattice
    np.testing.assert_allclose(
        [lattice.a, lattice.b, lattice.c, lattice.alpha, lattice.gamma], np.array(some.cell)[[0, 1, 2, 3, 5]]
    )
    ids = found.prop["iq" if ending == ".ang" else "bands"]
    vectors = a_along_x(some.cell) if ending == ".ang" else cell_vectors(some.cell)
    for matrix, grain_id in list(zip(found.rotations.to_matrix(), ids, strict=True))[::7]:
        u = some.orientations[some.ids.tolist().index(grain_id)]
        np.testing.assert_allclose(matrix.T @ vectors, u @ cell_vectors(some.cell), atol=1e-6)
