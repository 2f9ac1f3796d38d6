"""`midas.results.matching.assignment` against all assignments that there are."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from midas.results.matching.assignment import assign, margins

Choice = frozenset[tuple[int, int]]
ALONE = 12.0


def choices(cost: np.ndarray, row: int = 0, taken: Choice = frozenset()) -> Iterator[tuple[float, Choice]]:
    """Every assignment of a small table, with its total."""
    if row == len(cost):
        yield 0.0, taken
        return
    for total, chosen in choices(cost, row + 1, taken):
        yield total + ALONE, chosen
    for column in range(cost.shape[1]):
        if cost[row, column] < ALONE and all(column != other for _, other in taken):
            for total, chosen in choices(cost, row + 1, taken | {(row, column)}):
                yield total + cost[row, column], chosen


@pytest.mark.parametrize("seed", range(40))
def test_against_all_choices(seed: int) -> None:
    random = np.random.default_rng(seed)
    cost = random.uniform(0, 20, random.integers(1, 6, 2))
    cost[random.random(cost.shape) < 0.4] = np.inf
    rows, columns = np.nonzero(np.isfinite(cost))
    given = rows, columns, cost[rows, columns], cost.shape, ALONE
    pairs = assign(*given)
    every = list(choices(cost))
    best = min(total for total, _ in every)
    total = cost[rows, columns][pairs].sum() + ALONE * (len(cost) - len(pairs))
    assert total == pytest.approx(best)
    for pair, margin in zip(pairs.tolist(), margins(*given, pairs, 100.0).tolist(), strict=True):
        one, two = int(rows[pair]), int(columns[pair])
        others = [
            value
            for value, chosen in every
            if (one, two) not in chosen and any(i == one or j == two for i, j in chosen)
        ]
        assert margin == pytest.approx(min(others, default=np.inf) - best, abs=1e-5)


def test_order_of_candidates_does_not_matter() -> None:
    random = np.random.default_rng(7)
    rows, columns = (x.ravel() for x in np.meshgrid(np.arange(20), np.arange(25), indexing="ij"))
    cost = random.uniform(0, 20, len(rows))
    order = random.permutation(len(rows))
    one = assign(rows, columns, cost, (20, 25), 9.0)
    two = assign(rows[order], columns[order], cost[order], (20, 25), 9.0)
    assert sorted(one.tolist()) == sorted(order[two].tolist())


def test_nothing_to_assign() -> None:
    none = np.empty(0, np.intp)
    assert len(assign(none, none, np.empty(0), (3, 0), 1.0)) == 0
    assert len(margins(none, none, np.empty(0), (0, 0), 1.0, none, 5.0)) == 0
