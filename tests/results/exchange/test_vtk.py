"""``.vtp`` and ``.vti``: read by a parser written here, and by VTK where it is installed."""

from __future__ import annotations

import base64
import zlib
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from midas.results.exchange import damask, paraview
from midas.results.exchange.laguerre import grid_of, owners

from .sample import CRYSTALS, bunge, exported, grains, turned_by

_DTYPES = {"Float64": "<f8", "Int64": "<i8", "UInt8": "u1"}


def arrays(content: bytes) -> dict[str, np.ndarray]:
    """Every array of a file of VTK, by its name."""
    found = {}
    for element in ElementTree.fromstring(content).iter("DataArray"):
        text = element.text or ""
        blocks = int(np.frombuffer(base64.b64decode(text[:12])[:8], "<u8")[0])
        length = 4 * -(-8 * (3 + blocks) // 3)
        head = np.frombuffer(base64.b64decode(text[:length]), "<u8")
        raw = zlib.decompress(base64.b64decode(text[length:])) if blocks else b""
        assert len(raw) == (head[1] if blocks else 0)
        values = np.frombuffer(raw, _DTYPES[element.attrib["type"]])
        columns = int(element.attrib["NumberOfComponents"])
        found[element.attrib["Name"]] = values if columns == 1 else values.reshape(-1, columns)
    return found


@pytest.mark.parametrize("crystal", CRYSTALS)
def test_points(crystal: str) -> None:
    some = grains(crystal)
    data = arrays(paraview.files(exported(some))[".vtp"])
    np.testing.assert_array_equal(data["Points"], some.positions)
    np.testing.assert_array_equal(data["grain_id"], some.ids)
    np.testing.assert_array_equal(data["radius"], some.radii)
    for row, u in enumerate(some.orientations):
        np.testing.assert_allclose(data["orientation"][row].reshape(3, 3), u, atol=1e-12)
        np.testing.assert_allclose(turned_by(data["quaternion"][row]), u, atol=1e-12)
        np.testing.assert_allclose(data["rodrigues"][row], data["quaternion"][row, 1:] / data["quaternion"][row, 0])
        np.testing.assert_allclose(bunge(np.radians(data["euler_angles"][row])), u, atol=1e-12)
        xx, yy, zz, xy, yz, xz = data["strain"][row]
        np.testing.assert_allclose([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]], some.strains[row])
    np.testing.assert_array_equal(data["connectivity"], range(4))
    np.testing.assert_array_equal(data["offsets"], range(1, 5))
    assert data["ipf_X"].shape == (4, 3) and data["ipf_Z"].dtype == np.uint8


def test_von_mises() -> None:
    """Of uniaxial strain of a volume that stays: the strain along the axis."""
    one = replace(grains("cubic", 1), strains=np.diag([-150.0, -150.0, 300.0])[None])
    np.testing.assert_allclose(arrays(paraview.files(exported(one))[".vtp"])["von_mises_strain"], [300.0])


def test_unknown_is_left_out() -> None:
    some = grains("cubic")
    some = replace(some, strains=np.full((4, 3, 3), np.nan), space_group=None)
    names = arrays(paraview.files(exported(some))[".vtp"]).keys()
    assert not names & {"strain", "von_mises_strain", "ipf_X"} and "radius" in names


@pytest.mark.parametrize("count", [0, 1, 4])
def test_vtk_reads_points(tmp_path: Path, count: int) -> None:
    pyvista = pytest.importorskip("pyvista")
    some = grains("hexagonal", count)
    (tmp_path / "a.vtp").write_bytes(paraview.files(exported(some))[".vtp"])
    mesh = pyvista.read(tmp_path / "a.vtp")
    assert mesh.n_points == mesh.n_verts == count
    if count:
        np.testing.assert_array_equal(mesh.points, some.positions)
        np.testing.assert_allclose(mesh["orientation"].reshape(-1, 3, 3), some.orientations, atol=1e-12)
        np.testing.assert_array_equal(mesh["grain_id"], some.ids)


def test_vtk_reads_grid(tmp_path: Path) -> None:
    pyvista = pytest.importorskip("pyvista")
    some = grains("cubic", 20)
    (tmp_path / "a.vti").write_bytes(damask.files(exported(some, voxel=50.0))[".damask.vti"])
    grid = grid_of(some, 50.0)
    mesh = pyvista.read(tmp_path / "a.vti")
    assert tuple(np.array(mesh.dimensions) - 1) == grid.shape
    np.testing.assert_allclose(mesh.spacing, [50e-6] * 3)
    np.testing.assert_allclose(mesh.origin, grid.origin * 1e-6)
    power = ((1e6 * mesh.cell_centers().points[:, None] - some.positions) ** 2).sum(axis=-1) - some.radii**2
    np.testing.assert_array_equal(mesh["material"], power.argmin(axis=1))
    np.testing.assert_array_equal(mesh["material"], owners(grid, some.positions, some.radii).ravel())
