"""The benchmarks run: their figures are for people, but a call that no longer fits the kernels is a failure."""

from __future__ import annotations

import importlib
import logging
import runpy
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"
HELPERS = {"calibration", "spot_sets"}
#: as little work as goes through every line
SMALL = {
    "binning": ["--spots", "3000", "--bin-size", "2"],
    "blind": ["--pixels", "512", "--grains", "5", "2"],
    "calibrating": ["--small", "flat", "bins"],
    "consolidated": ["--grains", "3", "--repeats", "1"],
    "conversion": ["--frames", "6", "--side", "256", "--repeats", "1"],
    "crowd": ["--grains", "8", "--pixels", "256", "--step", "2"],
    "elementary": ["--count", "1000", "--repeats", "1"],
    "fit_setup": ["--spots", "3000"],
    "geometry": ["d3"],
    "grains": ["--seeds", "200"],
    "lattices": ["cubic F"],
    "many_grains": ["3", "6"],
    "merge": ["--frames", "4", "--peaks", "200"],
    "ownership": ["--crystals", "5"],
    "peak_fits": ["isolated", "--frames", "1"],
    "peaks": ["--frames", "24", "--regions", "1"],
    "pipeline": ["--frames", "240"],
    "pull": ["--boxes", "20", "--blends", "2"],
    "refinement": ["--seeds", "2"],
    "resolving": ["twins4"],
    "standing": ["lowsym", "--repeats", "1"],
    "tracking": ["few", "--draws", "1"],
    "truth": ["demo", "--draws", "1", "--key", "OmegaStep", "1", "--key", "OmegaSpread", "0.3"],
}
#: those of which not even the smallest is cheap
LONG = {"blind"}


@pytest.fixture
def loggers() -> Iterator[None]:
    """Benchmarks silence the messages of the suite; the tests after them hear all again."""

    def state() -> dict[str, tuple[int, bool, list[logging.Handler]]]:
        known = {name: logging.getLogger(name) for name in logging.root.manager.loggerDict if name.startswith("midas")}
        return {name: (logger.level, logger.propagate, logger.handlers[:]) for name, logger in known.items()}

    before = state()
    yield
    logging.disable(logging.NOTSET)
    for name in state():
        logger = logging.getLogger(name)
        level, logger.propagate, logger.handlers = before.get(name, (logging.NOTSET, True, []))
        logger.setLevel(level)


def _once(clock: Callable[..., float], work: Callable[[], object], repeats: int = 1) -> float:
    """Nobody reads the figures: the best of one."""
    return clock(work, 1)


def test_calibration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    assert 0 < importlib.import_module("calibration").calibrate() < 60


@pytest.mark.slow
@pytest.mark.usefixtures("loggers")
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.long) if name in LONG else name
        for name in sorted({path.stem for path in FOLDER.glob("*.py")} - HELPERS)
    ],
)
def test_benchmark(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a script, but in this process."""
    script = str(FOLDER / f"{name}.py")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(FOLDER)
    calibration = importlib.import_module("calibration")
    monkeypatch.setattr(calibration, "calibrate", lambda: 0.1)
    for clock in ("cpu_seconds", "wall_seconds"):
        monkeypatch.setattr(calibration, clock, partial(_once, getattr(calibration, clock)))
    monkeypatch.setattr(sys, "argv", [script, *SMALL.get(name, [])])
    runpy.run_path(script, run_name="__main__")
    assert "x calibration" in capsys.readouterr().out


@pytest.mark.long
@pytest.mark.usefixtures("loggers")
@pytest.mark.parametrize("number", [1, 2])
def test_blind(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From a powder and a scan to grains without a guess, by command lines alone; the image lies unlike given."""
    monkeypatch.syspath_prepend(FOLDER)
    blind = importlib.import_module("blind")
    assert blind.drawn(number, blind.Size(512, 5)).operations
    assert blind.judged(number, blind.Size(512, 5), tmp_path, 1) == "good", capsys.readouterr().out
