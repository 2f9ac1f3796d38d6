"""What the driver takes from its surroundings."""

from __future__ import annotations

import pytest

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
