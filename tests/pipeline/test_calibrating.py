"""The three programs of the calibration, from a file to the files."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from powder_images.recipe import PowderSet, powder_image
from powder_images.sets import flat, modules

from midas.commands.names import program
from midas.commands.program import parse
from midas.formats.hkls import LAYOUT
from midas.formats.panels import read_shifts
from midas.parameters import Parameters
from midas.pipeline import calibrating

Run = Callable[..., int]
BEAM = ("-calibrant", "225 5.4116", "-wavelength", "0.172973", "-px", "200")
ROUGH = ("-lsd", "200800", "-bc", "125", "130", "-nCPUs", "1")
NAMES = {"calibration.json", "calibration.h5", "calibration.png", "calibration.html", "ps_calibrated.txt", "hkls.csv"}


def write(powder: PowderSet, folder: Path, name: str) -> Path:
    """The image and its mask as TIFF."""
    image = powder_image(powder)
    rows, columns = powder.shape
    counts = np.where(image.masked, 0, image.counts)[:rows, :columns]
    tifffile.imwrite(folder / f"{name}_000001.tif", np.round(counts).astype(np.uint32))
    tifffile.imwrite(folder / f"{name}_mask.tif", image.masked[:rows, :columns].astype(np.uint8))
    return folder / f"{name}_000001.tif"


def tiny() -> PowderSet:
    """As the flat set, with a sixteenth of the pixels."""
    powder = flat(small=True)
    near = {"lsd": 200350.0, "y_bc": 126.37, "z_bc": 128.81, "rho_d": 30000.0}
    rough = {"lsd": 200800.0, "y_bc": 125.0, "z_bc": 130.0, "rho_d": 30000.0}
    detector, start = replace(powder.detector, **near), replace(powder.start, **rough)
    return replace(powder, detector=detector, start=start, shape=(256, 256))


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tiny(), tmp_path_factory.mktemp("flat"), "CeO2")


@pytest.fixture(scope="module")
def segmented(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an image of nine panels, and a parameter file with every key that the legacy example has."""
    folder = tmp_path_factory.mktemp("modules")
    write(modules(folder, small=True), folder, "CeO2")
    (folder / "parameters.txt").write_text(LEGACY.format(folder=folder))
    return folder


LEGACY = """\
# Parameters of the calibration
Folder {folder}
FileStem CeO2
Padding 6
Ext .tif
StartNr 1
EndNr 1
DataType 6
HeadSize 0
ImTransOpt 0
NrPixelsY 503
NrPixelsZ 514
px 172
Lsd 263400
BC 242.0 269.5
tx 0
ty 0
tz 0
p0 0
p1 0
p2 0
p3 0
p4 0.5
Wavelength 0.172973
SpaceGroup 225
LatticeConstant 5.4116 5.4116 5.4116 90 90 90
RhoD 60000
MaxRingRad 60000
Width 1500
EtaBinSize 2
RBinDivisions 4
FitOrWeightedMean 0
tolLsd 15000
tolBC 20
tolTilts 3
tolP 2e-3
tolP0 2e-3
tolP1 2e-3
tolP2 2e-3
tolP3 45
nIterations 3
MultFactor 2
NormalizeRingWeights 1
WeightByRadius 1
WeightByFitSNR 1
L2Objective 1
OutlierIterations 3
DoubletSeparation 25
MaskFile CeO2_mask.tif
NPanelsY 3
NPanelsZ 3
PanelSizeY 165
PanelSizeZ 160
PanelGapsY 7 1
PanelGapsZ 17 17
tolShifts 1
tolRotation 3
tolLsdPanel 100
tolP2Panel 0.0001
PerPanelLsd 1
PerPanelDistortion 1
MinIndicesForFit 10
PanelShiftsFile shifts.txt
RingsToExclude 9
RingsToExclude 10
DistortionOrder 6
tolP4 1e-3
"""


