"""What every test of the simulation needs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from midas import simulation

from .small_scan import GRAINS, PARAMETERS


@pytest.fixture
def simulate(tmp_path: Path) -> Callable[..., simulation.Simulation]:
    """``simulate("Key value", ...)``: a small scan with these lines added; `files` are written first."""

    def run(*lines: str, threads: int = 1, grains: str = GRAINS, base: str = PARAMETERS, **files: str):
        (tmp_path / "GrainsSim.csv").write_text(grains)
        for name, content in files.items():
            (tmp_path / name).write_text(content)
        (tmp_path / "ps.txt").write_text(base + "\n".join(lines) + "\n")
        return simulation.run(tmp_path / "ps.txt", threads=threads, folder=tmp_path).data

    return run
