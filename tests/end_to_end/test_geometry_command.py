"""From a scan that is analysed with a wrong geometry to the right one, through the command line."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from tiny_scan import TinyScan, digests

import midas
from midas.archive import Archive
from midas.archive.update import update
from midas.formats.fitted_geometry import GEOMETRY_SPOTS, read_fit
from midas.formats.grains import read_grains
from midas.formats.layer import Layer
from midas.formats.panels import read_shifts
from midas.formats.uncertainty import read_sigma
from midas.parameters import Parameters
from midas.results.matching.compare import compare

Call = Callable[..., int]

WRONG = {
    "Lsd": "501000", "BC": "128.3 127.8", "tx": "0.1", "ty": "0.2", "tz": "-0.2", "Wedge": "0.05",
    "Width": "2000", "MarginRadial": "1500", "MarginEta": "1500", "MarginOme": "1",
}  # fmt: skip
#: what the tiny scan was simulated with; BC in z goes with the height of the grains
RIGHT = {"Lsd": 500000.0, "tx": 0.0, "ty": 0.0, "tz": 0.0, "Wedge": 0.0}
WRITTEN = ("ps_refined.txt", "GeometryFit.csv", "GeometrySpots.csv", "geometry.html")


def wrong_file(scan: TinyScan, path: Path, **more: str) -> Path:
    """The scan's parameter file with a geometry that is wrong."""
    values = {**WRONG, **more}
    lines = []
    for line in scan.parameters.read_text().splitlines():
        key = line.split()[0]
        lines.append(f"{key} {values.pop(key)}   # as drawn" if key in values else line)
    path.write_text("\n".join([*lines, *(f"{key} {value}" for key, value in values.items()), ""]))
    return path