def test_an_image_becomes_a_geometry(
    image: Path, tmp_path: Path, in_process: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    assert in_process("ff-calibrate", image, *BEAM, *ROUGH, "--out", "here", cwd=tmp_path) == 0
    out, err = capfd.readouterr()
    assert err == "" and "Number of planes being considered: " in out and "# Lsd " in out
    folder = tmp_path / "here"
    assert {path.name for path in folder.iterdir()} == NAMES | {f"{image.name}.corr.csv"}
    truth = tiny().detector
    found = Parameters.read(folder / "ps_calibrated.txt")
    assert found["Lsd"] == pytest.approx(truth.lsd, abs=10)
    assert found["BC"] == pytest.approx((truth.y_bc, truth.z_bc), abs=0.01)
    assert (found["ty"], found["tz"]) == pytest.approx((truth.ty, truth.tz), abs=0.01)
    record = json.loads((folder / "calibration.json").read_text())
    assert record["parameters"]["Lsd"] == [found["Lsd"]] and record["numbers"]["Lsd"]["verdict"] == "ok"
    assert 0.1 < record["sigma"]["Lsd"][0] < 10 and record["strain"]["mean"] < 60
    hkls = LAYOUT.read(folder / "hkls.csv")
    assert hkls["d_spacing"][0] == pytest.approx(5.4116 / np.sqrt(3), abs=1e-6)
    assert hkls["ring_radius"].max() <= found["RhoD"]


def test_options_win_over_the_parameter_file(image: Path, tmp_path: Path, in_process: Run) -> None:
    text = "Wavelength 0.9\npx 200\nLsd 200800\nBC 125 130\nSpaceGroup 225\nCalibReport 0\np1 0\n"
    text += "LatticeParameter 5.4116 5.4116 5.4116 90 90 90\n"
    (tmp_path / "ps.txt").write_text(text)
    keys = ("-params", "ps.txt", "--energy", 12.398419843320026 / 0.172973, "-fit", "Lsd BC ty tz p2", "-fix", "tz")
    arguments = (*keys, "-json", "my.json", "-figure", "my.png", "-nCPUs", 1)
    assert in_process("ff-calibrate", image, *arguments, cwd=tmp_path) == 0
    record = json.loads((tmp_path / "my.json").read_text())
    assert record["free"] == ["Lsd", "BCy", "BCz", "ty", "p2"] and record["numbers"]["tz"]["verdict"] == "fixed"
    assert record["parameters"]["Wavelength"] == pytest.approx(0.172973, abs=1e-12)
    assert (tmp_path / "my.png").stat().st_size > 10000 and not (tmp_path / "calibration.html").exists()


def test_the_legacy_program_and_its_example(
    segmented: Path, tmp_path: Path, in_process: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    parameters = segmented / "parameters.txt"
    assert in_process("CalibrantPanelShiftsOMP", parameters, 1, cwd=tmp_path) == 0
    out, err = capfd.readouterr()
    assert err == "" and "Copy to par" in out and "MeanStrain " in out
    assert "warning: p4 0.5 is not applied" in out
    names = {path.name for path in tmp_path.iterdir()}
    assert names == (NAMES - {"ps_calibrated.txt"}) | {"shifts.txt", "shifts.txt.shifts.tif", "shifts.txt.strain.tif"}
    assert (segmented / "CeO2_000001.tif.corr.csv").exists()
    truth = modules(tmp_path, small=True)
    assert truth.panels is not None
    shifts = np.array([read_shifts(tmp_path / "shifts.txt")[panel] for panel in range(9)])
    error = shifts - (truth.panels.shifts - truth.panels.shifts.mean(axis=0))
    assert np.abs(shifts[:, :2].mean(axis=0)).max() < 1e-6, "without FixPanelID the mean stays"
    assert np.sqrt(np.mean(error[:, :2] ** 2)) < 0.15


def test_shifts_of_an_earlier_run_are_the_start_of_the_next(segmented: Path, tmp_path: Path, in_process: Run) -> None:
    """With panels that cannot move (tolShifts 0) the file counts as it is."""
    true = modules(tmp_path, small=True).panels
    assert true is not None
    rows = "".join(f"{i} {dy} {dz} {turn}\n" for i, (dy, dz, turn) in enumerate(true.shifts))
    (tmp_path / "shifts.txt").write_text(rows)
    text = LEGACY.format(folder=segmented).replace("tolShifts 1", "tolShifts 0")
    (tmp_path / "ps.txt").write_text(f"{text}CalibReport 0\n")
    arguments = ("-params", "ps.txt", "-mask", segmented / "CeO2_mask.tif", "-nCPUs", 1)
    assert in_process("ff-calibrate", *arguments, cwd=tmp_path) == 0
    record = json.loads((tmp_path / "calibration.json").read_text())
    assert record["strain"]["mean"] < 40, "several hundred without the shifts"
    assert record["panels"][3]["shift"] == pytest.approx(true.shifts[3].tolist())


def test_the_legacy_driver(image: Path, tmp_path: Path, in_process: Run, capfd: pytest.CaptureFixture[str]) -> None:
    text = "SpaceGroup 225\nLatticeConstant 5.4116 5.4116 5.4116 90 90 90\nWavelength 0.172973\npx 200\n"
    (tmp_path / "ps.txt").write_text(text + "RingsToExclude 3\n")
    arguments = ("-dataFN", image, "-paramFN", "ps.txt", "-LsdGuess", "200800", "-BCGuess", "125", "130", "-nCPUs", "1")
    arguments += ("-ConvertFile", "3", "-SavePlotsHDF", "plots.h5", "-MakePlots", "0", "-oldOption", "7")
    arguments += ("-FirstRingNr", "2", "-ImTransOpt", "0", "-MultFactor", "100", "-StoppingStrain", "1e-9")
    assert in_process("AutoCalibrateZarr.py", *arguments, cwd=tmp_path) == 0
    out, err = capfd.readouterr()
    assert err == "" and "warning: ignored: -oldOption 7" in out and "stays above -StoppingStrain" in out
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        "ps.txt", "plots.h5", "refined_MIDAS_params.txt", "ps_calibrated.txt", f"{image.name}ps.txt", "hkls.csv",
        "calibrant_screen_out.csv", "hkls_screen_out.csv", "autocal.log", "calibration.json", "calibration.h5",
    }  # fmt: skip
    assert "Mean Values" in (tmp_path / "calibrant_screen_out.csv").read_text()
    refined = Parameters.read(tmp_path / "refined_MIDAS_params.txt")
    assert refined["Lsd"] == pytest.approx(200350, abs=20)
    rings = json.loads((tmp_path / "calibration.json").read_text())["rings"]
    assert [ring["number"] for ring in rings][:3] == [2, 4, 5]
    with h5py.File(tmp_path / "plots.h5") as file:
        assert {"raw_image_data", "final_strain_data", "strain_tth_data_iter0", "parameters"} <= set(file)
    again = Parameters.read(tmp_path / f"{image.name}ps.txt", "calibration")
    assert again["Lsd"] == refined["Lsd"] and again["CalibRingsToExclude"] == (3,)


def test_options_of_the_legacy_driver_that_there_are_not_are_ignored() -> None:
    values = parse(program("AutoCalibrateZarr.py"), "AutoCalibrateZarr.py", ["-foo", "3", "-dataFN", "a.tif"])
    assert values.surplus == ["-foo", "3"] and values.dataFN == "a.tif"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("-calibrant", "Foo", *BEAM[2:]), 2, "calibrant: Foo: must be one of CeO2, LaB6, Si, Al2O3"),
        (("-bc", "1"), 2, "argument -bc: expected 2 arguments"),
        (("-trans", "x"), 2, "argument -trans: invalid whole number value: 'x'"),
        ((*BEAM, *ROUGH, "-fit", "Lsd foo"), 2, "-fit: foo: cannot be fitted; there are Lsd BC ty tz p0 p1 p2 p3"),
        ((*BEAM, "-energy", "70"), 2, "-energy: give the energy or the wavelength, not both"),
        ((*BEAM, *ROUGH, "-panels", "1 2 3"), 2, "-panels: 1 2 3: must be auto, off, or"),
        (("-calibrant", "CeO2", "-px", "200"), 1, "Wavelength: is missing"),
        (("-calibrant", "CeO2", "-wavelength", "0.17"), 1, "px: is missing"),
        (("-wavelength", "0.17", "-px", "200"), 1, "name the calibrant (-calibrant CeO2"),
        ((*BEAM, "-px", "-3"), 1, "px: -3.0: must be greater than 0"),
        ((*BEAM, *ROUGH, "-mask", "none.tif"), 1, "none.tif: MaskFN: is missing"),
        ((*BEAM, *ROUGH, "-fit", "auto Wavelength"), 1, "the rings cannot tell Wavelength"),
    ],
)
def test_bad_input_is_one_line(
    image: Path, tmp_path: Path, in_process: Run, capfd: pytest.CaptureFixture[str],
    arguments: tuple[str, ...], code: int, said: str,
) -> None:  # fmt: skip
    assert in_process("ff-calibrate", image, *arguments, cwd=tmp_path) == code
    err = capfd.readouterr().err
    assert err.startswith("ff-calibrate: ") and err.count("\n") == 1 and said in err
    assert not list(tmp_path.iterdir()), "nothing is left behind"


