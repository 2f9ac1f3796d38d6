"""Ranges of rows, as (first, end) in ascending order."""

from __future__ import annotations

from typing import TypeAlias

Ranges: TypeAlias = tuple[tuple[int, int], ...]


def without(ranges: Ranges, rows: range) -> Ranges:
    """The ranges without some rows.

    >>> without(((0, 10),), range(3, 5))
    ((0, 3), (5, 10))
    """
    parts = [part for a, b in ranges for part in ((a, min(b, rows.start)), (max(a, rows.stop), b))]
    return tuple(dict.fromkeys((a, b) for a, b in parts if a < b)) if rows else ranges


def joined(ranges: Ranges, rows: range) -> Ranges:
    """The ranges with some rows, those that touch as one.

    >>> joined(((0, 3), (5, 10)), range(3, 5))
    ((0, 10),)
    """
    found: list[tuple[int, int]] = []
    for first, end in sorted([*ranges, *([(rows.start, rows.stop)] if rows else [])]):
        if found and first <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((first, end))
    return tuple(found)


def holds(ranges: Ranges, row: int) -> bool:
    """Whether a row is in one of the ranges."""
    return any(first <= row < end for first, end in ranges)
