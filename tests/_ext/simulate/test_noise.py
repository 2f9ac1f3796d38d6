"""`midas._ext.simulate.noise`: moments and frequencies of what it draws."""

from __future__ import annotations

import numpy as np
import pytest

from midas._ext.simulate.noise import draw_counts


def test_draws_follow_the_table() -> None:
    from scipy.special import pdtr

    cumulative = pdtr(np.arange(80), 20.0)
    cumulative[-1] = 1.0
    out = np.empty(400_000, np.uint16)
    draw_counts(np.random.PCG64(5), cumulative, 3, out)
    assert out.mean() == pytest.approx(23, abs=0.05)
    assert out.var() == pytest.approx(20, abs=0.25)
    observed = np.bincount(out, minlength=90)[3:63] / len(out)
    np.testing.assert_allclose(observed, np.diff(cumulative, prepend=0)[:60], atol=1.5e-3)


def test_impossible_tables_are_refused() -> None:
    out = np.empty(3, np.uint16)
    with pytest.raises(ValueError, match="end with 1"):
        draw_counts(np.random.PCG64(5), np.array([0.5, 0.9]), 0, out)
    with pytest.raises(ValueError, match="65535"):
        draw_counts(np.random.PCG64(5), np.array([0.5, 1.0]), 65535, out)
