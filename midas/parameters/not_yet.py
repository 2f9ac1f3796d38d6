"""Keys that the table has and nothing reads yet: who asks for one is told that nothing happens."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from midas.parameters.table import KEYS, Value
from midas.runtime import once

log = logging.getLogger(__name__)

#: what this run has said: a run reads the same values from the user's file, the archive and paramstest.txt
_said: set[tuple[str, str]] = set()


def warn(values: Mapping[str, Value], lines: Mapping[str, int], source: str | os.PathLike[str]) -> None:
    """One warning for each value that asks for something that this version does not do."""
    for name, value in values.items():
        key = KEYS[name]
        if not key.ignored(value) or (name, str(value)) in _said:
            continue
        _said.add((name, str(value)))
        place = f"{os.fspath(source)}{f', line {lines[name]}' if name in lines else ''}: " if source else ""
        items = [value] if isinstance(value, str | int | float) else value
        log.warning("%s%s %s has no effect yet: %s", place, name, " ".join(map(str, items)), key.not_yet)


@contextmanager
def one_run() -> Iterator[None]:
    """The block is one run: what it and its surroundings have said so far will be said again after the block."""
    try:
        with once.one_run():
            yield
    finally:
        _said.clear()
