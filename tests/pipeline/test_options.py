"""The driver's options, and where it looks for files, layers and parameters."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from tiny_scan import FRAMES, GRAINS, Call, Finished, TinyScan, digests, prepare

from midas.archive import Archive
from midas.commands.names import program
from midas.commands.program import parse
from midas.formats.grains import read_grains
from midas.parameters import Parameters
from midas.pipeline.options import Options
from midas.pipeline.user_file import UserFile
from midas.runtime.options import from_words

# ---------------------------------------------------------------- options

TEXT, NUMBER = "some text", "3"
OPTIONS = {
    **dict.fromkeys("paramFN dataFN resultFolder machineName fileName rawDir grainsFile".split(), TEXT),
    **dict.fromkeys("nCPUs nNodes startLayerNr endLayerNr convertFiles doPeakSearch peakSearchOnly".split(), NUMBER),
    **dict.fromkeys("numFrameChunks preProcThresh provideInputAll reprocess batchMode perSpotGroups".split(), NUMBER),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_is_understood(name: str) -> None:
    values = parse(program("ff_MIDAS.py"), "ff_MIDAS.py", [f"-{name}", OPTIONS[name]])
    assert str(getattr(values, name)) == OPTIONS[name]
    assert values.surplus == []


def test_defaults_are_those_of_the_legacy_driver() -> None:
    values = vars(parse(program("ff-midas"), "ff-midas", []))
    texts = dict.fromkeys("paramFN dataFN resultFolder fileName rawDir grainsFile".split(), "")
    numbers = {"nNodes": -1, "startLayerNr": 1, "endLayerNr": None, "convertFiles": 1, "doPeakSearch": 1}
    numbers |= {"peakSearchOnly": 0, "numFrameChunks": -1, "preProcThresh": -1, "provideInputAll": 0, "reprocess": 0}
    # All but nCPUs, see docs/differences.md.
    for name, default in {**texts, **numbers, "machineName": "local"}.items():
        assert values[name] == default, name


@pytest.mark.parametrize(
    ("name", "nodes", "start"),
    [
        ("purdue", 4, "srun --nodes=4 --ntasks=4 --cpus-per-task=128 "),
        ("umich", -1, "srun --nodes=1 --ntasks=1 --cpus-per-task=36 "),
        ("marquette", 2, "srun --nodes=2 --ntasks=2 --cpus-per-task=36 "),
        ("orthrosnew", 3, "srun --nodes=11 --ntasks=11 --cpus-per-task=32 "),
        ("orthrosall", -1, "mpirun -n 5 --map-by ppr:1:node:PE=64 "),
    ],
)
def test_a_cluster_is_told_what_to_type(
    name: str, nodes: int, start: str, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["-paramFN", "my ps.txt", "-machineName", name, f"--nNodes={nodes}", "-nCPU", 3]
    assert in_process("ff_MIDAS.py", *arguments, "-endLayerNr", 2, cwd=tmp_path) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    cores = start.rpartition("=")[2].strip()
    assert f"{start}ff_MIDAS.py -paramFN 'my ps.txt' -endLayerNr 2 -nCPUs {cores}" in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("extra", [("-runinfo", "x"), ("-numFilesPerScan", 1), ("-omegaStep=0.25",), ("surplus",)])
def test_what_old_scripts_add_is_ignored_with_a_warning(
    extra: tuple[object, ...], scan: TinyScan, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["-dataFN", scan.archive, "-convertFiles", 0, "-peakSearchOnly", 1, *extra]
    assert in_process("ff-midas", *arguments, cwd=tmp_path) == 0
    out, err = capsys.readouterr()
    assert f"MIDAS - WARNING - ignored: {' '.join(map(str, extra))}" in err
    assert "ignored" not in out


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("-data", "dataFN"),
        ("-rep", "reprocess"),
        ("-grains", "grainsFile"),
        ("--start", "startLayerNr"),
        ("-resultF", "resultFolder"),
        ("-dataL", "dataLoc"),
        ("-f", "fileName"),
    ],
)
def test_abbreviations_mean_what_they_meant(short: str, full: str) -> None:
    """Those that were plain among the legacy options stay so beside newer ones."""
    values = parse(program("ff-midas"), "ff-midas", [short, "1"])
    assert str(getattr(values, full)) == "1"


@pytest.mark.parametrize(("flag", "value", "meant"), [("convertFiles", 2, False), ("doPeakSearch", 1, True)])
def test_of_a_flag_only_1_counts(flag: str, value: int, meant: bool) -> None:
    words = vars(parse(program("ff-midas"), "ff-midas", [f"-{flag}", str(value)]))
    options = from_words(Options, words)
    assert (options.convert if flag == "convertFiles" else options.peak_search) is meant


def test_conversion_options_arrive(scan: TinyScan, tmp_path: Path, in_process: Call) -> None:
    arguments = ["-paramFN", scan.parameters, "-dataFN", scan.raw, "-peakSearchOnly", 1]
    assert in_process("ff-midas", *arguments, "-numFrameChunks", 7, "-preProcThresh", 5, cwd=tmp_path) == 0
    layer = tmp_path / "LayerNr_1"
    with Archive(layer / "scan_000001.MIDAS.zip") as archive:
        assert archive.parameters["numFrameChunks"] == 7
        assert archive.parameters["preProcThresh"] == 5
        assert len(archive.frames) == FRAMES
    output = (layer / "midas_log" / "ZipOut.txt").read_text().splitlines()
    assert output[-1] == f"OutputZipName: {layer}/scan_000001.MIDAS.zip"


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
        file.visit(lambda name: found.append(name) if "/spots/spot_" in name else None)
        assert bool(found) == groups


def test_report(finished: Finished, scan: TinyScan, tmp_path: Path, in_process: Call) -> None:
    shutil.copytree(finished[0] / "Temp", tmp_path / "LayerNr_1" / "Temp")
    arguments = ["-dataFN", scan.archive, "-convertFiles", 0, "-doPeakSearch", 0, "-report", 1, "-perSpotGroups", 0]
    assert in_process("ff-midas", *arguments, cwd=tmp_path) == 0
    assert "4 grains" in (tmp_path / "LayerNr_1" / "sim.analysis.MIDAS_report.html").read_text()


# ---------------------------------------------------------------- paths, layers, keys


def test_layers_from_numbered_files_through_paths_with_blanks(
    scan: TinyScan, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    parameters = prepare(tmp_path / "my data", scan, "RingsToExcludeFraction 5   # weak", ending="")
    content = parameters.read_bytes()
    (tmp_path / "elsewhere").mkdir()
    arguments = ["-paramFN", "../my data/ps file.txt", "-resultFolder", "../my data/the results"]
    assert (
        in_process(
            "ff-midas", *arguments, "-endLayerNr", 2, "-nCPUs", 2, "-perSpotGroups", 0, cwd=tmp_path / "elsewhere"
        )
        == 0
    )
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


@pytest.mark.parametrize(
    ("line", "differs"),
    [
        ("MinEta 7", True),  # the setup reads it in the archive
        ("WedgeModel legacy", True),  # and hands it on
        ("Vsample 5", True),
        ("PanelShiftsFile other/shifts.txt", True),
        ("OmegaStart 1", False),  # of the conversion
        ("GaussWidth 3", False),  # of the simulation
        ("RingsToExcludeFraction 5", False),  # goes from the file into paramstest.txt
        ("TakeGrainMax 1", False),  # read in paramstest.txt only
        ("ResultFolder elsewhere", False),  # the driver says what it is
        ("LayerNr 3", False),
    ],
)
def test_only_keys_that_a_stage_reads_in_the_archive_differ(
    line: str, differs: bool, scan: TinyScan, tmp_path: Path
) -> None:
    (tmp_path / "ps.txt").write_text(f"{scan.parameters.read_text()}{line}\n")
    with Archive(scan.archive) as archive:
        found = UserFile(tmp_path / "ps.txt").differences(archive.parameters)
    assert found == ([line.split()[0]] if differs else [])


def test_panel_shifts_of_the_same_name_do_not_differ(tmp_path: Path) -> None:
    """An archive names the copy in the layer folder."""
    (tmp_path / "ps.txt").write_text("PanelShiftsFile /data/shifts.txt\n")
    assert UserFile(tmp_path / "ps.txt").differences(Parameters.parse("PanelShiftsFile shifts.txt\n")) == []


@pytest.mark.parametrize("raw", [True, False])
def test_a_key_that_does_nothing_yet_is_said_once(
    raw: bool, scan: TinyScan, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    parameters = tmp_path / "ps.txt"
    parameters.write_text(scan.parameters.read_text() + "GrainMerging spots\nSkipExplainedSeeds 0\nRefineTransform 1\n")
    data = ["-dataFN", scan.raw] if raw else ["-dataFN", scan.archive, "-convertFiles", 0]
    assert in_process("ff-midas", "-paramFN", "ps.txt", *data, "-perSpotGroups", 0, cwd=tmp_path) == 0
    warnings = [line for line in capsys.readouterr().err.splitlines() if "has no effect yet" in line]
    assert [line.split(": ")[1].split()[0] for line in warnings] == ["RefineTransform"]
    assert "ps.txt, line " in warnings[0] and warnings[0].endswith("this version analyses one dataset at a time")
    handed_on = (tmp_path / "LayerNr_1" / "paramstest.txt").read_text().splitlines()
    if raw:  # else the archive counts, and a warning says that it differs
        assert handed_on[-2:] == ["WriteLegacyBins 0", "SkipExplainedSeeds 0"]
        (archive,) = (tmp_path / "LayerNr_1").glob("*.MIDAS.zip")
        with Archive(archive) as opened:
            kept = opened.parameters
        assert (kept["GrainMerging"], kept["SkipExplainedSeeds"]) == ("spots", 0)


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
    with Archive(layer / "scan_000001.MIDAS.zip") as archive:
        assert archive.parameters["PanelShiftsFile"] == "shifts.txt"
