"""``material.yaml``: read as YAML, and by DAMASK where it is installed."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from midas.results.exchange import damask
from midas.results.exchange.crystal_frames import cell_vectors
from midas.results.exchange.exported import NotPossibleError

from .sample import CRYSTALS, a_along_x, exported, grains, turned_by
from .test_vtk import arrays

LATTICES = {"cubic": "cF", "hexagonal": "hP", "monoclinic": "mP", "triclinic": "aP"}


@pytest.mark.parametrize("crystal", CRYSTALS)
def test_material(crystal: str) -> None:
    """The lattice of a with along x, turned by the quaternion, is the lattice in the sample."""
    some = grains(crystal)
    found = yaml.safe_load(damask.files(exported(some))[".material.yaml"])
    assert len(found["material"]) == len(some) and list(found["homogenization"]) == ["direct"]
    (phase,) = found["phase"].values()
    assert phase["lattice"] == LATTICES[crystal]
    assert phase.get("c/a") == (4.68 / 2.95 if crystal == "hexagonal" else None)
    for material, u in zip(found["material"], some.orientations, strict=True):
        (one,) = material["constituents"]
        assert one["v"] == 1.0 and one["phase"] in found["phase"] and one["O"][0] >= 0
        expected = u @ cell_vectors(some.cell)
        np.testing.assert_allclose(turned_by(np.array(one["O"])) @ a_along_x(some.cell), expected, atol=1e-9)


def test_rows_are_the_materials() -> None:
    """The ids of the grains are in the comments, the voxels count from 0."""
    some = grains("cubic", 5)
    files = damask.files(exported(some, voxel=60.0))
    ids = re.findall(rb"# grain (\d+)", files[".material.yaml"])
    assert [int(i) for i in ids] == some.ids.tolist()
    assert set(arrays(files[".damask.vti"])["material"].tolist()) == set(range(5))


@pytest.mark.parametrize("crystal", ["cubic", "hexagonal"])
def test_damask_reads_it(tmp_path: Path, crystal: str) -> None:
    library = pytest.importorskip("damask")
    some = grains(crystal)
    for ending, content in damask.files(exported(some, voxel=60.0)).items():
        (tmp_path / f"a{ending}").write_bytes(content)
    material = library.ConfigMaterial.load(tmp_path / "a.material.yaml")
    assert material.is_complete and material.is_valid
    o = library.Orientation(
        rotation=[one["constituents"][0]["O"] for one in material["material"]],
        lattice=LATTICES[crystal], **dict(zip("abc", some.cell[:3], strict=True) if crystal == "hexagonal" else []),
    )  # fmt: skip
    # a of the crystal in the sample, by DAMASK's own lattice.
    found = o.to_frame(uvw=np.broadcast_to([1.0, 0.0, 0.0], (4, 3)))
    expected = (some.orientations @ cell_vectors(some.cell))[:, :, 0]
    length = np.linalg.norm(found, axis=1, keepdims=True)
    np.testing.assert_allclose(found / length, expected / some.cell[0], atol=1e-9)
    grid = library.GeomGrid.load(tmp_path / "a.damask.vti")
    assert grid.N_materials == 4 and abs(grid.size / grid.cells - 60e-6).max() < 1e-12


def test_no_grains() -> None:
    with pytest.raises(NotPossibleError, match="has no grains"):
        damask.files(exported(grains(count=0)))
