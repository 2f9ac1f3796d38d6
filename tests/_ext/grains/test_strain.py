"""Strain tensors against plain numpy and scipy (docs/theory/grains.md#strain-from-the-spacings)."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import lsq_linear
from scipy.spatial.transform import Rotation

from midas._ext.grains.strain import fable_strain, kenesei_residuals, kenesei_strain, lattice_spacings

COMPONENTS = [(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)]
CELL = np.array([3.1, 4.2, 5.3, 83.0, 97.0, 104.0])


def random_rotations(rng: np.random.Generator, n: int) -> np.ndarray:
    return Rotation.random(n, random_state=rng).as_matrix()


def test_fable_strain_of_a_scaled_cell_is_isotropic() -> None:
    scaled = CELL * [1.002, 1.002, 1.002, 1, 1, 1]
    u = random_rotations(np.random.default_rng(1), 4)
    strain = fable_strain(np.tile(scaled, (4, 1)), u.reshape(4, 9), CELL)
    np.testing.assert_allclose(strain.reshape(4, 3, 3), np.tile(0.002 * np.eye(3), (4, 1, 1)), atol=1e-15)


def test_fable_strain_from_the_cell_alone() -> None:
    """Cubic, U = 1: only a and gamma changed; e12 = half the off-diagonal of A A0⁻¹, written out by hand."""
    cell = np.array([[4.01, 4.0, 4.0, 90.0, 90.0, 90.1]])
    reference = np.array([4.0, 4.0, 4.0, 90.0, 90.0, 90.0])
    strain = fable_strain(cell, np.eye(3).reshape(1, 9), reference).reshape(3, 3)
    gamma = np.radians(90.1)
    expected = np.diag([4.01 / 4 * np.sin(gamma) - 1, 0, 0])
    expected[0, 1] = expected[1, 0] = 4.01 / 4 * np.cos(gamma) / 2
    np.testing.assert_allclose(strain, expected, atol=1e-15)
    assert (strain == strain.T).all()


def spots_of(rng: np.random.Generator, strain: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    g = rng.normal(size=(n, 3))
    unit = g / np.linalg.norm(g, axis=1, keepdims=True)
    return g, np.einsum("ni,ij,nj->n", unit, strain, unit)


def design(g: np.ndarray) -> np.ndarray:
    u = g / np.linalg.norm(g, axis=1, keepdims=True)
    return np.stack([u[:, i] * u[:, j] * (1 if i == j else 2) for i, j in COMPONENTS], axis=1)


def tensor(rng: np.random.Generator, size: float) -> np.ndarray:
    e = rng.uniform(-size, size, (3, 3))
    return (e + e.T) / 2


@pytest.mark.parametrize("threads", [1, 2])
def test_kenesei_strain_of_exact_spacings_is_exact(threads: int) -> None:
    rng = np.random.default_rng(2)
    truth = [tensor(rng, 5e-3) for _ in range(20)]
    spots = [spots_of(rng, e, n) for e, n in zip(truth, rng.integers(6, 60, 20), strict=True)]
    offsets = np.concatenate([[0], np.cumsum([len(b) for _, b in spots])]).astype(np.int64)
    g, b = (np.concatenate(parts) for parts in zip(*spots, strict=True))
    strain, solved = kenesei_strain(offsets, g, b, 0.01, threads)
    assert solved.all()
    np.testing.assert_allclose(strain, [[e[c] for c in COMPONENTS] for e in truth], atol=1e-11)
    np.testing.assert_allclose(kenesei_residuals(offsets, g, b, strain, threads), 0, atol=1e-11)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(1e-4, 0.05))
def test_bounded_strain_is_the_bounded_least_squares_solution(seed: int, size: float) -> None:
    rng = np.random.default_rng(seed)
    g, b = spots_of(rng, tensor(rng, size), 40)
    b = b + rng.normal(scale=1e-4, size=40)
    strain, solved = kenesei_strain(np.array([0, 40]), g, b, 0.01)
    expected = lsq_linear(design(g), b, (-0.01, 0.01), method="bvls", tol=1e-15)
    assert solved[0] and np.abs(strain).max() <= 0.01
    np.testing.assert_allclose(strain[0], expected.x, atol=1e-9)
    rest = kenesei_residuals(np.array([0, 40]), g, b, strain)
    assert (rest**2).sum() / 2 <= expected.cost * (1 + 1e-9)
    if np.abs(strain).max() < 0.01:  # normal equations of an interior solution
        np.testing.assert_allclose(design(g).T @ rest, 0, atol=1e-12)


@pytest.mark.parametrize("g", [np.eye(3), np.array(list(product([0.0, 1.0, 2.0], [1.0, 2.0], [0.0])))])
def test_spots_that_do_not_determine_the_strain_are_reported(g: np.ndarray) -> None:
    _, solved = kenesei_strain(np.array([0, len(g)]), np.ascontiguousarray(g), np.zeros(len(g)), 0.01)
    assert not solved[0]


def test_lattice_spacing_is_braggs() -> None:
    spacings, wavelength, lsd = np.array([2.355589, 1.1]), 0.22291, 1e6
    radius = lsd * np.tan(2 * np.arcsin(wavelength / 2 / spacings))
    np.testing.assert_allclose(lattice_spacings(radius * 0.6, radius * 0.8, lsd, wavelength), spacings, rtol=1e-14)


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match="per spot"):
        kenesei_strain(np.array([0, 5]), np.zeros((3, 3)), np.zeros(3), 0.01)
    with pytest.raises(ValueError, match="per grain"):
        kenesei_residuals(np.array([0, 3]), np.zeros((3, 3)), np.zeros(3), np.zeros((2, 6)))
    with pytest.raises(ValueError, match="cell"):
        fable_strain(np.zeros((1, 6)), np.zeros((1, 8)), np.zeros(6))
    with pytest.raises(ValueError, match="z per y"):
        lattice_spacings(np.zeros(2), np.zeros(3), 1e6, 0.2)