@pytest.fixture(scope="module")
def wrong(scan: TinyScan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the results with the wrong geometry, and of the loop. Read only."""
    folder = tmp_path_factory.mktemp("wrong")
    given = wrong_file(scan, folder / "ps.txt")
    midas.run(given, scan.raw, result_folder=folder, threads=1, per_spot_groups=0, refine_geometry=1)
    return folder


@pytest.fixture
def layer(wrong: Path, tmp_path: Path) -> Path:
    """A layer folder to change."""
    folder = tmp_path / "LayerNr_1"
    ignored = shutil.ignore_patterns("Temp", "midas_log", "Geometry", "output")
    shutil.copytree(wrong / "LayerNr_1", folder, ignore=ignored)
    return folder


def refined(path: Path) -> dict[str, float]:
    found = Parameters.read(path)
    return {name: found[name] for name in RIGHT}


def test_the_loop_of_the_driver(wrong: Path, scan: TinyScan) -> None:
    """The right geometry, the right grains, nothing of the layer itself changed, and the user's file neither."""
    again = wrong / "LayerNr_1" / "Geometry"
    found = Parameters.read(again / "ps_refined.txt")
    for name, limit in {"Lsd": 150.0, "tx": 5e-4, "ty": 3e-3, "tz": 3e-3, "Wedge": 1e-3}.items():
        assert abs(found[name] - RIGHT[name]) < limit, name
    assert abs(found["BC"][0] - 128) < 1e-3
    text = (again / "ps_refined.txt").read_text().splitlines()
    assert text[0].startswith("# Geometry refined on ")
    assert "from LayerNr_1: 4 grains" in text[0]
    kept = [(a, b) for a, b in zip((wrong / "ps.txt").read_text().splitlines(), text[1:], strict=True) if a != b]
    assert [a.split()[0] for a, _ in kept] == ["Lsd", "BC", "tx", "ty", "tz", "Wedge"]
    assert all(b.endswith("   # as drawn") for _, b in kept)
    compared = [compare(scan.truth, wrong / place / "Grains.csv", omega_step=1.0, turn_positions=True)
                for place in ("LayerNr_1", "LayerNr_1/Geometry")]  # fmt: skip
    assert [(one.recovered, one.spurious) for one in compared] == [(4, 0), (4, 0)]
    assert not (wrong / "LayerNr_1" / "GeometryFit.csv").exists()
    with Archive(next(again.glob("*.MIDAS.zip"))) as archive:
        assert archive.parameters["Lsd"] == pytest.approx(found["Lsd"], abs=1.0)
        assert not archive.frames[90].any()
    log = (wrong / "LayerNr_1" / "midas_log" / "refine_geometry_out.csv").read_text()
    assert "nothing moves any more" in log
    own, absolute = (read_sigma(again / "GrainsSigma.csv")[name] for name in ("sX", "aX"))
    assert (absolute > own).all()
    old = read_sigma(wrong / "LayerNr_1" / "GrainsSigma.csv")
    assert (old["aX"] == old["sX"]).all()
    with h5py.File(next(again.glob("*_consolidated.h5"))) as file:
        assert "geometry/covariance" in file
        assert file["grains/sigma"].shape[0] == 4
    true, place = read_grains(again / "Grains.csv"), read_grains(wrong / "LayerNr_1" / "Grains.csv")
    assert np.median(true["DiffPos"]) < 0.03 * np.median(place["DiffPos"])


def test_one_fit(
    wrong: Path, layer: Path, in_process: Call, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    before = digests(layer)
    assert in_process("ff-geometry", layer.name, "-nCPUs", 1, cwd=tmp_path) == 0
    said = capsys.readouterr()
    assert not said.err
    lines = said.out.splitlines()
    assert lines[0].startswith("Geometry of LayerNr_1: 4 grains, 225 spots, 5 rings, ")
    assert lines[0].endswith("mean lattice trusted")
    assert lines[1].split() == ["start", "refined", "sigma", "change", "verdict"]
    assert any(line.startswith("held-out spots: radial ") and "needed by them: Lsd,BC" in line for line in lines)
    assert "BCz cannot be told from the height of the grains: mean Z of the start kept" in lines
    assert "the data exclude 12 of the 15 other readings; 3 no data can tell" in said.out
    after = digests(layer)
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == set(WRITTEN)
    own = Layer(layer)
    numbers = {number.name: number for number in read_fit(own.geometry_fit)}
    assert numbers["Lsd"].start == 501000
    assert numbers["Lsd"].value == pytest.approx(refined(layer / "ps_refined.txt")["Lsd"])
    assert numbers["BCz"].verdict.startswith("cannot be told: BCz goes with mean Z of the grains")
    spots = GEOMETRY_SPOTS.read(own.geometry_spots)
    assert len(spots) == 225
    assert np.abs(spots["r_r"]).max() < 10
    assert set(spots.integers("held").tolist()) == {1}
    page = own.geometry_page.read_text()
    titles = (
        "The instrument",
        "Do the held-out spots need it?",
        "Residuals in standard deviations",
        "How the image lies",
    )
    assert [title for title in (*titles, "cannot be told from it", "plotly") if title not in page] == []
    with h5py.File(next(layer.glob("*_consolidated.h5"))) as file:
        names = file["geometry/names"].asstr()[:].tolist()
        assert file["geometry/covariance"].shape == (len(names), len(names))
        assert file["geometry/value"][names.index("Lsd")] == pytest.approx(numbers["Lsd"].value)
        assert dict(file["geometry"].attrs)["trust"] == "mean"
        assert "grains" in file
    # What was added stays where the file is written anew for the same grains.
    Layer(layer).merge_map.unlink()
    from midas.results import consolidated

    with Archive(next(layer.glob("*.MIDAS.zip"))) as archive:
        data_file = archive.parameters.for_stage("commands")["dataFN"]
    path = consolidated.write(Layer(layer, next(layer.glob("*.MIDAS.zip")), data_file=data_file), per_spot_groups=0)
    with h5py.File(path) as file:
        assert "geometry/covariance" in file


def test_what_the_user_asks_for(layer: Path, in_process: Call, tmp_path: Path) -> None:
    options = ("-refine", "Lsd,BC,tx,ty,tz,Wedge", "-fix", "tx", "-z0", "beam", "-certificate", 0, "-o", "new.txt")
    assert in_process("ff-geometry", layer.name, *options, cwd=tmp_path) == 0
    found = refined(tmp_path / "new.txt")
    assert found["tx"] == 0.1
    assert abs(found["ty"]) < 0.05
    assert not (layer / "ps_refined.txt").exists()
    assert "cannot be told from it" not in (layer / "geometry.html").read_text()


def test_the_loop_of_the_command(layer: Path, in_process: Call, tmp_path: Path, wrong: Path) -> None:
    """What the driver finds, whatever the threads and the tables of other frames that lie about."""
    (layer / "Result_StartNr_1_EndNr_1.csv").write_text("%SpotID\n")
    options = ("-maxPasses", 3, "-nCPUs", 2, "-certificate", 0)
    assert in_process("ff-geometry", layer.name, *options, cwd=tmp_path) == 0
    pages = [folder / "Geometry" / "ps_refined.txt" for folder in (layer, wrong / "LayerNr_1")]
    mine, drivers = (path.read_text() for path in pages)
    assert mine == drivers
    assert not (layer / "Geometry" / "Result_StartNr_1_EndNr_1.csv").exists()
    assert (layer / "Geometry" / "Grains.csv").read_bytes() == (wrong / "LayerNr_1/Geometry/Grains.csv").read_bytes()


def empty_list(layer: Path) -> None:
    """No grains, and no spots of them."""
    grains, spots = layer / "Grains.csv", layer / "SpotMatrix.csv"
    grains.write_text("\n".join(["%NumGrains 0", *grains.read_text().splitlines()[1:9], ""]))
    spots.write_text(spots.read_text().splitlines()[0] + "\n")


def linked(layer: Path) -> None:
    """A second name."""
    layer.with_name("again").symlink_to(layer)


def merged(layer: Path) -> Path:
    """The table of the merged spots."""
    return next(layer.glob("Result_StartNr_1_EndNr_*.csv"))


REFUSALS = {
    "no list": (lambda layer: (layer / "Grains.csv").unlink(), (), 1, "Grains.csv"),
    "no grains": (empty_list, (), 1, "no grain with confidence >= 0.5 and 12 spots: nothing to refine from"),
    "no archive": (lambda layer: next(layer.glob("*.MIDAS.zip")).unlink(), (), 1, "holds no archive"),
    "cut off": (lambda layer: (layer / "SpotMatrix.csv").write_text("%GrainID\n35\n"), (), 1, "SpotMatrix.csv, line 2"),
    "not converged": (None, ("-iterations", 1), 1, "no convergence in 1 iterations"),
    "a word": (None, ("-refine", "Lsd,tq"), 2, "-refine: tq: must be auto, or some of Lsd"),
    "fixed": (None, ("-fix", "all"), 2, "-fix: all"),
    "nothing": (None, ("-refine", "Lsd", "-fix", "Lsd"), 2, "leaves nothing to refine"),
    "trust": (None, ("-trust", "me"), 2, "-trust: me: must be mean, none, each or a number above 0"),
    "height": (None, ("-z0", "high"), 2, "-z0: high: must be keep, beam or a number"),
    "share": (None, ("-share", "Lsdd"), 2, "-share: Lsdd"),
    "model": (None, ("-wedgeModel", "new"), 2, "-wedgeModel: new: must be exact or legacy"),
    "passes": (None, ("-maxPasses", -1), 2, "-maxPasses"),
    "confidence": (None, ("-minConfidence", 2), 2, "-minConfidence"),
    "folder": (None, ("-o", "nowhere/new.txt"), 2, "is in no folder that there is"),
    "theirs": (None, ("-o", "LayerNr_1/ps.txt"), 2, "is there, and no result of ff-geometry"),
    "twice": (None, ("LayerNr_1",), 2, "is named twice"),
    "linked": (lambda layer: linked(layer), ("again",), 2, "again: is named twice"),
    "too high": (None, ("-z0", "5e6"), 2, "-z0: 5e6"),
    "a table": (None, ("-o", "LayerNr_1/GeometryFit.csv"), 2, "is no name of a parameter file"),
    "no parameters": (None, ("-paramFN", "LayerNr_1/hkls.csv"), 2, "it has no RingThresh and no Wavelength"),
    "no spots": (lambda layer: merged(layer).unlink(), ("-maxPasses", 1), 1, "run ff-merge first"),
    "cut spots": (lambda layer: merged(layer).write_text("%SpotID\n1 2\n"), ("-maxPasses", 1), 1, "Result_StartNr_1"),
    "empty file": (lambda layer: next(layer.glob("*.h5")).write_bytes(b""), ("-certificate", 0), 1, "it is empty"),
}


def test_panels(layer: Path, in_process: Call, tmp_path: Path) -> None:
    """The shifts that the refined file names are where it says: as they were, or with what the fit has found."""
    archive = next(layer.glob("*.MIDAS.zip"))
    (layer / "shifts.txt").write_text("0 0.1 0.2 0.5\n")
    with (layer / "ps.txt").open("a") as file:
        file.write("PanelShiftsFile shifts.txt\n")
    panels = {"NPanelsY": 2, "NPanelsZ": 1, "PanelSizeY": 120, "PanelSizeZ": 256, "PanelGapsY": 16, "PanelGapsZ": 0}
    for name, value in {**panels, "PanelShiftsFile": "shifts.txt"}.items():
        update(archive, name, [str(value)])
    options = ("-certificate", 0, "-o", "new.txt")
    assert in_process("ff-geometry", layer.name, "-refine", "Lsd,BC,tx,ty,tz", *options, cwd=tmp_path) == 0
    assert Parameters.read(tmp_path / "new.txt")["PanelShiftsFile"] == str(layer / "shifts.txt")
    assert in_process("ff-geometry", layer.name, "-refine", "Lsd,BC,tx,ty,tz,Panels", *options, cwd=tmp_path) == 0
    assert Parameters.read(tmp_path / "new.txt")["PanelShiftsFile"] == "new_panels.txt"
    before, after = {0: (0.1, 0.2, 0.5)}, read_shifts(tmp_path / "new_panels.txt")
    moved = {name: value for name, value in read_values(layer).items() if name[:2] in ("dY", "dZ")}
    assert len(moved) == 2
    for name, further in moved.items():
        number, axis = int(name[2:]), ("dY", "dZ").index(name[:2])
        assert after[number][axis] == pytest.approx(before.get(number, (0, 0, 0))[axis] + further, abs=1e-6)
    assert after[0][2] == 0.5


def read_values(layer: Path) -> dict[str, float]:
    return {number.name: number.value for number in read_fit(layer / "GeometryFit.csv")}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_is_refused(
    case: str, layer: Path, in_process: Call, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """One line, the exit code, and nothing written."""
    spoil, options, code, words = REFUSALS[case]
    if spoil is not None:
        spoil(layer)
    before = sorted(path.name for path in layer.iterdir())
    assert in_process("ff-geometry", layer.name, *options, cwd=tmp_path) == code
    said = capsys.readouterr()
    assert words in said.err
    assert len(said.err.splitlines()) == 1
    assert sorted(path.name for path in layer.iterdir()) == before


def test_two_layers_of_different_scans(
    layer: Path, in_process: Call, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(layer, other)
    update(next(other.glob("*.MIDAS.zip")), "Wavelength", ["0.18"])
    assert in_process("ff-geometry", layer.name, "other", cwd=tmp_path) == 1
    assert "Wavelength" in capsys.readouterr().err
    assert not (other / "GeometryFit.csv").exists()


def test_two_layers_of_one_sample(layer: Path, in_process: Call, tmp_path: Path) -> None:
    """A file, tables and a page for each."""
    other = tmp_path / "other"
    shutil.copytree(layer, other)
    assert in_process("ff-geometry", layer.name, "other", "-o", "new.txt", "-certificate", 0, cwd=tmp_path) == 0
    first, second = refined(tmp_path / "new.txt"), refined(tmp_path / "new_2.txt")
    for name in RIGHT:
        assert first[name] == pytest.approx(second[name], rel=1e-6, abs=1e-4)
    assert {number.name for number in read_fit(other / "GeometryFit.csv")} >= {"Lsd", "BCy", "Wedge"}


def test_the_sigmas_with_those_of_the_geometry(wrong: Path, in_process: Call, tmp_path: Path) -> None:
    """What the command says comes next."""
    layer = tmp_path / "LayerNr_1"
    shutil.copytree(wrong / "LayerNr_1", layer, ignore=shutil.ignore_patterns("Geometry", "output"))
    assert in_process("ff-geometry", layer.name, "-certificate", 0, cwd=tmp_path) == 0
    before = (layer / "Grains.csv").read_bytes()
    assert in_process("ff-midas", "-resultFolder", layer, "-reprocess", 1, "-nCPUs", 1, cwd=tmp_path) == 0
    found = read_sigma(layer / "GrainsSigma.csv")
    assert (found["aX"] > found["sX"]).all()
    assert (layer / "Grains.csv").read_bytes() == before


def test_the_page_is_the_same_again(layer: Path, in_process: Call, tmp_path: Path) -> None:
    """To the byte, whatever the threads."""
    pages = []
    for threads in (1, 2):
        options = ("-nCPUs", threads, "-certificate", 0, "-refine", "Lsd,BC,tx,ty,tz,Wedge")
        assert in_process("ff-geometry", layer.name, *options, cwd=tmp_path) == 0
        pages.append((layer / "geometry.html").read_bytes())
    assert pages[0] == pages[1]


def test_a_fit_that_is_wanted_anyway(layer: Path, in_process: Call, tmp_path: Path) -> None:
    assert in_process("ff-geometry", layer.name, "-iterations", 1, "-force", 1, cwd=tmp_path) == 0
    assert (layer / "ps_refined.txt").exists()


def test_a_folder_that_cannot_be_written(
    layer: Path, in_process: Call, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Nothing is half there."""
    (layer / "geometry.html").mkdir()
    before = digests(layer)
    assert in_process("ff-geometry", layer.name, cwd=tmp_path) == 1
    assert "geometry.html" in capsys.readouterr().err
    assert digests(layer) == before


def test_a_layer_without_grains(scan: TinyScan, tmp_path: Path) -> None:
    """Why there are none is what the driver says, not that their geometry cannot be refined."""
    given = wrong_file(scan, tmp_path / "ps.txt", MinNrSpots="1000")
    options = {"result_folder": tmp_path, "threads": 1, "per_spot_groups": 0, "refine_geometry": 1}
    done = midas.run(given, scan.raw, **options)
    assert len(done.data[0].grains) == 0
    assert done.data[0].geometry is None
    assert done.data[0].warning
    assert not (tmp_path / "LayerNr_1" / "Geometry").exists()


def test_what_does_not_go_with_it(
    scan: TinyScan, in_process: Call, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for other in (("-peakSearchOnly", 1), ("-provideInputAll", 1), ("-reprocess", 1)):
        options = ("-paramFN", scan.parameters, "-resultFolder", tmp_path, "-refineGeometry", 1, *other)
        assert in_process("ff-midas", *options, cwd=tmp_path) == 2
        assert "-refineGeometry" in capsys.readouterr().err
    keyed = wrong_file(scan, tmp_path / "ps.txt", RefineGeometry="1")
    (tmp_path / "InputAllExtraInfoFittingAll.csv").write_text("")
    assert in_process("ff-midas", "-paramFN", keyed, "-provideInputAll", 1, cwd=tmp_path) == 1
    assert "RefineGeometry" in capsys.readouterr().err
