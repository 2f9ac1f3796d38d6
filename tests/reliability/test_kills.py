"""A few kills; the harness is a program for more of them."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_scan import TinyScan

from tests.reliability import kills


@pytest.mark.long
def test_runs_that_are_killed_go_on(scan: TinyScan, tmp_path: Path) -> None:
    whole, found = kills.trials(tmp_path, scan, 2, 7, signal.SIGKILL)
    assert kills.reason(found) == "", kills.summary(whole, found)


def test_what_the_harness_would_see() -> None:
    well = kills.Kill(1.5, "in indexing", 0, kills.Finished(0, 1.0, ""), ())
    over = replace(well, after=-1.0)
    assert kills.reason([well, over]) == ""
    assert "nothing was killed" in kills.reason([over, over])
    assert "1 resumed" in kills.reason([well, replace(well, differing=("Grains.csv",))])
    assert "1 resumed" in kills.reason([replace(well, resumed=kills.Finished(1, 1.0, "")), over])
