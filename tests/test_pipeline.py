"""The driver: its options, the folder it leaves, what it says, and that it writes what the separate commands write."""

from __future__ import annotations

import json
import logging
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from tiny_scan import FRAMES, GRAINS, OMEGA_STEP, TinyScan, digests

import midas
from midas.archive import Archive
from midas.cli import NAMES, parse
from midas.errors import MidasError, StageError, UsageError
from midas.formats.grains import read_grains
from midas.results.compare import compare

LOG_LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d - MIDAS - (INFO|WARNING|ERROR) - .")
LOGS = "hkls peaksearch0 merge_overlaps calc_radius fit_setup binning indexing0 refining0 process_grains".split()

Call = Callable[..., int]
Finished = tuple[Path, "subprocess.CompletedProcess[str]"]


def log_name(step: str, kind: str) -> str:
    name = step.rstrip("0")
    return f"{name}_{kind}{step[len(name) :]}.csv"


# ---------------------------------------------------------------- a run


def test_folder_of_a_layer(finished: Finished) -> None:
    layer, _ = finished
    found = {path.name for path in layer.iterdir()}
    assert found == {
        *("hkls.csv", "SpotsToIndex.csv", "InputAll.csv", "InputAllNoHeader.csv", "InputAllExtraInfoFittingAll.csv"),
        *("MergeMap.csv", f"Radius_StartNr_1_EndNr_{FRAMES}.csv", f"Result_StartNr_1_EndNr_{FRAMES}.csv"),
        *("IDRings.csv", "IDsHash.csv", "paramstest.txt", "Spots.bin", "ExtraInfo.bin"),
        *("Grains.csv", "SpotMatrix.csv", "GrainIDsKey.csv", "sim.analysis.MIDAS_consolidated.h5"),
        *("sim.analysis.MIDAS.zip", "Parameters.txt", "Results", "Output", "Temp", "midas_log", "output"),
    }
    assert {path.name for path in (layer / "Results").iterdir()} == {"Key.bin", "OrientPosFit.bin", "ProcessKey.bin"}
    assert {path.name for path in (layer / "Output").iterdir()} == {"FitBest.bin", "IndexBest.bin", "IndexBestFull.bin"}
    assert len(list((layer / "Temp").glob("sim.analysis.MIDAS.zip_*_PS.csv"))) == FRAMES
    assert len(list((layer / "Temp").iterdir())) == 2 * FRAMES
    assert (layer / "output").readlink() == Path("midas_log")


def test_logs(finished: Finished) -> None:
    layer, _ = finished
    names = {log_name(step, kind) for step in LOGS for kind in ("out", "err")}
    assert {path.name for path in (layer / "output").iterdir()} == names
    for step in LOGS:
        assert (layer / "midas_log" / log_name(step, "out")).stat().st_size > 0, step
        assert (layer / "midas_log" / log_name(step, "err")).stat().st_size == 0, step
    assert "Number of grains: 4." in (layer / "midas_log" / "process_grains_out.csv").read_text()
    peaks = (layer / "midas_log" / "peaksearch_out0.csv").read_text()
    assert peaks.count("FrameNr: ") == FRAMES
    assert "SpotID" not in peaks  # every message is in the log of its own step


def test_messages(finished: Finished) -> None:
    layer, result = finished
    lines = result.stdout.splitlines()
    assert lines[0] == f"First line of Grains.csv: %NumGrains {GRAINS}"
    assert f"{GRAINS} grains" in lines[1] and str(layer / "Grains.csv") in lines[2]
    messages = result.stderr.splitlines()
    assert all(LOG_LINE.match(line) for line in messages), result.stderr
    assert "WARNING" not in result.stderr
    done = r"INFO - Layer processing: 1/1 \(100%\), elapsed: [\d.]+ s - Layer 1 completed successfully$"
    assert re.search(done, messages[-2])
    assert messages[-1].endswith("INFO - All layers processed successfully")


def test_results_are_true(finished: Finished, scan: TinyScan) -> None:
    layer, _ = finished
    found = compare(scan.truth, layer / "Grains.csv", omega_step=OMEGA_STEP, turn_positions=True)
    assert (found.true_count, found.recovered, found.spurious) == (GRAINS, GRAINS, 0)
    assert found.misorientation.max() < 0.02 and found.distance.max() < 3.0


