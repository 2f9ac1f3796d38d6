"""Vectors, row by row, and symmetric matrices between them."""

import numpy as np
import pytest

from midas.experiment.vectors import angle_between, matrix_of, products, unit

RANDOM = np.random.default_rng(8)


def test_products_are_factors_of_a_symmetric_matrix() -> None:
    a, b, components = RANDOM.normal(size=(5, 3)), RANDOM.normal(size=(5, 3)), RANDOM.normal(size=6)
    matrix = matrix_of(components)
    assert (matrix == matrix.T).all()
    assert products(a, b) @ components == pytest.approx(np.einsum("ni,ij,nj->n", a, matrix, b))


@pytest.mark.parametrize("degrees", [1e-9, 0.01, 90.0, 180.0])
def test_angles_of_any_size(degrees: float) -> None:
    turn = np.radians(degrees)
    a, b = np.array([[1.0, 0.0, 0.0]]), np.array([[np.cos(turn), np.sin(turn), 0.0]])
    assert angle_between(a, b) == pytest.approx(degrees, rel=1e-7)


def test_unit_vectors_keep_their_direction() -> None:
    vectors = RANDOM.normal(size=(2, 4, 3))
    assert np.linalg.norm(unit(vectors), axis=-1) == pytest.approx(1.0)
    assert np.cross(unit(vectors), vectors) == pytest.approx(0.0)
