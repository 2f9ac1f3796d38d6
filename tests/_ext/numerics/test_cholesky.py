"""The factorisation of the fits against numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from midas._ext.numerics.cholesky import solve_positive


@given(st.integers(1, 12), st.integers(0, 2**32 - 1), st.booleans())
def test_factor_and_solution_are_those_of_numpy(n: int, seed: int, by_reciprocal: bool) -> None:
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(n, n))
    a, b = root @ root.T + n * np.eye(n), rng.normal(size=n)
    x, u = solve_positive(a, b, by_reciprocal)
    np.testing.assert_allclose(u, np.linalg.cholesky(a).T, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(x, np.linalg.solve(a, b), rtol=1e-10, atol=1e-12)


def test_only_the_upper_triangle_is_read() -> None:
    a = np.array([[4.0, 2.0], [np.nan, 3.0]])
    x, u = solve_positive(a, np.array([8.0, 6.0]))
    np.testing.assert_allclose(x, [1.5, 1.0], rtol=1e-15)
    np.testing.assert_allclose(u, [[2.0, 1.0], [0.0, np.sqrt(2.0)]], rtol=1e-15)


def test_what_is_not_positive_definite_is_refused() -> None:
    for a in ([[0.0]], [[np.nan]], [[1.0, 2.0], [2.0, 4.0]], [[1.0, 3.0], [3.0, 1.0]]):
        with pytest.raises(ValueError, match="not positive definite"):
            solve_positive(np.array(a), np.ones(len(a)))
    with pytest.raises(ValueError, match="square"):
        solve_positive(np.eye(3), np.ones(2))
