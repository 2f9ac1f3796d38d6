"""A few kills; the harness is a program for more of them."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from tiny_scan import TinyScan

from tests.reliability import kills


@pytest.mark.long
def test_runs_that_are_killed_go_on(scan: TinyScan, tmp_path: Path) -> None:
    whole, found = kills.trials(tmp_path, scan, 2, 7, signal.SIGKILL)
    assert all(kill.same for kill in found), kills.summary(whole, found)
