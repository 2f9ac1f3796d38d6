"""Covariances of grains against dense linear algebra."""

from __future__ import annotations

import numpy as np
import pytest

from midas._ext.calibrate.halves import grain_covariances

RNG = np.random.default_rng(4)
COUNTS = (20, 0, 31, 3)
OFFSETS = np.concatenate([[0], np.cumsum(COUNTS)]).astype(np.int64)
N, M = OFFSETS[-1], 2
JACOBIAN = RNG.normal(size=(3, N, 12 + M)) * 10.0 ** RNG.uniform(-2, 3, 12 + M)
SLOPE, POWER, PUSH = RNG.uniform(0.5, 2, (3, N)), RNG.uniform(0.5, 2, (3, N)), RNG.normal(size=(3, N))
HALVES = np.zeros((4, N), np.uint8)
HALVES[:, OFFSETS[2] : OFFSETS[3]] = RNG.permuted(np.tile(np.arange(31) < 15, (4, 1)), axis=1)


def dense(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Covariance, response and shift of a grain from some of its spots."""
    own, instrument = (JACOBIAN[:, rows, part].reshape(3 * len(rows), -1) for part in (slice(12), slice(12, None)))
    slope, power, push = (one[:, rows].ravel() for one in (SLOPE, POWER, PUSH))
    inverse = np.linalg.inv(own.T @ (slope[:, None] * own))
    covariance = inverse @ (own.T @ (power[:, None] * own)) @ inverse
    return covariance, -inverse @ own.T @ (slope[:, None] * instrument), -inverse @ own.T @ push


@pytest.fixture(scope="module")
def found() -> tuple[np.ndarray, ...]:
    return grain_covariances(JACOBIAN, SLOPE, POWER, PUSH, HALVES, OFFSETS)


@pytest.mark.parametrize("grain", [0, 2])
def test_covariance_is_that_of_the_dense_system(found: tuple[np.ndarray, ...], grain: int) -> None:
    expected = dense(np.arange(OFFSETS[grain], OFFSETS[grain + 1]))
    determined, covariance, response, shift, _ = found
    assert determined[grain]
    for got, want in zip((covariance[grain], response[grain], shift[grain]), expected, strict=True):
        scale = np.sqrt(np.diag(expected[0]))
        weight = scale if got.ndim == 1 else scale[:, None]
        np.testing.assert_allclose(got / weight, want / weight, rtol=1e-9, atol=1e-9)


def test_halves_are_fitted_by_themselves(found: tuple[np.ndarray, ...]) -> None:
    rows = np.arange(OFFSETS[2], OFFSETS[3])
    for split in range(4):
        inside = HALVES[split, rows] == 1
        one, two = dense(rows[inside]), dense(rows[~inside])
        expected = (one[2] - two[2]) / np.sqrt(np.diag(one[0]) + np.diag(two[0]))
        np.testing.assert_allclose(found[4][2, split], expected, rtol=1e-7)
    assert np.isnan(found[4][0]).all()  # is in no half


@pytest.mark.parametrize("grain", [1, 3])
def test_a_grain_without_spots_enough_has_none(found: tuple[np.ndarray, ...], grain: int) -> None:
    assert not found[0][grain]
    assert all(np.isnan(column[grain]).all() for column in found[1:])


def test_threads_do_not_matter(found: tuple[np.ndarray, ...]) -> None:
    for threads in (2, 4):
        again = grain_covariances(JACOBIAN, SLOPE, POWER, PUSH, HALVES, OFFSETS, threads)
        assert all(one.tobytes() == two.tobytes() for one, two in zip(found, again, strict=True))


def test_lengths_must_fit() -> None:
    with pytest.raises(ValueError, match="every spot must have"):
        grain_covariances(JACOBIAN, SLOPE[:, 1:].copy(), POWER, PUSH, HALVES, OFFSETS)
    with pytest.raises(ValueError, match="every spot must have"):
        grain_covariances(JACOBIAN[:, :, :11].copy(), SLOPE, POWER, PUSH, HALVES, OFFSETS)
    with pytest.raises(ValueError, match="offsets must rise"):
        grain_covariances(JACOBIAN, SLOPE, POWER, PUSH, HALVES, OFFSETS[::-1].copy())
    with pytest.raises(ValueError, match="32 splits"):
        grain_covariances(JACOBIAN, SLOPE, POWER, PUSH, np.zeros((33, N), np.uint8), OFFSETS)