def test_a_wrong_beam_centre_leaves_no_trace(image: Path, tmp_path: Path, in_process: Run) -> None:
    """RhoD is the distance of the farthest corner from the centre that is found, not from the one that is given."""
    (tmp_path / "ps.txt").write_text("CalibReport 0\n")
    far = ("-lsd", "200800", "-bc", "20", "30", "-nCPUs", "1", "-params", "ps.txt")
    assert in_process("ff-calibrate", image, *BEAM, *far, cwd=tmp_path) == 0
    record = json.loads((tmp_path / "calibration.json").read_text())
    assert record["parameters"]["RhoD"] == 37000.0 and record["warnings"] == ["BC is 145 px from its start"]
    assert {record["numbers"][name]["verdict"] for name in ("p0", "p1c", "p1s", "p2")} == {"ok"}


def test_arrays_of_numpy_are_no_archive(tmp_path: Path, in_process: Run, capfd: pytest.CaptureFixture[str]) -> None:
    """A zip file with this extension is an image, a sparse frame cache, or nothing that can be read."""
    np.savez(tmp_path / "a.npz", counts=np.ones((4, 4)))
    assert in_process("ff-calibrate", "a.npz", *BEAM, *ROUGH, cwd=tmp_path) == 1
    said = "a.npz: holds counts; of .npz files only sparse frame caches can be read: write a TIFF file\n"
    assert capfd.readouterr().err.endswith(said)


