"""Fixtures of the stages' tests."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .small_scan import Scan


@pytest.fixture
def small_scan(tmp_path: Path) -> Callable[..., Scan]:
    numbers = itertools.count()

    def make(frames: np.ndarray, text: str = "", **options: Any) -> Scan:
        return Scan(tmp_path / f"layer{next(numbers)}", np.asarray(frames), text, **options)

    return make
