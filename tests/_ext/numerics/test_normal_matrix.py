"""Normal equations with rows that know few of the variables."""

from __future__ import annotations

import numpy as np
import pytest

from midas._ext.numerics.normal_matrix import normal_matrix


def test_are_those_of_the_definition() -> None:
    random = np.random.default_rng(1)
    jacobian = random.normal(size=(60, 7)) * (random.random((60, 7)) < 0.4)
    weights, residuals = random.random(60), random.normal(size=60)
    normal, gradient = normal_matrix(jacobian, weights, residuals)
    np.testing.assert_allclose(normal, jacobian.T @ (weights[:, None] * jacobian), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(gradient, jacobian.T @ (weights * residuals), rtol=1e-12, atol=1e-14)
    assert np.array_equal(normal, normal.T)


def test_lengths_must_fit() -> None:
    with pytest.raises(ValueError, match="one weight and one residual per row"):
        normal_matrix(np.zeros((3, 2)), np.zeros(2), np.zeros(3))