def test_images_that_are_missing(
    image: Path, tmp_path: Path, in_process: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    assert in_process("ff-calibrate", "none.tif", *BEAM, *ROUGH, cwd=tmp_path) == 1
    assert capfd.readouterr().err == f"ff-calibrate: {tmp_path}/none.tif: is missing\n"
    text = f"Folder {image.parent}\nFileStem CeO2\nExt .tif\nStartNr 0\nEndNr 1\nCalibReport 0\n"
    (tmp_path / "ps.txt").write_text(text)
    assert in_process("ff-calibrate", "-params", "ps.txt", *BEAM, *ROUGH, cwd=tmp_path) == 0
    assert "CeO2_000000.tif: is missing; the means are those of the other images" in capfd.readouterr().out
    (tmp_path / "ps.txt").write_text(text.replace("EndNr 1", "EndNr 0").replace("CeO2", "Si"))
    assert in_process("CalibrantPanelShiftsOMP", "ps.txt", cwd=tmp_path) == 1


def test_a_result_on_a_bound_is_called_so(
    image: Path, tmp_path: Path, in_process: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    """The bound is about the start that was given, whatever the passes began with."""
    (tmp_path / "ps.txt").write_text("tolLsd 400\nCalibReport 0\nnoSuchKey 3\n")
    assert in_process("ff-calibrate", image, *BEAM, *ROUGH, "-params", "ps.txt", cwd=tmp_path) == 0
    out = capfd.readouterr().out
    assert "warning: Lsd ended on the bound of its tolerance" in out and "ps.txt: nothing reads noSuchKey" in out
    record = json.loads((tmp_path / "calibration.json").read_text())
    assert record["numbers"]["Lsd"]["verdict"] == "on bound" and record["parameters"]["Lsd"] == [200400.0]


@pytest.mark.parametrize("start", [ROUGH, ("-nCPUs", "1")])
def test_an_image_without_rings(
    tmp_path: Path, in_process: Run, capfd: pytest.CaptureFixture[str], start: tuple[str, ...]
) -> None:
    noise = np.random.default_rng(1).poisson(60, (256, 256)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", noise)
    assert in_process("ff-calibrate", "a.tif", *BEAM, *start, "-out", "out", cwd=tmp_path) == 1
    err = capfd.readouterr().err
    assert err.startswith(f"ff-calibrate: {tmp_path}/a.tif: ") and "ring" in err and err.count("\n") == 1
    assert not list((tmp_path / "out").iterdir())


def test_saturated_rings_are_the_reason(
    image: Path, tmp_path: Path, in_process: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    counts = np.minimum(tifffile.imread(image), 100).astype(np.uint8) + np.uint8(155)
    tifffile.imwrite(tmp_path / "a.tif", counts)
    assert in_process("ff-calibrate", "a.tif", *BEAM, *ROUGH, cwd=tmp_path) == 1
    err = capfd.readouterr().err
    assert re.search(r"\d+ of \d+ bins on rings have saturated pixels; expose for a shorter time", err)
    assert err.count("expose") == 1, "the advice is given once"


@pytest.mark.long
@pytest.mark.parametrize("start", [("-lsd", "208700", "-bc", "487", "512"), ()])
def test_a_real_image(shared: Path, tmp_path: Path, in_process: Run, start: tuple[str, ...]) -> None:
    image = shared / "golden" / "calibration" / "CeO2_Pilatus1M_deflate.tif"
    if not image.exists():
        pytest.skip("needs the image of a powder")
    arguments = ("-calibrant", "225 5.4116", "-wavelength", "0.4066", "-px", "172", "-trans", "2", "-nCPUs", "1")
    assert in_process("ff-calibrate", image, *arguments, *start, cwd=tmp_path) == 0
    found = Parameters.read(tmp_path / "ps_calibrated.txt")
    assert found["Lsd"] == pytest.approx(208743, abs=25)
    assert found["BC"] == pytest.approx((486.92, 512.098), abs=0.05)
    assert (tmp_path / "calibration.png").stat().st_size > 50000


@pytest.mark.parametrize("place", ["beside the parameters", "from the current folder", "absolute", "nowhere"])
def test_where_the_panels_start(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative name with a folder in it, which counts once."""
    shifts = "0 1.5 0.25 0\n" + "".join(f"{i} 0 0 0\n" for i in range(1, 4))
    parameters, current = tmp_path / "parameters", tmp_path / "current"
    for folder in (parameters, current):
        folder.mkdir()
    file = (current if place == "from the current folder" else parameters) / "sub" / "shifts.txt"
    if place != "nowhere":
        file.parent.mkdir()
        file.write_text(shifts)
    monkeypatch.chdir(current)
    named = str(file) if place == "absolute" else "sub/shifts.txt"
    two = {"NPanelsY": 2, "NPanelsZ": 2, "PanelSizeY": 100, "PanelSizeZ": 100, "PanelGapsY": (4,), "PanelGapsZ": (4,)}
    panels = calibrating._start_panels(Parameters({**two, "PanelShiftsFile": named}), parameters)
    assert panels[0, -2:].tolist() == ([0.0, 0.0] if place == "nowhere" else [1.5, 0.25])
