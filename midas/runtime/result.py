"""What a stage hands on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass
class StageResult(Generic[T]):
    """What a stage found.

    Parameters
    ----------
    stage : its name
    summary : rows of the closing table
    data : its tables in memory, exactly as they would read back from the files it wrote
    """

    stage: str
    summary: Mapping[str, object]
    data: T
