"""``ff-export``: which files it writes where, from what, and what it says when it cannot."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from many_grains import write as write_layer

import midas.commands.run as commands
from midas.formats.layer import Layer
from midas.formats.stress import NAMES as STRESS
from midas.formats.stress import StressFile
from midas.formats.table import Table
from midas.results import consolidated
from midas.results.exchange import read_grain_list
from midas.results.exchange.export import export
from midas.results.exchange.hexrd import format_grains
from midas.results.exchange.options import FORMATS, ExportOptions
from midas.results.reading import read_results
from midas.runtime.errors import OutputError

from ..matching.grain_files import quaternions, write
from .sample import grains
from .test_vtk import arrays

ENDINGS = {
    *(
        ".vtp",
        ".map",
        ".flt",
        ".par",
        ".grains.out",
        ".neper-centres",
        ".neper-radii",
        ".neper-orientations",
        ".neper.sh",
    ),
    *(".material.yaml", ".damask.vti", ".features.csv", ".ctf", ".ang", ".nxs"),
}
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """Exit code, stdout and stderr of ``ff-export``."""

    def run(*words: object) -> tuple[int, str, str]:
        code = commands.run("ff-export", [str(word) for word in words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A layer of fifteen grains with spots; read only."""
    folder = tmp_path_factory.mktemp("sample") / "LayerNr_3"
    write_layer(folder, 15)
    return folder


def test_everything(layer: Path, tmp_path: Path, call: Call) -> None:
    code, out, err = call(layer, "-o", tmp_path / "new" / "folder", "-voxel", 40)
    assert (code, err) == (0, "")
    found = {path.name for path in (tmp_path / "new" / "folder").iterdir()}
    assert found == {f"LayerNr_3{ending}" for ending in ENDINGS}
    assert out.splitlines()[-1].startswith("Next") and "LayerNr_3.vtp" in out
    expected = read_grain_list(layer)
    for ending in (".map", ".grains.out", ".nxs"):
        back = read_grain_list(tmp_path / "new" / "folder" / f"LayerNr_3{ending}")
        np.testing.assert_array_equal(back.ids, expected.ids)
        np.testing.assert_allclose(back.positions, expected.positions, atol=1e-6)
        np.testing.assert_allclose(back.orientations, expected.orientations, atol=1e-6)
        assert (back.space_group, back.cell) == (expected.space_group, expected.cell)
    for ending in (".map", ".features.csv", ".material.yaml", ".neper.sh", ".grains.out"):
        text = (tmp_path / "new" / "folder" / f"LayerNr_3{ending}").read_text()
        assert "# ff-export, midas " in text and "Grains.csv" in text


def test_labels_and_pixels(layer: Path, tmp_path: Path, call: Call) -> None:
    """The .flt names the grain of every spot by its place in the .map, and counts its pixels."""
    assert call(layer, "-format", "imaged11", "-o", tmp_path)[0] == 0
    titles, *lines = (tmp_path / "LayerNr_3.flt").read_text().splitlines()
    flt = dict(zip(titles.split()[1:], np.array([line.split() for line in lines], float).T, strict=True))
    results = read_results(layer)
    assert len(lines) == (results.all_spots["ring"] > 0).sum()
    label = dict(zip(flt["spot3d_id"].astype(int).tolist(), flt["labels"].astype(int).tolist(), strict=True))
    for row, grain in enumerate(results):
        assert {label[spot] for spot in grain.spots["spot_id"].tolist()} == {row}
    assert sum(number < 0 for number in label.values()) == len(label) - len(np.unique(results.spots["spot_id"]))
    spot = int(flt["spot3d_id"][5])
    assert flt["Number_of_pixels"][5] == results.peaks_of(spot)["pixels"].sum()


def indices_by_imaged11(path: Path) -> list[np.ndarray]:
    """How far the indices that ImageD11 computes for the spots of each grain are from whole numbers."""
    from ImageD11 import columnfile, grain, parameters, transform

    flt = columnfile.columnfile(f"{path}.flt")
    par = parameters.read_par_file(f"{path}.par").parameters
    misfits = []
    for number, one in enumerate(grain.read_grain_file(f"{path}.map")):
        mine = np.flatnonzero(flt.labels == number)
        place = dict(zip(("t_x", "t_y", "t_z"), one.translation, strict=True))
        xyz = transform.compute_xyz_lab(np.array([flt.sc[mine], flt.fc[mine]]), **par)
        tth, eta = transform.compute_tth_eta_from_xyz(xyz, flt.omega[mine], **{**par, **place})
        g = transform.compute_g_vectors(tth, eta, flt.omega[mine], par["wavelength"], par["wedge"], par["chi"])
        hkl = one.ubi @ g
        assert len(mine) > 5
        misfits.append(np.abs(hkl - np.rint(hkl)))
    return misfits


