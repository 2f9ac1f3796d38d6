"""The finished layer of the tests of damaged input, and signals as a terminal has them."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.reliability import commands


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return commands.pristine(tmp_path_factory.mktemp("reliability"))


@pytest.fixture
def default_signals() -> Iterator[None]:
    """Tests in the background inherit ignored signals, which the commands would rightly go on ignoring."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGXFSZ)
    before = {number: signal.getsignal(number) for number in numbers}
    commands.hear_signals()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
