"""Numbers of a spot from those of its peaks (docs/theory/merge.md#sums-of-a-chain)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from midas._ext.merge.sums import fold_chains

FIRST = np.array([0, 4, 5], np.int64)
PEAKS = np.array([3, 2, 1, 0, 4], np.int64)
WEIGHT = np.array([1.0, 2.0, 4.0, 8.0, 3.0])


def folded(values: np.ndarray, rule: str, threads: int = 1) -> list[float]:
    out = np.full((1, 2), -1.0)
    fold_chains(FIRST, PEAKS, np.array([WEIGHT, values]), 0, [(rule, 1)], out, threads)
    return out[0].tolist()


@pytest.mark.parametrize("threads", [1, 2])
def test_sums_are_in_the_order_of_the_frames(threads: int) -> None:
    values = np.array([1e16, 1.0, 1.0, -1e16, 7.0])
    assert folded(values, "sum", threads) == [0.0, 7.0]  # from left to right


def test_means_are_weighted() -> None:
    assert folded(np.array([15.0, 0.0, 0.0, -15.0, 7.0]), "mean") == [-7.0, 7.0]


def test_extremes() -> None:
    values = np.array([2.0, -5.0, 9.0, 1.0, -3.0])
    assert folded(values, "largest") == [9.0, -3.0]
    assert folded(values, "smallest") == [-5.0, -3.0]


def test_the_newest_stands_first() -> None:
    assert folded(np.array([2.0, -5.0, 9.0, 1.0, -3.0]), "newest") == [1.0, -3.0]


@pytest.mark.parametrize("rule", ["largest", "smallest"])
def test_no_number_counts_in_the_oldest_frame_only(rule: str) -> None:
    newer, older = np.array([2.0, np.nan, 2.0, np.nan, 0.0]), np.array([np.nan, 1.0, 2.0, 3.0, 0.0])
    assert folded(newer, rule) == [2.0, 0.0]
    assert np.isnan(folded(older, rule)[0])


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 1023, 1024, 1025, 1500]), st.integers(1, 3))
def test_many_chains_and_columns_at_once(seed: int, chains: int, threads: int) -> None:
    rng = np.random.default_rng(seed)
    lengths = np.where(rng.random(chains) < 0.05, 40, rng.integers(1, 5, chains))
    first = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    peaks = rng.permutation(first[-1]).astype(np.int64)
    values = rng.uniform(1, 100, (3, first[-1]))
    folds = [("smallest", 2), ("mean", 0), ("sum", 1), ("newest", 2), ("largest", 2), ("mean", 2)]
    out = np.empty((len(folds), chains))
    fold_chains(first, peaks, values, 1, folds, out, threads)
    for i in range(chains):
        a, w, b = values[:, peaks[first[i] : first[i + 1]][::-1]].tolist()  # the oldest first
        means = [sum(x * y for x, y in zip(v, w, strict=True)) / sum(w) for v in (a, b)]
        assert out[:, i].tolist() == pytest.approx([min(b), means[0], sum(w), b[-1], max(b), means[1]], rel=1e-12)


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="not in tuple"):
        folded(np.zeros(5), "median")
    with pytest.raises(ValueError, match="per column and chain"):
        fold_chains(FIRST, PEAKS, np.zeros((2, 5)), 0, [("sum", 1)], np.zeros((1, 3)), 1)
    for weight, column in ((2, 1), (0, 2), (-1, 1)):
        with pytest.raises(ValueError, match="2 columns"):
            fold_chains(FIRST, PEAKS, np.zeros((2, 5)), weight, [("sum", column)], np.zeros((1, 2)), 1)
