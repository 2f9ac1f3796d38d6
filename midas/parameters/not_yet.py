"""Keys that the table has and nothing reads yet: who asks for one is told that nothing happens."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping

from midas.parameters.table import KEYS, Value
from midas.runtime.logs import first_time

log = logging.getLogger(__name__)


def warn(values: Mapping[str, Value], lines: Mapping[str, int], source: str | os.PathLike[str]) -> None:
    """One warning for each value that asks for something that this version does not do.

    A run reads the same values from the user's file, the archive and paramstest.txt.
    """
    for name, value in values.items():
        key = KEYS[name]
        if not key.ignored(value) or not first_time("no effect yet", name, str(value)):
            continue
        place = f"{os.fspath(source)}{f', line {lines[name]}' if name in lines else ''}: " if source else ""
        items = [value] if isinstance(value, str | int | float) else value
        log.warning("%s%s %s has no effect yet: %s", place, name, " ".join(map(str, items)), key.not_yet)