def test_imaged11_indexes_the_layer(layer: Path, tmp_path: Path, call: Call) -> None:
    pytest.importorskip("ImageD11")
    assert call(layer, "-format", "imaged11", "-o", tmp_path)[0] == 0
    misfits = indices_by_imaged11(tmp_path / "LayerNr_3")
    assert len(misfits) == len(read_grain_list(layer)) and max(misfit.max() for misfit in misfits) < 0.05


def test_one_file(layer: Path, tmp_path: Path, call: Call) -> None:
    assert call(layer, "-format", "paraview", "-o", tmp_path / "mine.vtp")[0] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["mine.vtp"]
    code, _, err = call(layer, "-format", "paraview", "imaged11", "-o", tmp_path / "mine.vtp")
    assert code == 2 and "is one file, but 4 would be written" in err and err.count("\n") == 1


def test_default_folder(layer: Path, tmp_path: Path, call: Call) -> None:
    copy = Path(shutil.copytree(layer, tmp_path / "LayerNr_9"))
    assert call(copy, "-format", "hexrd", "dream3d")[0] == 0
    names = sorted(path.name for path in (copy / "exports").iterdir())
    assert names == ["LayerNr_9.features.csv", "LayerNr_9.grains.out"]


def test_from_another_program(tmp_path: Path, call: Call) -> None:
    some = grains("hexagonal")
    (tmp_path / "scan.out").write_bytes(format_grains(some, some.cell))
    code, out, _ = call(tmp_path / "scan.out", "-o", tmp_path / "out")
    assert code == 0 and "only the .map is written" in out
    found = {path.name for path in (tmp_path / "out").iterdir()}
    assert found == {f"scan{ending}" for ending in ENDINGS - {".flt", ".par"}}
    back = read_grain_list(tmp_path / "out" / "scan.map")
    np.testing.assert_allclose(back.orientations, some.orientations, atol=1e-9)


def test_what_is_not_known(tmp_path: Path, call: Call) -> None:
    """A .ubi has no crystal: what needs one is left out of "all", and an error where it is named."""
    (tmp_path / "a.ubi").write_text("3 0 0\n0 3 0\n0 0 4\n")
    code, out, err = call(tmp_path / "a.ubi", "-o", tmp_path / "out")
    assert (code, err) == (0, "") and "hexrd not written" in out
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".vtp", ".map", ".nxs"}
    code, _, err = call(tmp_path / "a.ubi", "-format", "hexrd", "-o", tmp_path / "other")
    assert code == 1 and "tells no unstrained cell" in err and err.count("\n") == 1
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("count", [0, 1])
def test_few_grains(tmp_path: Path, call: Call, count: int) -> None:
    path = write(tmp_path / "few.csv", quaternions(count, 1), np.zeros((count, 3)))
    code, out, err = call(path, "-o", tmp_path / "out", "-voxel", 20)
    assert (code, err) == (0, "")
    found = {path.name.removeprefix("few") for path in (tmp_path / "out").iterdir()}
    filled = {ending for ending in ENDINGS if "neper" in ending} | {".material.yaml", ".damask.vti", ".ctf", ".ang"}
    assert found == ENDINGS - {".flt", ".par"} - (set() if count else filled)
    assert ("damask not written" in out) == (count == 0)
    if count == 0:
        code, _, err = call(path, "-format", "damask", "-o", tmp_path / "out")
        assert code == 1 and "has no grains, of which no cells can be made" in err


def test_inputs_stay(layer: Path, tmp_path: Path, call: Call) -> None:
    """Neither the grain list nor any other table of the layer."""
    copy = Path(shutil.copytree(layer, tmp_path / "layer"))
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    for name in ("Grains.csv", "SpotMatrix.csv", next(copy.glob("Radius*")).name):
        code, _, err = call(copy, "-format", "dream3d", "-o", copy / name)
        assert code == 2 and "is an input" in err and err.count("\n") == 1
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before
    for _ in range(2):  # an export may be written again
        assert call(copy, "-format", "dream3d", "-o", copy / "mine.csv")[0] == 0


def test_stress_comes_along(layer: Path, tmp_path: Path, call: Call) -> None:
    """What ff-stress found of the same grains is in the .vtp, xx yy zz xy yz xz."""
    copy = Path(shutil.copytree(layer, tmp_path / "layer"))
    ids = read_grain_list(copy).ids
    table = Table.from_columns(STRESS, {name: np.arange(len(ids)) + 10.0 * k for k, name in enumerate(STRESS)})
    table["GrainID"][:] = ids
    StressFile(table, {}).write(copy / "Stress.csv")
    assert call(copy, "-format", "paraview", "-o", tmp_path / "a.vtp")[0] == 0
    data = arrays((tmp_path / "a.vtp").read_bytes())
    expected = np.column_stack([table[f"S{ij}"] for ij in ("11", "22", "33", "12", "23", "13")])
    np.testing.assert_array_equal(data["stress"], expected)
    np.testing.assert_array_equal(data["von_mises_stress"], table["VonMises"])
    assert {"sigma_stress", "sigma_position", "sigma_strain"} <= set(data)
    table["GrainID"][:] = ids + 1  # of other grains
    StressFile(table, {}).write(copy / "Stress.csv")
    assert call(copy, "-format", "paraview", "-o", tmp_path / "a.vtp")[0] == 0
    assert "stress" not in arrays((tmp_path / "a.vtp").read_bytes())


