"""A harmless pickle that would run code: it makes a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any


class Payload:
    """What makes a file when it is unpickled."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)
