"""A small layer that the product made itself: simulated, analysed, every file there."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from . import layer
from .harness import Outcome, Program, Sound, call, prepare


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished layer folder with the inputs of every command. Read only: `harness.prepare` copies."""
    return layer.make(tmp_path_factory.mktemp("robustness"))


@pytest.fixture(scope="session")
def sound(pristine: Path, tmp_path_factory: pytest.TempPathFactory) -> Sound:
    """``sound(program)``: what the command leaves behind when nothing is wrong, run once."""

    @cache
    def outcome(program: Program) -> Outcome:
        return call(program, prepare(program, pristine, tmp_path_factory.mktemp("sound")))

    return outcome
