"""Order of the peaks of a frame (docs/theory/merge.md#order-of-the-peaks)."""

from __future__ import annotations

import numpy as np

from midas._ext.merge.order import order_peaks
from midas._ext.numerics.ordering import argsort_tolerant


def test_order_is_that_of_the_tolerant_sort() -> None:
    rng = np.random.default_rng(3)
    first = np.array([0, 0, 200, 200, 450], np.int64)
    eta = np.round(rng.uniform(-0.05, 0.05, 450), 4)
    intensity = rng.choice([0.2, 1.0, 50.0], 450)
    y = z = np.zeros(450)
    kept_first, order, invalid = order_peaks(first, eta, intensity, y, z, 2)
    assert invalid == 0
    assert np.diff(kept_first).tolist() == [0, (intensity[:200] >= 1).sum(), 0, (intensity[200:] >= 1).sum()]
    for begin, end in [(0, 200), (200, 450)]:
        rows = begin + argsort_tolerant(eta[begin:end].copy())
        expected = rows[intensity[rows] >= 1].tolist()
        assert [row for row in order if begin <= row < end] == expected
    assert order.tolist() != np.argsort(eta, kind="stable").tolist()
