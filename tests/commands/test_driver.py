"""What the driver takes from its surroundings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tiny_scan import Call

from midas.commands import driver


@pytest.mark.parametrize(
    ("variable", "terminal", "expected"), [("SLURM_JOB_ID", False, True), ("PBS_JOBID", True, False)]
)
def test_submitted_jobs_go_on(variable: str, terminal: bool, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", type("Terminal", (), {"isatty": lambda _: terminal})())
    for name in driver._OF_JOBS:
        monkeypatch.delenv(name, raising=False)
    assert not driver.submitted()
    monkeypatch.setenv(variable, "17")
    assert driver.submitted() == expected


def test_status_of_nothing(tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]) -> None:
    assert in_process("ff-midas", "status", tmp_path, cwd=tmp_path) == 1
    assert "holds no layer with a ledger" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command",
    [
        "ff-export p.csv", "ff-export p.h5", "ff-track p.csv p.csv", "ff-check p.txt", "ff-hkls p.txt",
        "ff-calibrate p.tif", "ff-report p.h5",
    ],
)  # fmt: skip
def test_a_pipe_among_data_ends_in_a_line(
    command: str, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody writes into it: whoever opened it would wait for ever."""
    name, *words = command.split()
    os.mkfifo(tmp_path / words[0])
    assert in_process(name, *words, cwd=tmp_path) == 1
    assert "is a pipe or a device, not a file" in capsys.readouterr().err
