"""A small finished layer, its results, and its truth."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_scan import Finished

from midas.results.reading import Results, read_results


@pytest.fixture(scope="session")
def layer_folder(finished: Finished) -> Path:
    """Read only."""
    return finished[0]


@pytest.fixture(scope="session")
def results(layer_folder: Path) -> Results:
    return read_results(layer_folder)
