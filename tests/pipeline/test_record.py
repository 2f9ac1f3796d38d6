"""The record that a run leaves, and what a later run keeps of it."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path

import h5py
import pytest
from tiny_scan import FRAMES, GRAINS, Call, Finished, TinyScan

import midas
from midas import __version__
from midas.archive.update import update
from midas.formats.layer import Layer
from midas.formats.run_record import RunRecord, read_run_record


def record_of(folder: Path) -> RunRecord:
    found = read_run_record(folder)
    assert found is not None
    return found


def test_record_of_a_run(finished: Finished, scan: TinyScan) -> None:
    layer, _ = finished
    found = record_of(layer)
    assert (found.program, found.version, found.threads, found.ranks) == ("ff-midas", __version__, 1, 1)
    assert re.fullmatch(r"ff-midas -paramFN \S+ -dataFN \S+ -convertFiles 0 -nCPUs 1", found.command_line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", found.date)
    inputs = {item.role: item for item in found.inputs}
    assert set(inputs) == {"parameters", "archive"}
    assert inputs["parameters"].sha256 == hashlib.sha256(scan.parameters.read_bytes()).hexdigest()
    assert inputs["archive"].of == "members"
    steps = [step.name for step in found.steps]
    assert steps[:3] == ["hkls", "peaksearch", "merge_overlaps"] and "consolidation" in steps
    grains = found.step("process_grains")
    assert grains is not None and grains.counts["grains"] == GRAINS and grains.date == found.date
    assert found.failure == "" and all(step.seconds >= 0 for step in found.steps)
    assert {found.origins[key] for key in ("Lsd", "RingThresh")} == {"archive"}
    assert found.origins["MosaicTolerance"] == "default"


def test_later_runs_keep_what_holds(finished: Finished, scan: TinyScan, tmp_path: Path, in_process: Call) -> None:
    """Raw data, conversion and peaks of the first run; and the same archive has the same hash wherever it is."""
    layer = tmp_path / "LayerNr_1"
    arguments = ["-paramFN", scan.parameters, "-dataFN", scan.raw, "-nCPUs", 1, "-perSpotGroups", 0]
    assert in_process("ff-midas", *arguments, "-peakSearchOnly", 1, cwd=tmp_path) == 0
    first = record_of(layer)
    raw = next(item for item in first.inputs if item.role == "raw")
    assert raw.sha256 == hashlib.sha256(scan.raw.read_bytes()).hexdigest()
    assert [step.name for step in first.steps] == ["ZipOut", "hkls", "peaksearch"]
    assert {first.origins[key] for key in ("Lsd", "RingThresh")} == {"file"}
    grain_options = ["-measureSpots", 0, "-convertFiles", 0, "-doPeakSearch", 0]
    assert in_process("ff-midas", *arguments, *grain_options, cwd=tmp_path) == 0
    second = record_of(layer)
    assert raw in second.inputs
    assert second.step("peaksearch") == first.step("peaksearch") and second.step("ZipOut") == first.step("ZipOut")
    assert second.step("process_grains") is not None and second.origins["MeasureSpots"] == "option"
    moved = tmp_path / "elsewhere"
    shutil.copytree(layer, moved, symlinks=True)
    assert in_process("ff-midas", "-reprocess", 1, "-resultFolder", moved, cwd=tmp_path) == 0
    third = record_of(moved)
    assert "-reprocess" in third.command_line
    assert raw in third.inputs and third.origins == second.origins
    assert [step.name for step in third.steps] == [step.name for step in second.steps]
    grains, merging = third.step("process_grains"), third.step("merge_overlaps")
    assert grains == second.step("process_grains")
    assert merging is not None and merging.date == third.date
    assert {item.sha256 for item in third.inputs if item.role == "archive"} == {
        item.sha256 for item in first.inputs if item.role == "archive"
    }


def test_the_parameters_count_and_not_the_places(scan: TinyScan, tmp_path: Path, in_process: Call) -> None:
    def run(name: str, *more: object) -> RunRecord:
        arguments = ["-dataFN", scan.archive, "-convertFiles", 0, "-peakSearchOnly", 1, "-resultFolder", name, *more]
        assert in_process("ff-midas", *arguments, "-nCPUs", 1, cwd=tmp_path) == 0
        return record_of(tmp_path / name / "LayerNr_1")

    one, two = run("one"), run("two")
    assert one.parameter_hash == two.parameter_hash
    assert [item.sha256 for item in one.inputs] == [item.sha256 for item in two.inputs]
    archive = shutil.copy(scan.archive, tmp_path / "other.MIDAS.zip")
    update(Path(archive), "MinNrSpots", ["3"])
    arguments = ["-dataFN", archive, "-convertFiles", 0, "-peakSearchOnly", 1, "-resultFolder", "three", "-nCPUs", 1]
    assert in_process("ff-midas", *arguments, cwd=tmp_path) == 0
    three = record_of(tmp_path / "three" / "LayerNr_1")
    assert three.parameter_hash != one.parameter_hash and three.inputs[0].sha256 != one.inputs[0].sha256


def test_a_failed_run_says_so(scan: TinyScan, tmp_path: Path, in_process: Call) -> None:
    (tmp_path / "LayerNr_1" / "midas_log").mkdir(parents=True)
    Layer(tmp_path / "LayerNr_1").run_record.write_text("damaged")
    text = scan.parameters.read_text()
    (tmp_path / "ps.txt").write_text(text + "MinOmeSpotIDsToIndex 89.99\n")
    arguments = ["-paramFN", "ps.txt", "-dataFN", scan.raw, "-nCPUs", 1]
    assert in_process("ff-midas", *arguments, cwd=tmp_path) == 1
    found = record_of(tmp_path / "LayerNr_1")
    assert "no seeds" in found.failure
    peaks = found.step("peaksearch")
    assert peaks is not None and peaks.counts["peaks"] > 0 and found.step("indexing") is None


def test_from_python(scan: TinyScan, tmp_path: Path) -> None:
    midas.run(data_file=scan.archive, result_folder=tmp_path, convert=False, peak_search_only=True, threads=1)
    expected = f"midas.run(data_file='{scan.archive}', result_folder='{tmp_path}', convert=False, "
    assert record_of(tmp_path / "LayerNr_1").command_line == f"{expected}peak_search_only=True, threads=1)"


def test_counts_of_frames(finished: Finished) -> None:
    """What the console does not show is in the record too."""
    peaks = record_of(finished[0]).step("peaksearch")
    assert peaks is not None and FRAMES in peaks.counts.values()


@pytest.mark.parametrize("resume", [0, 1])
def test_record_of_a_run_from_a_spot_table(
    finished: Finished, scan: TinyScan, tmp_path: Path, in_process: Call, resume: int
) -> None:
    table = shutil.copy(finished[0] / "InputAllExtraInfoFittingAll.csv", tmp_path)
    words = ("-paramFN", scan.parameters, "-provideInputAll", 1, "-nCPUs", 1, "-resume", resume)
    assert in_process("ff-midas", *words, cwd=tmp_path) == 0
    found = record_of(tmp_path / "LayerNr_1")
    inputs = {item.role: item for item in found.inputs}
    assert set(inputs) == {"parameters", "spots"}
    assert inputs["spots"].path == str(table) and inputs["spots"].of == "whole"
    assert found.origins["Lsd"] == "file" and found.step("spot_table") is not None
    with h5py.File(tmp_path / "LayerNr_1" / "output_consolidated.h5") as file:
        assert file.attrs["parameter_hash"] == found.parameter_hash and file.attrs["date"] == found.date
        assert file.attrs["command_line"] == found.command_line and file.attrs["version"] == __version__
        assert [item["role"] for item in json.loads(file.attrs["inputs"])] == ["parameters", "spots"]
