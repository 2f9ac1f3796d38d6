"""Rows of unequal length in one array."""

import numpy as np
import pytest

from midas.runtime.ragged import entries_of, offsets_of, sums_by


@pytest.mark.parametrize("counts", [[], [0], [2, 0, 3]])
def test_offsets_are_the_ends_of_rows(counts: list[int]) -> None:
    offsets = offsets_of(counts)
    assert offsets.dtype == np.int64
    assert offsets[0] == 0
    assert np.diff(offsets).tolist() == counts


def test_narrow_counts_do_not_wrap() -> None:
    assert offsets_of(np.full(3, 2**31 - 1, np.int32)).tolist() == [0, 2**31 - 1, 2**32 - 2, 3 * 2**31 - 3]


def test_entries_are_those_of_the_rows_in_order() -> None:
    rows = np.split(np.arange(10) ** 2, [3, 3, 7])
    offsets = offsets_of([len(row) for row in rows])
    chosen = [3, 1, 0, 3]
    entries = entries_of(offsets[:-1][chosen], np.diff(offsets)[chosen])
    assert (np.arange(10)[entries] ** 2).tolist() == np.concatenate([rows[i] for i in chosen]).tolist()
    assert len(entries_of([], [])) == 0


def test_sums_are_those_of_the_rows() -> None:
    sums = sums_by(np.array([2, 0, 2]), np.array([1.0, 2.0, 3.0]), 4)
    assert sums.tolist() == [2.0, 0.0, 4.0, 0.0]
    assert sums_by(np.empty(0, np.int64), np.empty(0), 2).tolist() == [0.0, 0.0]
