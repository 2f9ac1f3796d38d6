"""What a stage hands on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
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


def whole_numbers(summaries: Sequence[Mapping[str, object]]) -> dict[str, int]:
    """Every row that is a whole number, added up over the ranks."""
    total: Counter[str] = Counter()
    for rows in summaries:
        total.update({label: int(value) for label, value in rows.items() if isinstance(value, Integral)})
    return dict(total)
