"""The benchmarks run: their figures are for people, but a call that no longer fits the kernels is a failure."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"
HELPERS = {"calibration", "spot_sets"}
#: as little work as goes through every line
SMALL = {
    "binning": ["--spots", "3000", "--bin-size", "2"],
    "conversion": ["--frames", "6", "--side", "256", "--repeats", "1"],
    "crowd": ["--grains", "8", "--pixels", "256", "--step", "2"],
    "fit_setup": ["--spots", "3000"],
    "geometry": ["d3"],
    "grains": ["--seeds", "200"],
    "lattices": ["cubic F"],
    "merge": ["--frames", "4", "--peaks", "200"],
    "ownership": ["--crystals", "5"],
    "peaks": ["--frames", "24", "--regions", "1"],
    "pipeline": ["--frames", "240"],
    "pull": ["--boxes", "20", "--blends", "2"],
    "refinement": ["--seeds", "2"],
    "resolving": ["twins4"],
    "truth": ["demo"],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({path.stem for path in FOLDER.glob("*.py")} - HELPERS))
def test_benchmark(name: str, environment: dict[str, str], tmp_path: Path) -> None:
    script = [sys.executable, str(FOLDER / f"{name}.py"), *SMALL.get(name, [])]
    done = subprocess.run(script, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "x calibration" in done.stdout
