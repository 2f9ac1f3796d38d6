"""The run record: written and read back, missing, damaged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from midas.formats.layer import Layer
from midas.formats.run_record import Input, RunRecord, StepRecord, read_run_record
from midas.runtime.errors import FormatError

RECORD = RunRecord(
    "ff-midas", "10.0", "2026-11-26T10:00:00Z", "ff-midas -dataFN 'a b\udcff.h5'", "00ff",
    inputs=(Input("raw", "/data/a.h5", 5, "ab", "samples", 3),),
    threads=2, ranks=3,
    steps=(StepRecord("hkls", 0.25, {"rings": 5}, "2026-11-26T10:00:00Z"),),
    warnings=("0 grains",), origins={"Lsd": "file", "BC": "archive"}, failure="layer 1: no",
)  # fmt: skip


def test_written_and_read_back(tmp_path: Path) -> None:
    layer = Layer(tmp_path)
    layer.logs.mkdir()
    RECORD.write(layer.run_record)
    found = read_run_record(tmp_path)
    assert found == read_run_record(layer.run_record)
    assert found == RECORD.changed(command_line="ff-midas -dataFN 'a b�.h5'")
    assert found is not None and found.step("hkls") == RECORD.steps[0] and found.step("peaks") is None
    assert RECORD.text() == RECORD.text()


def test_no_record(tmp_path: Path) -> None:
    assert read_run_record(tmp_path) is None
    assert read_run_record(tmp_path / "run.json") is None


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b'{"kind": "other"}', RECORD.text()[:-20]])
def test_other_files_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(FormatError, match=r"run\.json: is no run record"):
        read_run_record(tmp_path / "run.json")


@pytest.mark.parametrize("change", [{"steps": [1]}, {"steps": [{"name": "x", "colour": 1}]}, {"more": 1}])
def test_records_of_another_make_are_refused(change: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({**json.loads(RECORD.text()), **change}))
    with pytest.raises(FormatError, match=r"run\.json: is no run record"):
        read_run_record(tmp_path / "run.json")
