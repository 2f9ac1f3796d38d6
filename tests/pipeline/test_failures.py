"""Wrong command lines, missing inputs and failing stages of the driver: one line of error, and no results."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import h5py
import pytest
from tiny_scan import LOG_LINE, Call, Finished, TinyScan, digests, prepare

import midas
from midas.convert.options import ConversionOptions
from midas.convert.scan import RawScan
from midas.formats.layer import Layer
from midas.runtime.errors import IncompleteError, ParameterError


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
        (["-paramFN", "PS", "-peakSearchOnly", "1", "-doPeakSearch", "0"], "-peakSearchOnly: 1: leaves nothing to do"),
        (["-paramFN", "PS", "-batchMode", "1", "-fileName", "a_1.ge3"], "-batchMode: does not go with -fileName"),
        (["-fileName", "a_1.ge3"], "-fileName: needs a parameter file"),
        (["-paramFN", "PS", "-fileName", "a.ge3"], "-fileName: a.ge3: must be <stem>_<number><ending>"),
        (["-dataFN", "x.zip", "-batchMode", "1"], "-batchMode: needs a parameter file"),
        (["-paramFN", "PS", "-dataFN", "x.h5", "-batchMode", "1"], "does not go with -batchMode"),
        (["-paramFN", "PS", "-provideInputAll", "1", "-endLayerNr", "2"], "-endLayerNr: 2: must be -startLayerNr"),
        (["-paramFN", "PS", "-provideInputAll", "1", "-peakSearchOnly", "1"], "-peakSearchOnly: 1: does not go with"),
        (["-resultFoldr", "x"], "there is no option -resultFoldr; did you mean -resultFolder? (see ff-midas --help)"),
        (["-paramfn=x"], "there is no option -paramfn; did you mean -paramFN?"),
        (["--zzz"], "there is no option --zzz (see"),
        (["-paramFN", "x", "-machineName", "nowhere"], "-machineName: nowhere: must be one of local, orthrosnew, "),
        (["-paramFN", "x", "-machineName", "umich", "-nNodes", "0"], "-nNodes: 0: must be at least 1"),
        (["demo", "-paramFN", "x"], "-paramFN: x: means nothing to the demo"),
        (["demo", "-resultFoldr", "x"], "there is no option -resultFoldr; did you mean -resultFolder?"),
        (["-paramFN", "PS", "-dataFN", "x.h5", "-numFrameChunks", "0"], "-numFrameChunks: 0: must be at least 1"),
    ],
)
def test_wrong_command_lines(
    arguments: list[str],
    reason: str,
    scan: TinyScan,
    tmp_path: Path,
    in_process: Call,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = [str(scan.parameters) if word == "PS" else word for word in arguments]
    assert in_process("ff-midas", *words, cwd=tmp_path) == 2
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
        (["-paramFN", "PS", "-dataFN", "RAW", "-endLayerNr", "3"], "StartFileNrFirstLayer: are missing: they are part"),
        (["-paramFN", "PS", "-dataFN", "RAW", "-endLayerNr", "3"], "of the name of the raw file of layer 2"),
        (["-paramFN", "PS", "-dataFN", "RAW", "-startLayerNr", "2", "-endLayerNr", "5"], "Parameters.txt: RawFolder"),
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


#: what the check of the parameters cannot know beforehand
FAILURES = {
    "archive": ("", "Failed to generate ZIP file: ", "ZipErr.txt"),
    "hkls": ("", "HKL generation failed: ", "hkls_err.csv"),
    "peaks": (
        "PanelShiftsFile shifts.txt\nNPanelsY 1\nNPanelsZ 1\nPanelSizeY 256\nPanelSizeZ 256\n",
        "Peak search failed: ",
        "peaksearch_err0.csv",
    ),
    "merging": ("", "Peak merging failed: ", "merge_overlaps_err.csv"),
    "no seeds": (
        "MinOmeSpotIDsToIndex 89.99\n",
        "no seeds: none of the 24 accepted spots of ring 2 has its omega",
        None,
    ),
    "no solution": (
        "MarginEta 5\nMarginOme 1e-5\n",
        "nothing was indexed: the margins are too small: with MarginOme 1, MarginEta 500 the strongest",
        "process_grains_err.csv",
    ),
}


def _broken(raw: Path, folder: Path) -> Path:
    """Raw data whose frames cannot be unpacked."""
    path = folder / "broken.h5"
    with h5py.File(raw) as source, h5py.File(path, "w") as file:
        data = file.create_dataset(
            "exchange/data", data=source["exchange/data"][:2], chunks=(1, 256, 256), compression=9
        )
        place = data.id.get_chunk_info(0)
    with open(path, "r+b") as stream:
        stream.seek(place.byte_offset)
        stream.write(bytes(place.size))
    return path


def _first_peaks_only(finished: Path, layer: Path) -> None:
    """The peaks of the first frame, but of no other."""
    (layer / "Temp").mkdir(exist_ok=True)
    first = min((finished / "Temp").glob("*_PS.csv"))
    shutil.copy(first, layer / "Temp" / "scan_000001.MIDAS.zip_000001_PS.csv")


@pytest.mark.parametrize("stage", FAILURES)
def test_failures_leave_no_results(
    stage: str, finished: Finished, scan: TinyScan, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    line, reason, log = FAILURES[stage]
    layer = tmp_path / "LayerNr_1"
    layer.mkdir()
    tables = {path.name for path in Layer(layer).grain_results}
    for name in (*tables - {"SpotsMeasured.csv"}, "sim.analysis.MIDAS_consolidated.h5"):
        shutil.copy(finished[0] / name, layer)
    for name in ("SpotsMeasured.csv", "sim.analysis.MIDAS_report.html"):
        (layer / name).touch()
    parameters = tmp_path / "ps.txt"
    parameters.write_text(scan.parameters.read_text() + line)
    (tmp_path / "shifts.txt").write_text("no number\n")
    data = ["-dataFN", _broken(scan.raw, tmp_path) if stage == "archive" else scan.raw]
    if stage == "hkls":
        (layer / "hkls.csv").mkdir()
    data += ["-doPeakSearch", 0] if stage == "merging" else []
    if stage == "merging":
        _first_peaks_only(finished[0], layer)
    assert in_process("ff-midas", "-paramFN", parameters, *data, cwd=tmp_path) == 1
    out, err = capsys.readouterr()
    assert out == ""
    lines = [text for text in err.splitlines() if not LOG_LINE.match(text)]
    assert len(lines) == 1, err
    assert lines[0].startswith("ff-midas: layer 1: ") and reason in lines[0]
    if log is not None:
        assert (layer / "midas_log" / log).read_text().count("\n") == 1
    left = {path.name for path in layer.iterdir()}
    assert {"Grains.csv", "GrainQuality.csv", "SpotOwners.csv", "SeedVerdicts.csv", "SpotsMeasured.csv"} < tables
    assert not left & tables
    assert not list(layer.glob("*.h5")) and not list(layer.glob("*.html"))
    assert not list(layer.rglob("*.part"))


def test_the_other_layers_run_when_one_fails(
    scan: TinyScan, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    parameters = prepare(tmp_path, scan)
    (tmp_path / "raw data" / "scan_000001.h5").write_bytes(b"no HDF5")
    arguments = ["-paramFN", parameters, "-endLayerNr", 3, "-peakSearchOnly", 1]
    assert in_process("ff-midas", *arguments, cwd=tmp_path) == 1
    out, err = capsys.readouterr()
    table = out.splitlines()
    assert table[0].startswith("Layer 1  ") and "failed: Failed to generate ZIP file: " in table[0]
    assert re.match(r"Layer 2 +\d+ peaks$", table[1])
    assert table[2].startswith("Layer 3  ") and table[2].endswith("scan_000003.h5: is missing")
    assert "Layer processing: 1/3 (33%)" in err and "Layer 1 failed\n" in err
    assert err.count("no HDF5") <= 1 and err.count("scan_000001.h5: cannot be read") == 1  # and once in the table
    *_, last = err.splitlines()
    assert last.startswith("ff-midas: 2 of 3 layers failed: layer 1: Failed to generate ZIP file: ")
    assert "; layer 3: Failed to generate ZIP file: " in last
    assert list((tmp_path / "LayerNr_2" / "Temp").iterdir())


def test_layers_that_failed_from_python(scan: TinyScan, tmp_path: Path) -> None:
    parameters = prepare(tmp_path, scan)
    with pytest.raises(IncompleteError, match="1 of 2 layers failed: layer 3: ") as caught:
        midas.run(parameters, result_folder=tmp_path, first_layer=2, last_layer=3, peak_search_only=True)
    assert [layer.number for layer in caught.value.result.data] == [2]


def test_a_failing_consolidation_is_an_error(
    finished: Finished, scan: TinyScan, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    layer = tmp_path / "LayerNr_1"
    shutil.copytree(finished[0] / "Temp", layer / "Temp")
    (layer / "sim.analysis.MIDAS_consolidated.h5").mkdir()
    arguments = ["-dataFN", scan.archive, "-convertFiles", 0, "-doPeakSearch", 0]
    assert in_process("ff-midas", *arguments, cwd=tmp_path) == 1
    assert "old result cannot be removed" in capsys.readouterr().err


def test_no_grains_are_no_success(
    finished: Finished, scan: TinyScan, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(finished[0] / "InputAllExtraInfoFittingAll.csv", tmp_path)
    (tmp_path / "ps.txt").write_text(f"{scan.parameters.read_text()}MinNrSpots 200\n")
    assert in_process("ff-midas", "-paramFN", "ps.txt", "-provideInputAll", 1, "-nCPUs", 1, cwd=tmp_path) == 0
    out, err = capsys.readouterr()
    assert re.search(r"^Layer 1 +0 grains from ", out, re.M)
    assert re.search(r"^Warning 1 +0 grains explain 0 % of the .*MinNrSpots 200 is too much", out, re.M)
    assert "successfully" not in err
    assert err.splitlines()[-1].endswith("but there are 0 grains in layer 1; the table says why")


def test_a_scan_without_peaks_touches_nothing(
    finished: Finished, scan: TinyScan, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    """The results of another scan in the layer folder stay."""
    layer = Path(shutil.copytree(finished[0], tmp_path / "LayerNr_1", symlinks=True))
    before = digests(layer)
    raw = shutil.copy(scan.raw, tmp_path / "other_000002.h5")
    arguments = ["-paramFN", scan.parameters, "-dataFN", raw, "-doPeakSearch", 0]
    assert in_process("ff-midas", *arguments, cwd=tmp_path) == 1
    reason = "other_000002.MIDAS.zip_000001_PS.csv: is missing: -doPeakSearch 0 goes on from the peaks of this scan"
    assert reason in capsys.readouterr().err
    assert digests(layer) == before


def test_the_conversion_names_the_file_of_the_user(scan: TinyScan, tmp_path: Path) -> None:
    """Not its copy in the layer folder."""
    (tmp_path / "ps.txt").write_text(f"{scan.parameters.read_text()}numFrameChunks 0\n")
    options = ConversionOptions(tmp_path / "ps.txt", tmp_path, str(scan.raw), original=Path("mine/ps.txt"))
    with pytest.raises(ParameterError, match="^mine/ps.txt, line 71: numFrameChunks: 0: must be at least 1"):
        RawScan.opened(options, threads=1)
