"""``.flt`` and ``.par``: ImageD11, and a model written out here, find the indices of every spot from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from midas.experiment.detector import DetectorGeometry
from midas.formats.spots import EXTRA_INFO
from midas.formats.table import Table
from midas.results.exchange.imaged11 import format_map
from midas.results.exchange.imaged11_spots import format_parameters, format_spots, spot_table
from midas.results.grain_list import GrainList

from .sample import busing_levy, grains

#: everything at once: tilts, distortion, a leaning axis
DETECTOR = DetectorGeometry(
    *(1e6, 1022.4, 1019.7, 200.0, 2e5),
    tx=0.3, ty=0.4, tz=-0.5, p0=2e-4, p1=3e-4, p2=-5e-4, p3=20.0,
    wavelength=0.17, wedge=1.2,
)  # fmt: skip
HKL = np.array([(1, 0, 0), (1, 1, 0), (0, 0, 2), (2, -1, 1), (-1, 2, 3), (1, -3, 2)])


def layer(some: GrainList) -> tuple[Table, np.ndarray, np.ndarray]:
    """The spots of the grains as a spot table with a rejected row, the row of the grain and the indices of each."""
    found = []
    for row, (u, cell, position) in enumerate(zip(some.orientations, some.cells, some.positions, strict=True)):
        spots = DETECTOR.spots(u @ busing_levy(cell), HKL, position)
        for (h, branch), omega in np.ndenumerate(spots.omega):
            at = [getattr(spots, name)[h, branch] for name in ("y_plane", "z_plane", "y_px", "z_px")]
            if np.isfinite(omega):
                found.append((row, h, omega, *at))
    found.insert(2, (-1, 0, 0.0, 0.0, 0.0, 0.0, 0.0))
    table = Table(EXTRA_INFO.names, np.zeros((16, len(found))))
    table["spot_id"][:] = np.arange(1, len(found) + 1)
    values = np.array(found).T
    for name, column in zip(
        ("omega_recorded", "y_plane", "z_plane", "y_recorded", "z_recorded"), values[2:], strict=True
    ):
        table[name][:] = column
    table["ring"][:] = values[0] >= 0
    table["intensity"][:] = 100.0 + np.arange(len(found))
    return table, values[0].astype(np.int64), HKL[values[1].astype(int)]


@pytest.fixture
def written(tmp_path: Path) -> tuple[Path, GrainList, np.ndarray]:
    """A folder with all three files, the grains, and the indices of the spots that were not rejected."""
    some = grains("triclinic")
    table, labels, hkl = layer(some)
    columns = spot_table(table, DETECTOR, labels, np.full(len(table), 10))
    (tmp_path / "a.flt").write_bytes(format_spots(columns))
    (tmp_path / "a.par").write_bytes(format_parameters(DETECTOR, some.cell, "P"))
    (tmp_path / "a.map").write_bytes(format_map(some, ["# command: with = in it"]))
    return tmp_path, some, np.delete(hkl, 2, axis=0)


def test_model(written: tuple[Path, GrainList, np.ndarray]) -> None:
    """Pixel to laboratory to goniometer to sample, by matrices."""
    folder, some, hkl = written
    titles, *lines = (folder / "a.flt").read_text().splitlines()
    flt = dict(zip(titles.split()[1:], np.array([line.split() for line in lines], float).T, strict=True))
    assert len(hkl) == len(lines) > 30
    par = dict(line.split() for line in (folder / "a.par").read_text().splitlines())
    number = {name: float(word) for name, word in par.items() if not name.startswith("cell_lattice")}

    def turn(axis: int, angle: float) -> np.ndarray:
        i, j = [(1, 2), (2, 0), (0, 1)][axis]
        matrix = np.eye(3)
        matrix[i, i] = matrix[j, j] = np.cos(angle)
        matrix[j, i], matrix[i, j] = np.sin(angle), -np.sin(angle)
        return matrix

    tilt = turn(0, number["tilt_x"]) @ turn(1, number["tilt_y"]) @ turn(2, number["tilt_z"])
    wedge = turn(1, np.radians(number["wedge"]))
    for row, (sc, fc, omega, label) in enumerate(
        zip(flt["sc"], flt["fc"], flt["omega"], flt["labels"].astype(int), strict=True)
    ):
        z, y = (sc - number["z_center"]) * number["z_size"], -(fc - number["y_center"]) * number["y_size"]
        spot = tilt @ [0, y, z] + [number["distance"], 0, 0]
        to_lab = wedge.T @ turn(2, np.radians(omega))
        beam = spot - to_lab @ some.positions[label]
        k = (beam / np.linalg.norm(beam) - [1, 0, 0]) / number["wavelength"]
        ub = some.orientations[label] @ busing_levy(some.cells[label])
        np.testing.assert_allclose(np.linalg.solve(ub, to_lab.T @ k), hkl[row], atol=2e-6)


def test_imaged11(written: tuple[Path, GrainList, np.ndarray]) -> None:
    pytest.importorskip("ImageD11")
    from ImageD11 import columnfile, grain, parameters, transform

    folder, _, hkl = written
    flt = columnfile.columnfile(str(folder / "a.flt"))
    par = parameters.read_par_file(str(folder / "a.par")).parameters
    assert par["cell_lattice_[P,A,B,C,I,F,R]"] == "P"
    indices = np.empty((flt.nrows, 3))
    for number, one in enumerate(grain.read_grain_file(str(folder / "a.map"))):
        mine = np.flatnonzero(flt.labels == number)
        place = dict(zip(("t_x", "t_y", "t_z"), one.translation, strict=True))
        xyz = transform.compute_xyz_lab(np.array([flt.sc[mine], flt.fc[mine]]), **par)
        tth, eta = transform.compute_tth_eta_from_xyz(xyz, flt.omega[mine], **{**par, **place})
        g = transform.compute_g_vectors(tth, eta, flt.omega[mine], par["wavelength"], par["wedge"], par["chi"])
        indices[mine] = (one.ubi @ g).T
    np.testing.assert_allclose(indices, hkl, atol=2e-6)


def test_columns(written: tuple[Path, GrainList, np.ndarray]) -> None:
    columnfile = pytest.importorskip("ImageD11.columnfile")
    flt = columnfile.columnfile(str(written[0] / "a.flt"))
    assert flt.titles[:5] == ["sc", "fc", "omega", "Number_of_pixels", "avg_intensity"]
    np.testing.assert_array_equal(flt.spot3d_id[:3], [1, 2, 4])
    np.testing.assert_allclose(flt.avg_intensity * flt.Number_of_pixels, flt.sum_intensity)
    assert np.abs(flt.sc - flt.s_raw).max() > 0.01  # the distortion is gone from the one


def test_pixels_are_not_invented() -> None:
    table, labels, _ = layer(grains("cubic", 1))
    columns = spot_table(table, DETECTOR, labels)
    assert (
        "Number_of_pixels" not in columns.names
        and "avg_intensity" not in columns.names
        and len(columns["sc"]) == len(table) - 1
    )


def test_no_spots() -> None:
    table, labels, _ = layer(grains("cubic", 1))
    assert format_spots(spot_table(table.take(slice(0, 0)), DETECTOR, labels[:0])).count(b"\n") == 1
