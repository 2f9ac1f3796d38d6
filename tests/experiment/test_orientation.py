"""Orientations: conversions, closed symmetry groups, misorientation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from midas.experiment.orientation import (
    euler_angles,
    matrices_from_quaternions,
    misorientation,
    nearest_rotations,
    quaternion_product,
    quaternions_from_matrices,
    rotation_range,
    symmetry_operators,
)
from midas.runtime.errors import ParameterError

ORDERS = {
    1: 1,
    2: 1,
    3: 2,
    15: 2,
    16: 4,
    74: 4,
    75: 8,
    142: 8,
    143: 12,
    146: 6,
    167: 6,
    168: 12,
    194: 12,
    195: 24,
    230: 24,
}


def random_quaternions(seed: int, n: int) -> np.ndarray:
    q = np.random.default_rng(seed).normal(size=(n, 4))
    q *= np.sign(q[:, :1])
    return q / np.linalg.norm(q, axis=1, keepdims=True)


@pytest.mark.parametrize("space_group", ORDERS)
def test_operators_are_groups(space_group: int) -> None:
    operators = symmetry_operators(space_group)
    assert len(operators) == ORDERS[space_group]
    products = quaternion_product(operators[:, None], operators[None]).reshape(-1, 4)
    assert np.abs(products @ operators.T).max(axis=1) == pytest.approx(1, abs=1e-15)


@pytest.mark.parametrize("space_group", [0, -1, 231])
def test_unknown_space_group(space_group: int) -> None:
    with pytest.raises(ParameterError, match="SpaceGroup"):
        symmetry_operators(space_group)


@given(st.integers(0, 2**32 - 1))
def test_conversions_are_inverse(seed: int) -> None:
    q = random_quaternions(seed, 5)
    m = matrices_from_quaternions(q)
    assert m @ np.swapaxes(m, -1, -2) == pytest.approx(np.broadcast_to(np.eye(3), m.shape), abs=1e-14)
    assert quaternions_from_matrices(m) == pytest.approx(q, abs=1e-14)
    p = random_quaternions(seed + 1, 5)
    assert matrices_from_quaternions(quaternion_product(p, q)) == pytest.approx(
        matrices_from_quaternions(p) @ m, abs=1e-14
    )


@given(st.integers(0, 2**32 - 1), st.sampled_from(sorted(ORDERS)))
def test_equivalent_orientations_are_equal(seed: int, space_group: int) -> None:
    operators = symmetry_operators(space_group)
    q = random_quaternions(seed, 1)[0]
    equivalents = quaternion_product(q, operators)
    assert misorientation(q, equivalents, operators) == pytest.approx(0, abs=1e-12)


@given(st.integers(0, 2**32 - 1), st.sampled_from(sorted(ORDERS)))
def test_misorientation_is_the_smallest_angle(seed: int, space_group: int) -> None:
    p, q = random_quaternions(seed, 3), random_quaternions(seed + 1, 4)
    operators = symmetry_operators(space_group)
    turned = quaternion_product(quaternion_product(p[:, None] * [1, -1, -1, -1], q[None])[:, :, None], operators)
    expected = np.degrees(2 * np.arccos(np.clip(np.abs(turned[..., 0]), 0, 1))).min(axis=2)
    assert misorientation(p[:, None], q[None], operators) == pytest.approx(expected, abs=1e-5)


@given(st.integers(0, 2**32 - 1), st.floats(0.001, 20))
def test_small_rotation_is_its_own_misorientation(seed: int, angle: float) -> None:
    half = np.radians(angle) / 2
    axis = np.random.default_rng(seed).normal(size=3)
    axis /= np.linalg.norm(axis)
    turn = np.array([np.cos(half), *(np.sin(half) * axis)])
    q = random_quaternions(seed, 1)[0]
    for space_group in ORDERS:
        got = misorientation(q, quaternion_product(turn, q), symmetry_operators(space_group))
        assert got == pytest.approx(angle, abs=1e-6)


@given(st.floats(0, 6.28), st.floats(0, 3.14159), st.floats(0, 6.28))
def test_bunge_angles(phi1: float, phi: float, phi2: float) -> None:
    def z(a: float) -> np.ndarray:
        return np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])

    def build(a: float, b: float, c: float) -> np.ndarray:
        x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
        return z(a) @ x @ z(c)

    u = build(phi1, phi, phi2)
    assert build(*euler_angles(u)) == pytest.approx(u, abs=1e-9)


def test_bunge_angles_at_the_poles() -> None:
    assert euler_angles(np.eye(3)).tolist() == [0, 0, 0]
    assert euler_angles(np.diag([1.0, -1, -1])).tolist() == pytest.approx([0, np.pi, 0])


def test_printed_matrices_become_rotations() -> None:
    m = matrices_from_quaternions(random_quaternions(3, 100))
    printed = np.round(m, 6)
    fixed = nearest_rotations(printed)
    assert np.linalg.det(fixed) == pytest.approx(1)
    assert np.abs(fixed - m).max() < 2e-6


#: docs/theory/indexing.md#rotation-range: space group, hkl, cell angles, range in degrees
RANGES = [
    (1, (0, 0, 1), (90, 90, 90), 360),
    (14, (0, 2, 0), (90, 103, 90), 180),
    (14, (2, 0, 0), (90, 103, 90), 360),  # only along the unique axis
    (14, (0, 0, 2), (90, 103, 90), 360),
    (14, (0, 0, 2), (90, 90, 103), 180),
    (14, (2, 0, 0), (103, 90, 90), 180),
    (14, (1, 1, 0), (90, 103, 90), 360),
    (62, (0, 4, 0), (90, 90, 90), 180),
    (62, (1, 1, 0), (90, 90, 90), 360),
    (139, (1, 1, 0), (90, 90, 90), 180),
    (139, (-1, 1, 0), (90, 90, 90), 180),
    (139, (2, 1, 0), (90, 90, 90), 360),
    (139, (2, 0, 0), (90, 90, 90), 180),
    (139, (0, 0, 2), (90, 90, 90), 90),
    (139, (1, 0, 1), (90, 90, 90), 360),
    (166, (0, 0, 6), (90, 90, 120), 120),
    (166, (1, 1, 0), (90, 90, 120), 360),
    (194, (0, 0, -2), (90, 90, 120), 60),
    (194, (1, 0, 0), (90, 90, 120), 360),
    (225, (2, 0, 0), (90, 90, 90), 90),
    (225, (0, -2, 2), (90, 90, 90), 180),
    (225, (4, 2, 0), (90, 90, 90), 360),
    (225, (-1, 1, 1), (90, 90, 90), 120),
    (225, (3, 1, 1), (90, 90, 90), 360),
    (225, (0, 0, 0), (90, 90, 90), 0),
]


@pytest.mark.parametrize(("space_group", "hkl", "angles", "degrees"), RANGES)
def test_rotation_range(space_group: int, hkl: tuple, angles: tuple, degrees: float) -> None:
    assert rotation_range(space_group, hkl, angles) == degrees


@pytest.mark.parametrize("space_group", [0, 231])
def test_rotation_range_needs_a_space_group(space_group: int) -> None:
    with pytest.raises(ParameterError, match="SpaceGroup"):
        rotation_range(space_group, (1, 0, 0), (90, 90, 90))
