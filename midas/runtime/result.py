"""What a stage hands on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

# A result is only read, so that one with more particular data stands in for one with any.
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True)
class StageResult(Generic[T_co]):
    """What a stage found.

    Parameters
    ----------
    stage : its name
    summary : rows of the closing table
    data : its tables in memory, exactly as they would read back from the files it wrote
    """

    stage: str
    summary: Mapping[str, object]
    data: T_co