def test_any_path(layer: Path, tmp_path: Path, call: Call) -> None:
    """A folder whose name is no text."""
    copy = Path(shutil.copytree(layer, tmp_path / os.fsdecode(b"l\xff--yer 1")))
    code, _, err = call(copy)
    assert (code, err) == (0, "")
    assert {path.name for path in (copy / "exports").iterdir()} == {f"l_--yer_1{ending}" for ending in ENDINGS}
    ElementTree.fromstring(next((copy / "exports").glob("*.vtp")).read_bytes())


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("-voxel", "0"), "-voxel"),
        (("-voxel", "0.01"), "voxels; at most"),
        (("-box", *"012345"), None),
        (("-box", *"102345"), "x0 < x1"),
        (("-format", "excel"), "invalid choice"),
        (("-slice", "1e6"), "-slice: 1000000.0: lies outside"),
        (("-o", "Grains.csv/x"), "cannot be created"),
    ],
)
def test_mistakes(layer: Path, tmp_path: Path, call: Call, words: tuple[str, ...], reason: str | None) -> None:
    if words[0] == "-o":
        words = ("-o", str(layer / words[1]))
    elif "-o" not in words:
        words = (*words, "-o", str(tmp_path / "out"))
    code, _, err = call(layer, *words)
    if reason is None:
        assert code == 0
    else:
        assert code in (1, 2) and reason in err and err.count("\n") == 1
        assert not (tmp_path / "out").exists()


def test_a_failure_leaves_no_folder(layer: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OutputError("cannot be written (No space left on device)", file="x")

    monkeypatch.setattr("midas.results.exchange.export.write_together", full)
    (tmp_path / "old").mkdir()
    for name in ("new", "old"):
        code, _, err = call(layer, "-format", "hexrd", "-o", tmp_path / name)
        assert code == 1 and "No space" in err
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_no_list(tmp_path: Path, call: Call) -> None:
    (tmp_path / "x").write_bytes(b"\0" * 100)
    for path, reason in (
        (tmp_path / "x", "is no grain list"),
        (tmp_path / "y", "cannot be read"),
        (tmp_path, "Grains.csv"),
    ):
        code, _, err = call(path)
        assert code == 1 and reason in err and err.count("\n") == 1


def test_same_bytes(layer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")
    made = [export(layer, ExportOptions(output=tmp_path / name, voxel=40.0)).data.files for name in "ab"]
    assert [one.name for one in made[0]] == [two.name for two in made[1]]
    for one, two in zip(*made, strict=True):
        assert one.read_bytes() == two.read_bytes()


def test_every_format_is_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        commands.run("ff-export", ["--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert all(f"{name} (" in said for name in FORMATS)


def test_consolidated(layer: Path, tmp_path: Path, call: Call) -> None:
    """The HDF5 file of a layer alone gives the spots too."""
    copy = Path(shutil.copytree(layer, tmp_path / "LayerNr_3"))
    made = consolidated.write(Layer(copy, next(copy.glob("*.MIDAS.zip"))))
    lone = Path(shutil.move(made, tmp_path / "x_consolidated.h5"))
    shutil.rmtree(copy)
    assert call(lone, "-format", "imaged11", "-o", tmp_path / "out")[0] == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"x.map", "x.flt", "x.par"}


@pytest.mark.golden
def test_legacy_layer(golden: Callable[[str], Path], tmp_path: Path, call: Call) -> None:
    """Forty hexagonal grains on a tilted, distorted detector with a wedge, found by the legacy programs."""
    pytest.importorskip("ImageD11")
    assert call(golden("ds2"), "-format", "imaged11", "-o", tmp_path)[0] == 0
    misfits = indices_by_imaged11(tmp_path / "ds2")
    assert len(misfits) == 40 and max(misfit.max() for misfit in misfits) < 0.02


@pytest.mark.golden
@pytest.mark.parametrize(("name", "counts"), [("au3", (3, 3, 3)), ("ds1", (100, 100, 100)), ("ds2", (40, 40, 40))])
def test_legacy_lists(golden: Callable[[str], Path], name: str, counts: tuple[int, ...]) -> None:
    """What was found, what was simulated, and what the simulator wrote."""
    found = [read_grain_list(golden(name) / file) for file in ("Grains.csv", "GrainsSim.csv", "GrainsGen.csv")]
    assert tuple(map(len, found)) == counts
    assert len({(one.space_group, one.cell) for one in found}) == 1
    assert np.isfinite(found[0].strains).all() and np.isnan(found[2].radii).all()
