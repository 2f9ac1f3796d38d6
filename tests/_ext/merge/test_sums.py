"""Numbers of a spot from those of its peaks (docs/theory/merge.md#sums-of-a-chain)."""

from __future__ import annotations

import numpy as np
import pytest

from midas._ext.merge.sums import fold_chains

FIRST = np.array([0, 4, 5], np.int64)
PEAKS = np.array([3, 2, 1, 0, 4], np.int64)


def folded(values: np.ndarray, how: str, threads: int = 1) -> list[float]:
    out = np.full(2, -1.0)
    fold_chains(FIRST, PEAKS, values, how, out, threads)
    return out.tolist()


@pytest.mark.parametrize("threads", [1, 2])
def test_sums_are_in_the_order_of_the_frames(threads: int) -> None:
    values = np.array([1e16, 1.0, 1.0, -1e16, 7.0])
    assert folded(values, "sum", threads) == [0.0, 7.0]  # from left to right


def test_extremes() -> None:
    values = np.array([2.0, -5.0, 9.0, 1.0, -3.0])
    assert folded(values, "largest") == [9.0, -3.0]
    assert folded(values, "smallest") == [-5.0, -3.0]


@pytest.mark.parametrize("how", ["largest", "smallest"])
def test_no_number_counts_in_the_oldest_frame_only(how: str) -> None:
    newer, older = np.array([2.0, np.nan, 2.0, np.nan, 0.0]), np.array([np.nan, 1.0, 2.0, 3.0, 0.0])
    assert folded(newer, how) == [2.0, 0.0]
    assert np.isnan(folded(older, how)[0])


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="mean"):
        folded(np.zeros(5), "mean")
    with pytest.raises(ValueError, match="per chain"):
        fold_chains(FIRST, PEAKS, np.zeros(5), "sum", np.zeros(3), 1)
