"""Records with named fields."""

from __future__ import annotations

import numpy as np
import pytest

from midas.formats.binary import filled, joined, numbers

FOUND = np.dtype([("row", "<i8"), ("position", "<f8", 3), ("angle", "<f8")])
LAYOUT = np.dtype([("id", "<f8"), ("angle", "<f8"), ("position", "<f8", 3)])


def test_a_file_takes_its_fields_by_name() -> None:
    found = np.array([(7, [1, 2, 3], 0.5), (8, [4, 5, 6], 0.25)], FOUND)
    records = filled(LAYOUT, found, id=found["row"] + 1)
    assert records.dtype == LAYOUT
    assert numbers(records).tolist() == [[8, 0.5, 1, 2, 3], [9, 0.25, 4, 5, 6]]
    # What the caller says wins over what the kernel found.
    assert filled(LAYOUT, found, id=found["row"], angle=np.zeros(2))["angle"].tolist() == [0, 0]


def test_a_field_that_nobody_fills_is_an_error() -> None:
    with pytest.raises(ValueError, match="id"):
        filled(LAYOUT, np.zeros(2, FOUND))


def test_numbers_of_no_records() -> None:
    assert numbers(np.empty(0, LAYOUT)).shape == (0, 5)


def test_joined_records_are_those_of_numpy() -> None:
    parts = [np.zeros(n, LAYOUT) for n in (2, 0, 3)]
    for i, part in enumerate(parts):
        numbers(part)[:] = np.arange(len(part) * 5).reshape(-1, 5) + 100 * i
    together = joined([*parts, parts[2][1:]])
    assert together.dtype == LAYOUT
    np.testing.assert_array_equal(together, np.concatenate([*parts, parts[2][1:]]))
    assert joined(parts[1:2]).shape == (0,)