def test_consolidated_results(finished: Finished) -> None:
    layer, _ = finished
    with h5py.File(layer / "sim.analysis.MIDAS_consolidated.h5") as file:
        np.testing.assert_allclose(file["grains/summary"][:], read_grains(layer / "Grains.csv").columns.T)
        assert file["raw_data_ref/zarr_path"].asstr()[()] == str(layer / "sim.analysis.MIDAS.zip")
        spots = file["spot_matrix/data"][:]
        grain, spot = spots[0, :2].astype(int)
        assert f"grains/grain_{grain:04d}/spots/spot_{spot:06d}/constituent_peaks" in file
    with Archive(layer / "sim.analysis.MIDAS.zip") as archive:
        assert archive.parameters["ResultFolder"] == f"{layer}/"
        ids = archive.dataset("analysis/provenance/grain_spots/spot_ids")
        assert ids is not None and ids.read().tolist() == spots[:, 1].tolist()


def test_user_files_stay_as_they_are(scan: TinyScan, tmp_path: Path, in_process: Call) -> None:
    for path in (scan.parameters, scan.archive):
        shutil.copy(path, tmp_path)
    before = digests(tmp_path) | {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    arguments = ["-paramFN", scan.parameters.name, "-dataFN", scan.archive.name, "-convertFiles", 0]
    assert in_process("ff-midas", *arguments, "-rawDir", "elsewhere", "-peakSearchOnly", 1, cwd=tmp_path) == 0
    shutil.rmtree(tmp_path / "LayerNr_1")
    assert digests(tmp_path) | {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_separate_commands_write_the_same_files(
    finished: Finished, run_command: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """The nine legacy commands in the emptied folder of the layer, as the legacy driver called them."""
    layer, _ = finished
    kept = layer.with_name("kept")
    shutil.copytree(layer, kept, symlinks=True)
    try:
        for path in layer.iterdir():
            if path.name not in ("sim.analysis.MIDAS.zip", "Parameters.txt", "midas_log"):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        archive = "sim.analysis.MIDAS.zip"
        run = [
            ("GetHKLListZarr", archive),
            ("PeaksFittingOMPZarrRefactor", archive, 0, 1, 2),
            ("MergeOverlappingPeaksAllZarr", archive),
            ("CalcRadiusAllZarr", archive),
            ("FitSetupZarr", archive),
            ("SaveBinData",),
            ("IndexerOMP", "paramstest.txt", 0, 1, "seeds", 2),
            ("FitPosOrStrainsOMP", "paramstest.txt", 0, 1, "seeds", 2),
            ("ProcessGrainsZarr", archive),
        ]
        for name, *arguments in run:
            seeds = layer / "SpotsToIndex.csv"
            count = len(seeds.read_text().splitlines()) if seeds.exists() else 0
            result = run_command(name, *(count if a == "seeds" else a for a in arguments), cwd=layer)
            assert result.returncode == 0, result.stderr
            assert result.stderr == ""
        assert digests(layer) == digests(kept)
    finally:
        shutil.rmtree(layer)
        kept.rename(layer)


# ---------------------------------------------------------------- options

TEXT, NUMBER = "some text", "3"
OPTIONS = {
    **dict.fromkeys("paramFN dataFN resultFolder machineName fileName rawDir grainsFile".split(), TEXT),
    **dict.fromkeys("nCPUs nNodes startLayerNr endLayerNr convertFiles doPeakSearch peakSearchOnly".split(), NUMBER),
    **dict.fromkeys("numFrameChunks preProcThresh provideInputAll reprocess batchMode perSpotGroups".split(), NUMBER),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_is_understood(name: str) -> None:
    values = parse(NAMES["ff_MIDAS.py"], "ff_MIDAS.py", [f"-{name}", OPTIONS[name]])
    assert str(getattr(values, name)) == OPTIONS[name]
    assert values.surplus == []


@pytest.mark.golden
def test_options_and_defaults_of_the_manual(shared: Path) -> None:
    values = vars(parse(NAMES["ff-midas"], "ff-midas", []))
    rows = re.findall(r"^\| `-(\w+)` \| `(\w+)` \| `([^`]*)`", (shared / "MANUAL.md").read_text(), re.M)
    assert len(rows) == 18
    for name, kind, default in rows:
        if name == "nCPUs":
            continue  # every core that the process may use, see docs/differences.md
        assert values[name] == (default.strip("'") if kind == "str" else int(default)), name


@pytest.mark.parametrize(
    "option", [("-fileName", "a_000001.ge3"), ("-provideInputAll", 1), ("-batchMode", 1), ("-machineName", "purdue")]
)
def test_options_to_come_say_so(
    option: tuple[str, object], scan: TinyScan, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    assert in_process("ff-midas", "-paramFN", scan.parameters, *option, cwd=tmp_path) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"ff-midas: {option[0]}: {option[1]}: ") and err.count("\n") == 1
    assert "available yet" in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "Either -paramFN or -dataFN must be provided"),
        (["-nCPUs", "many"], "-nCPUs"),
        (["-paramFN"], "-paramFN"),
        (["-dataFN", "x.h5", "-startLayerNr", "0"], "-startLayerNr: 0: must be at least 1"),
        (["-dataFN", "x.h5", "-startLayerNr", "3", "-endLayerNr", "2"], "-endLayerNr: 2: must not be below"),
        (["-reprocess", "1", "-startLayerNr", "2"], "-endLayerNr: 1: must not be below"),
        (["-dataFN", "x.h5", "-nCPUs", "0"], "nCPUs: 0: must be at least 1"),
        (["-dataFN", "x.h5"], "the conversion needs a parameter file"),
    ],
)
def test_wrong_command_lines(
    arguments: list[str], reason: str, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    assert in_process("ff-midas", *arguments, cwd=tmp_path) == 2
    err = capsys.readouterr().err
    assert err.startswith("ff-midas: ") and reason in err and err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["-paramFN", "no.txt"], "no.txt: parameter file cannot be read (No such file or directory)"),
        (["-paramFN", "PS", "-dataFN", "no.h5"], "no.h5: raw data file is missing"),
        (["-paramFN", "PS", "-dataFN", "no.MIDAS.zip", "-convertFiles", "0"], "no.MIDAS.zip: is missing"),
        (["-dataFN", "no.MIDAS.zip"], "no.MIDAS.zip: is missing"),
        (["-paramFN", "PS", "-convertFiles", "0"], "StartFileNrFirstLayer: is missing"),
        (["-paramFN", "PS", "-dataFN", "RAW", "-grainsFile", "no.csv"], "no.csv: cannot be read"),
        (["-reprocess", "1", "-resultFolder", "no"], "no: is not a folder"),
        (["-reprocess", "1"], "No .MIDAS.zip file found"),
    ],
)
def test_missing_inputs_are_noticed_first(
    arguments: list[str],
    reason: str,
    scan: TinyScan,
    tmp_path: Path,
    in_process: Call,
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = {"PS": scan.parameters, "RAW": scan.raw}
    assert in_process("ff-midas", *(files.get(a, a) for a in arguments), cwd=tmp_path) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("ff-midas: ") and reason in last
    assert not list(tmp_path.iterdir())


def test_unknown_options_are_ignored_with_a_warning(
    scan: TinyScan, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["-dataFN", scan.archive, "-convertFiles", 0, "-peakSearchOnly", 1, "-runinfo", "x", "--later"]
    assert in_process("ff-midas", *arguments, cwd=tmp_path) == 0
    out, err = capsys.readouterr()
    assert "MIDAS - WARNING - ignored: -runinfo x --later" in err
    assert "ignored" not in out


def test_conversion_options_arrive(scan: TinyScan, tmp_path: Path, in_process: Call) -> None:
    arguments = ["-paramFN", scan.parameters, "-dataFN", scan.raw, "-peakSearchOnly", 1]
    assert in_process("ff-midas", *arguments, "-numFrameChunks", 7, "-preProcThresh", 5, cwd=tmp_path) == 0
    layer = tmp_path / "LayerNr_1"
    with Archive(layer / "scan_000001.h5.analysis.MIDAS.zip") as archive:
        assert archive.parameters["numFrameChunks"] == 7
        assert archive.parameters["preProcThresh"] == 5
        assert len(archive.frames) == FRAMES
    output = (layer / "midas_log" / "ZipOut.txt").read_text().splitlines()
    assert output[-1] == f"OutputZipName: {layer}/scan_000001.h5.analysis.MIDAS.zip"


def test_peak_search_alone_and_the_rest_later(
    finished: Finished, scan: TinyScan, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["-paramFN", scan.parameters, "-dataFN", scan.archive, "-convertFiles", 0, "-nCPUs", 1]
    assert in_process("ff-midas", *arguments, "-peakSearchOnly", 1, cwd=tmp_path) == 0
    assert "Grains.csv" not in capsys.readouterr().out
    layer = tmp_path / "LayerNr_1"
    assert len(list((layer / "Temp").iterdir())) == 2 * FRAMES
    assert not list(layer.glob("Result_*")) and not (layer / "Grains.csv").exists()
    times = {path: path.stat().st_mtime_ns for path in (layer / "Temp").iterdir()}
    assert in_process("ff-midas", *arguments, "-doPeakSearch", 0, cwd=tmp_path) == 0
    assert times == {path: path.stat().st_mtime_ns for path in (layer / "Temp").iterdir()}
    own, other = digests(layer), digests(finished[0])
    assert own.pop("paramstest.txt") != other.pop("paramstest.txt")  # holds the folder
    assert own == other


@pytest.mark.parametrize(("value", "groups"), [(1, True), (0, False)])
def test_per_spot_groups(
    value: int, groups: bool, finished: Finished, scan: TinyScan, tmp_path: Path, in_process: Call
) -> None:
    layer = tmp_path / "LayerNr_1"
    shutil.copytree(finished[0] / "Temp", layer / "Temp")
    arguments = ["-dataFN", scan.archive, "-convertFiles", 0, "-doPeakSearch", 0, "-perSpotGroups", value]
    assert in_process("ff-midas", *arguments, cwd=tmp_path) == 0
    with h5py.File(layer / "sim.analysis.MIDAS_consolidated.h5") as file:
        found: list[str] = []
        file.visit(lambda name: found.append(name) if "/spot_" in name else None)
        assert bool(found) == groups


def test_report(finished: Finished, scan: TinyScan, tmp_path: Path, in_process: Call) -> None:
    shutil.copytree(finished[0] / "Temp", tmp_path / "LayerNr_1" / "Temp")
    arguments = ["-dataFN", scan.archive, "-convertFiles", 0, "-doPeakSearch", 0, "-report", 1]
    assert in_process("ff-midas", *arguments, cwd=tmp_path) == 0
    assert "4 grains" in (tmp_path / "LayerNr_1" / "sim.analysis.MIDAS_report.html").read_text()


# ---------------------------------------------------------------- paths, layers, keys


def prepare(folder: Path, scan: TinyScan, *lines: str, ending: str = "\n") -> Path:
    """A parameter file for numbered raw files in `folder`/raw data, and two of these."""
    (folder / "raw data").mkdir(parents=True)
    for number in (1, 2):
        shutil.copy(scan.raw, folder / "raw data" / f"scan_{number:06d}.h5")
    added = ["FileStem scan", "Ext .h5", "StartFileNrFirstLayer 1", "RawFolder raw data", *lines]
    path = folder / "ps file.txt"
    path.write_text(scan.parameters.read_text() + "\n".join(added) + ending)
    return path


def test_layers_from_numbered_files_through_paths_with_blanks(
    scan: TinyScan, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    parameters = prepare(tmp_path / "my data", scan, "RingsToExcludeFraction 5   # weak", ending="")
    content = parameters.read_bytes()
    (tmp_path / "elsewhere").mkdir()
    arguments = ["-paramFN", "../my data/ps file.txt", "-resultFolder", "../my data/the results"]
    assert in_process("ff-midas", *arguments, "-endLayerNr", 2, "-nCPUs", 2, cwd=tmp_path / "elsewhere") == 0
    out, err = capsys.readouterr()
    assert out.count(f"First line of Grains.csv: %NumGrains {GRAINS}\n") == 2
    assert "Layer processing: 1/2 (50%)" in err and "Layer processing: 2/2 (100%)" in err
    assert parameters.read_bytes() == content
    for number in (1, 2):
        layer = tmp_path / "my data" / "the results" / f"LayerNr_{number}"
        assert (layer / f"scan_{number:06d}.MIDAS_consolidated.h5").exists()
        assert (layer / "ps file.txt").read_bytes() == content
        lines = (layer / "paramstest.txt").read_text().splitlines()
        assert lines[-1] == "RingsToExcludeFraction 5   # weak"
        assert f"OutputFolder {layer}///Output" in lines
    assert not list((tmp_path / "elsewhere").iterdir())


def test_raw_folder_of_the_command_line(scan: TinyScan, tmp_path: Path, in_process: Call) -> None:
    parameters = prepare(tmp_path, scan, "Dark /old/place/dark.h5", "RawFolder /old/place", ending="")
    (tmp_path / "raw data").rename(tmp_path / "moved")
    with h5py.File(tmp_path / "moved" / "dark.h5", "w") as file:
        file["exchange/dark"] = np.zeros((2, 256, 256), np.uint16)
    content = parameters.read_bytes()
    arguments = ["-paramFN", parameters, "-rawDir", "moved", "-startLayerNr", 2, "-endLayerNr", 2]
    assert in_process("ff-midas", *arguments, "-peakSearchOnly", 1, cwd=tmp_path) == 0
    assert parameters.read_bytes() == content
    layer = tmp_path / "LayerNr_2"
    copied = (layer / "ps file.txt").read_text().splitlines()
    assert copied[-2:] == [f"RawFolder {tmp_path}/moved", f"Dark {tmp_path}/moved/dark.h5"]
    old = content.decode().splitlines()
    assert [line.removeprefix("# ") for line in copied[:-2]] == old  # every line in its place
    assert "# Dark /old/place/dark.h5" in copied
    assert (layer / "scan_000002.MIDAS.zip").exists()


def test_layer_archives_that_are_there(scan: TinyScan, tmp_path: Path, in_process: Call) -> None:
    parameters = prepare(tmp_path, scan, "Padding 4")
    layer = tmp_path / "LayerNr_1"
    layer.mkdir()
    shutil.copy(scan.archive, layer / "scan_0001.MIDAS.zip")
    assert in_process("ff-midas", "-paramFN", parameters, "-convertFiles", 0, "-peakSearchOnly", 1, cwd=tmp_path) == 0
    assert (layer / "Temp" / "scan_0001.MIDAS.zip_000001_PS.csv").exists()


def test_parameters_of_the_archive_count_and_the_driver_says_so(
    scan: TinyScan, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    parameters = tmp_path / "ps.txt"
    parameters.write_text(
        scan.parameters.read_text() + "Completeness 0.55\nRingThresh 6 10\nRingsToExcludeFraction 5\n"
    )
    arguments = ["-paramFN", "ps.txt", "-dataFN", scan.archive, "-convertFiles", 0, "-peakSearchOnly", 1]
    assert in_process("ff-midas", *arguments, cwd=tmp_path) == 0
    (warning,) = [line for line in capsys.readouterr().err.splitlines() if "WARNING" in line]
    assert warning.endswith(": other values than in sim.analysis.MIDAS.zip, which count: RingThresh, Completeness")


def test_result_folder_key(scan: TinyScan, tmp_path: Path, in_process: Call, caplog: pytest.LogCaptureFixture) -> None:
    parameters = tmp_path / "ps.txt"
    parameters.write_text(scan.parameters.read_text() + "ResultFolder from key\n")
    arguments = ["-paramFN", "ps.txt", "-dataFN", scan.archive, "-convertFiles", 0, "-peakSearchOnly", 1]
    assert in_process("ff-midas", *arguments, cwd=tmp_path) == 0
    assert (tmp_path / "from key" / "LayerNr_1" / "Temp").is_dir()
    assert in_process("ff-midas", *arguments, "-resultFolder", "from option", cwd=tmp_path) == 0
    assert (tmp_path / "from option" / "LayerNr_1" / "Temp").is_dir()
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("way", ["option", "key"])
def test_seed_grains(way: str, finished: Finished, scan: TinyScan, tmp_path: Path, in_process: Call) -> None:
    """The grains of the earlier run, two of them in another order, are found again, each as itself."""
    lines = (finished[0] / "Grains.csv").read_text().splitlines()
    (tmp_path / "seed grains.csv").write_text("\n".join(["%NumGrains 2", *lines[1:9], lines[11], lines[9], ""]))
    parameters = tmp_path / "ps.txt"
    text = scan.parameters.read_text() + "MinNrSpots 3\n"
    parameters.write_text(text if way == "option" else text + "GrainsFile seed grains.csv\n")
    shutil.copytree(finished[0] / "Temp", tmp_path / "results" / "LayerNr_1" / "Temp")
    cwd = tmp_path if way == "option" else tmp_path / "results"  # beside the parameter file in either case
    arguments = ["-paramFN", parameters, "-dataFN", scan.archive, "-convertFiles", 0, "-doPeakSearch", 0]
    arguments += ["-resultFolder", tmp_path / "results"]
    arguments += ["-grainsFile", "seed grains.csv"] if way == "option" else []
    assert in_process("ff-midas", *arguments, cwd=cwd) == 0
    layer = tmp_path / "results" / "LayerNr_1"
    assert f"GrainsFile {tmp_path}/seed grains.csv" in (layer / "paramstest.txt").read_text().splitlines()
    assert f"GrainsFile {tmp_path}/seed grains.csv" in (layer / "ps.txt").read_text().splitlines()
    seeds = [line.split() for line in (layer / "SpotsToIndex.csv").read_text().splitlines()]
    assert [seed[1] for seed in seeds] == [lines[11].split()[0], lines[9].split()[0]]
    grains, before = read_grains(layer / "Grains.csv"), read_grains(finished[0] / "Grains.csv")
    assert len(grains) == 2
    for column in "XYZ":
        np.testing.assert_allclose(grains[column], before[column][[2, 0]], atol=0.5)
    with h5py.File(layer / "sim.analysis.MIDAS_consolidated.h5") as file:
        assert file["spots_to_index/data"].shape == (2, 2)


def test_panel_shifts_go_along(scan: TinyScan, tmp_path: Path, in_process: Call) -> None:
    folder = tmp_path / "calibration"
    folder.mkdir()
    (folder / "shifts.txt").write_text("0 0.5 0.25 0\n")
    parameters = tmp_path / "ps.txt"
    panels = "NPanelsY 1\nNPanelsZ 1\nPanelSizeY 256\nPanelSizeZ 256\nPanelShiftsFile calibration/shifts.txt\n"
    parameters.write_text(scan.parameters.read_text() + panels)
    (tmp_path / "cwd").mkdir()
    arguments = ["-paramFN", parameters, "-dataFN", scan.raw, "-peakSearchOnly", 1]
    assert in_process("ff-midas", *arguments, cwd=tmp_path / "cwd") == 0
    layer = tmp_path / "cwd" / "LayerNr_1"
    assert (layer / "shifts.txt").read_text() == "0 0.5 0.25 0\n"
    assert "1 panels" in (layer / "midas_log" / "peaksearch_out0.csv").read_text()
    with Archive(layer / "scan_000001.h5.analysis.MIDAS.zip") as archive:
        assert archive.parameters["PanelShiftsFile"] == "shifts.txt"


# ---------------------------------------------------------------- failures

FAILURES = {
    "archive": ("RawFolder nowhere\n", "Failed to generate ZIP file: ", "ZipErr.txt"),
    "hkls": ("SpaceGroup 999\n", "Failed to generate HKLs: HKL generation failed: ", "hkls_err.csv"),
    "peaks": ("RingThresh 1 -5\n", "Peak search failed: ", "peaksearch_err0.csv"),
    "merging": ("", "Peak merging failed: ", "merge_overlaps_err.csv"),
    "no seeds": ("MinOmeSpotIDsToIndex 89.99\n", "No ID was found in SpotsToIndex.csv", None),
    "no solution": ("Completeness 1.1\n", "Grain processing failed: Key file was not found", "process_grains_err.csv"),
}


@pytest.mark.parametrize("stage", FAILURES)
def test_failures_leave_no_results(
    stage: str, finished: Finished, scan: TinyScan, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    line, reason, log = FAILURES[stage]
    layer = tmp_path / "LayerNr_1"
    layer.mkdir()
    for name in ("Grains.csv", "SpotMatrix.csv", "GrainIDsKey.csv", "sim.analysis.MIDAS_consolidated.h5"):
        shutil.copy(finished[0] / name, layer)
    parameters = tmp_path / "ps.txt"
    added = "FileStem scan\nExt .h5\nStartFileNrFirstLayer 1\n" if stage == "archive" else ""
    parameters.write_text(scan.parameters.read_text() + added + line)
    data = [] if stage == "archive" else ["-dataFN", scan.raw]
    data += ["-doPeakSearch", 0] if stage == "merging" else []
    assert in_process("ff-midas", "-paramFN", parameters, *data, cwd=tmp_path) == 1
    out, err = capsys.readouterr()
    assert out == ""
    lines = [text for text in err.splitlines() if not LOG_LINE.match(text)]
    assert len(lines) == 1, err
    assert lines[0].startswith("ff-midas: Failed to process layer 1: ") and reason in lines[0]
    if log is not None:
        assert (layer / "midas_log" / log).read_text().count("\n") == 1
    left = {path.name for path in layer.iterdir()}
    assert not left & {"Grains.csv", "SpotMatrix.csv", "GrainIDsKey.csv"}
    assert not list(layer.glob("*.h5"))
    assert not list(layer.rglob("*.part"))


def test_a_failing_layer_ends_the_run(
    scan: TinyScan, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    parameters = prepare(tmp_path, scan)
    (tmp_path / "raw data" / "scan_000001.h5").write_bytes(b"no HDF5")
    arguments = ["-paramFN", parameters, "-endLayerNr", 2, "-peakSearchOnly", 1]
    assert in_process("ff-midas", *arguments, cwd=tmp_path) == 1
    assert "Failed to process layer 1: Failed to generate ZIP file: " in capsys.readouterr().err
    assert not (tmp_path / "LayerNr_2").exists()


def test_a_failing_consolidation_is_an_error(
    finished: Finished, scan: TinyScan, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    layer = tmp_path / "LayerNr_1"
    shutil.copytree(finished[0] / "Temp", layer / "Temp")
    (layer / "sim.analysis.MIDAS_consolidated.h5").mkdir()
    arguments = ["-dataFN", scan.archive, "-convertFiles", 0, "-doPeakSearch", 0]
    assert in_process("ff-midas", *arguments, cwd=tmp_path) == 1
    assert "old result cannot be removed" in capsys.readouterr().err


# ---------------------------------------------------------------- again


def test_reprocess_in_a_moved_folder(
    finished: Finished, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(finished[0], tmp_path / "moved" / "LayerNr_2", symlinks=True)
    shutil.copytree(finished[0], tmp_path / "moved" / "LayerNr_10", symlinks=True)
    layers = [tmp_path / "moved" / name for name in ("LayerNr_2", "LayerNr_10")]
    for layer in layers:
        for name in ("MergeMap.csv", "sim.analysis.MIDAS_consolidated.h5"):
            (layer / name).unlink()
    assert in_process("ff-midas", "-reprocess", 1, "-resultFolder", "moved", cwd=tmp_path) == 0
    err = capsys.readouterr().err
    assert err.index("LayerNr_2") < err.index("LayerNr_10")
    for layer in layers:
        assert digests(layer) == digests(finished[0])
        assert contents(layer) == contents(finished[0])
        assert (layer / "midas_log" / "merge_overlaps_reprocess_out.csv").stat().st_size > 0
        with Archive(layer / "sim.analysis.MIDAS.zip") as archive:
            assert archive.parameters["ResultFolder"] == f"{layer}/"


def contents(layer: Path) -> dict[str, str]:
    """Everything in the consolidated HDF5 but the places it names."""
    found: dict[str, str] = {}

    def add(name: str, item: h5py.Group | h5py.Dataset) -> None:
        value = item[()] if isinstance(item, h5py.Dataset) else None
        attributes = {key: np.asarray(value).tolist() for key, value in item.attrs.items()}
        found[name] = json.dumps([np.asarray(value).tolist(), attributes], default=str)

    with h5py.File(layer / "sim.analysis.MIDAS_consolidated.h5") as file:
        file.visititems(add)
    return {name: text for name, text in found.items() if name != "raw_data_ref/zarr_path"}


def test_reprocess_goes_on_after_a_failure(
    finished: Finished, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(finished[0], tmp_path / "LayerNr_2", symlinks=True)
    (tmp_path / "LayerNr_2" / "MergeMap.csv").unlink()
    (tmp_path / "LayerNr_1").mkdir()
    assert in_process("ff-midas", "-reprocess", 1, cwd=tmp_path) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("ff-midas: Failed to reprocess 1 of 2 layers: ") and "LayerNr_1" in last
    assert (tmp_path / "LayerNr_2" / "MergeMap.csv").exists()


def test_a_second_run_gives_the_same(scan: TinyScan, tmp_path: Path, in_process: Call) -> None:
    arguments = ["-paramFN", scan.parameters, "-dataFN", scan.raw, "-nCPUs", 2]
    layer = tmp_path / "LayerNr_1"
    assert in_process("ff-midas", *arguments, cwd=tmp_path) == 0
    first = digests(layer)
    assert in_process("ff-midas", *arguments, cwd=tmp_path) == 0
    assert digests(layer) == first
    assert (layer / "scan_000001.h5.analysis.MIDAS.zip.old").exists()


# ---------------------------------------------------------------- from Python


def test_from_python(finished: Finished, scan: TinyScan, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = (logging.getLogger("midas").handlers[:], logging.getLogger("midas").level)
    result = midas.run(scan.parameters, scan.raw, result_folder=tmp_path / "results", threads=2)
    assert (logging.getLogger("midas").handlers, logging.getLogger("midas").level) == before
    assert capfd.readouterr() == ("", "")
    (layer,) = result.data
    assert layer.number == 1
    assert layer.layer.folder == tmp_path / "results" / "LayerNr_1"
    np.testing.assert_array_equal(layer.grains.columns, read_grains(layer.layer.grains).columns)
    np.testing.assert_array_equal(layer.grains["X"], read_grains(finished[0] / "Grains.csv")["X"])
    assert len(layer.spot_matrix) == len(layer.layer.spot_matrix.read_text().splitlines()) - 1
    assert "FrameNr: 0" in (layer.layer.logs / "peaksearch_out0.csv").read_text()
    assert list(layer.seconds)[:3] == ["ZipOut", "hkls", "peaksearch"]


def test_peaks_from_python(scan: TinyScan, tmp_path: Path) -> None:
    (layer,) = midas.run(data_file=scan.archive, result_folder=tmp_path, convert=False, peak_search_only=True).data
    assert layer.grains is None and layer.layer.peaks(1).exists()


def test_errors_from_python(scan: TinyScan, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="needed"):
        midas.run()
    with pytest.raises(UsageError, match="layers"):
        midas.run(scan.parameters, layers=(2, 1))
    with pytest.raises(MidasError, match="nothing.txt"):
        midas.run("nothing.txt", result_folder=tmp_path)
    parameters = tmp_path / "ps.txt"
    parameters.write_text(scan.parameters.read_text() + "SpaceGroup 999\n")
    with pytest.raises(StageError, match="Failed to process layer 1"):
        midas.run(parameters, scan.raw, result_folder=tmp_path)
    assert capfd.readouterr().out == ""


def test_a_program_hears_what_it_wants_to_hear(
    finished: Finished, scan: TinyScan, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Warnings once, and none of the many lines that the files in midas_log/ get."""
    parameters = tmp_path / "ps.txt"
    parameters.write_text(scan.parameters.read_text() + "EndNr 99\n")
    caplog.set_level(logging.WARNING)
    (layer,) = midas.run(parameters, scan.raw, result_folder=tmp_path, peak_search_only=True).data
    assert [record.getMessage().split(": ")[1] for record in caplog.records] == [
        "EndNr is 99, but the scan has 180 frames; all are used"
    ]
    caplog.clear()
    caplog.set_level(logging.INFO, "midas")
    midas.run(parameters, scan.raw, result_folder=tmp_path, peak_search_only=True)
    assert len(caplog.records) > FRAMES
