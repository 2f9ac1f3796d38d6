"""Wrong command lines, missing inputs and failing stages of the driver: one line of error, and no results."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import pytest
from tiny_scan import LOG_LINE, Call, Finished, TinyScan, prepare


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


#: what the check of the parameters cannot know beforehand
FAILURES = {
    "archive": ("", "Failed to generate ZIP file: ", "ZipErr.txt"),
    "hkls": ("", "Failed to generate HKLs: HKL generation failed: ", "hkls_err.csv"),
    "peaks": (
        "PanelShiftsFile shifts.txt\nNPanelsY 1\nNPanelsZ 1\nPanelSizeY 256\nPanelSizeZ 256\n",
        "Peak search failed: ",
        "peaksearch_err0.csv",
    ),
    "merging": ("", "Peak merging failed: ", "merge_overlaps_err.csv"),
    "no seeds": ("MinOmeSpotIDsToIndex 89.99\n", "No ID was found in SpotsToIndex.csv", None),
    "no solution": (
        "MarginEta 5\nMarginOme 1e-5\n",
        "Grain processing failed: Key file was not found",
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
    parameters.write_text(scan.parameters.read_text() + line)
    (tmp_path / "shifts.txt").write_text("no number\n")
    data = ["-dataFN", _broken(scan.raw, tmp_path) if stage == "archive" else scan.raw]
    if stage == "hkls":
        (layer / "hkls.csv").mkdir()
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
