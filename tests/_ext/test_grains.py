"""Clusters, near-duplicates and strain tensors against plain Python versions of the chapter's rules (07 §4.3-4.5)."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import lsq_linear
from scipy.spatial.transform import Rotation

from midas._ext.grains import cluster, distinct, fable_strain, kenesei_residuals, kenesei_strain, lattice_spacings
from midas.experiment.orientation import misorientation, quaternion_product, reduced, symmetry_operators

CUBIC = symmetry_operators(225)
COMPONENTS = [(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)]


def turned(degrees: float, axis: tuple[float, float, float] = (1, 2, 3)) -> np.ndarray:
    half = np.radians(degrees / 2)
    return np.array([np.cos(half), *(np.sin(half) * np.array(axis) / np.linalg.norm(axis))])


def grouped(seeds, lists, quaternions, *, solved=None, operators=CUBIC, twins=False) -> list[list[int]]:
    offsets = np.concatenate([[0], np.cumsum([len(x) for x in lists])]).astype(np.int64)
    starts, members = cluster(
        np.array(seeds, np.int64),
        np.ones(len(seeds), np.uint8) if solved is None else np.array(solved, np.uint8),
        offsets,
        np.array([s for x in lists for s in x], np.int32),
        np.ascontiguousarray(quaternions, np.float64),
        operators,
        0.4,
        twins,
    )
    return [members[a:b].tolist() for a, b in zip(starts[:-1], starts[1:], strict=True)]


def grouped_plainly(seeds, lists, quaternions, solved) -> list[list[int]]:
    """The chapter's recursion, word for word."""
    done = [not s for s in solved]
    groups = []

    def visit(p: int, group: list[int]) -> None:
        done[p] = True
        group.append(p)
        for t in lists[p]:
            for j, seed in enumerate(seeds):
                if seed == t and not done[j] and misorientation(quaternions[p], quaternions[j], CUBIC) < 0.4:
                    visit(j, group)
                    break

    for i in range(len(seeds)):
        if not done[i]:
            groups.append([])
            visit(i, groups[-1])
    return groups


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_clusters_are_those_of_the_recursion(data: st.DataObject) -> None:
    """Random links, duplicate seeds, rows without solution, orientations in a chain of small steps."""
    n = data.draw(st.integers(1, 14))
    ids = st.integers(1, 12)
    seeds = data.draw(st.lists(ids, min_size=n, max_size=n))
    lists = data.draw(st.lists(st.lists(ids, max_size=10), min_size=n, max_size=n))
    solved = data.draw(st.lists(st.booleans(), min_size=n, max_size=n))
    steps = data.draw(st.lists(st.integers(0, 6), min_size=n, max_size=n))
    quaternions = [turned(0.15 * step) for step in steps]
    assert grouped(seeds, lists, quaternions, solved=solved) == grouped_plainly(seeds, lists, quaternions, solved)


def test_a_chain_of_a_hundred_thousand_solutions_is_one_cluster() -> None:
    n = 100_000
    assert grouped(range(n), [[i + 1] for i in range(n)], np.tile(turned(10), (n, 1))) == [list(range(n))]


@pytest.mark.parametrize(("degrees", "together"), [(0.3999, True), (0.4001, False)])
def test_the_limit_of_a_cluster_is_0_4_degrees(degrees: float, together: bool) -> None:
    groups = grouped([1, 2], [[1, 2], [1, 2]], [turned(0), turned(degrees)])
    assert groups == ([[0, 1]] if together else [[0], [1]])


@pytest.mark.parametrize("space_group", [1, 10, 47, 90, 150, 180, 225])
def test_equivalent_orientations_are_one_cluster(space_group: int) -> None:
    operators = symmetry_operators(space_group)
    quaternions = quaternion_product(turned(77, (3, -1, 2)), operators)
    n = len(operators)
    assert grouped(range(1, n + 1), [range(1, n + 1)] * n, quaternions, operators=operators) == [list(range(n))]


@pytest.mark.parametrize("axis", [(1, 1, 1), (-1, 1, 1), (1, -1, 1), (1, 1, -1)])
def test_twins_are_linked_on_request(axis: tuple[float, float, float]) -> None:
    pair = reduced([turned(33), quaternion_product(turned(33), turned(60.2, axis))], CUBIC)
    assert grouped([1, 2], [[1, 2]] * 2, pair) == [[0], [1]]
    assert grouped([1, 2], [[1, 2]] * 2, pair, twins=True) == [[0, 1]]


@pytest.mark.parametrize(("degrees", "axis"), [(60, (1, 2, 1)), (60, (0.2, 1, 0.2)), (59.5, (1, 1, 1))])
def test_other_large_misorientations_are_no_twins(degrees: float, axis: tuple[float, float, float]) -> None:
    pair = reduced([turned(0), turned(degrees, axis)], CUBIC)
    assert grouped([1, 2], [[1, 2]] * 2, pair, twins=True) == [[0], [1]]


def distinct_plainly(keys, positions, quaternions) -> list[bool]:
    seen: set[int] = set()
    kept = []
    for a, key in enumerate(keys):
        kept.append(key not in seen)
        if key in seen:
            continue
        seen.add(key)
        for b in range(a + 1, len(keys)):
            near = np.linalg.norm(positions[a] - positions[b]) < 5
            if keys[b] not in seen and near and misorientation(quaternions[a], quaternions[b], CUBIC) < 0.1:
                seen.add(keys[b])
    return kept


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 40))
def test_near_duplicates_are_those_of_the_rule(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    keys = rng.integers(0, max(n, 1), n)
    positions = rng.uniform(0, rng.choice([1, 8, 30]), (n, 3))
    quaternions = np.array([turned(0.08 * k) for k in rng.integers(0, 3, n)]).reshape(n, 4)
    assert distinct(keys, positions, quaternions, CUBIC, 0.1, 5.0).tolist() == distinct_plainly(
        keys, positions, quaternions
    )


@pytest.mark.parametrize(("x", "degrees", "kept"), [(4.999, 0.0999, 1), (5.0, 0.05, 2), (1.0, 0.1001, 2)])
def test_both_limits_of_a_duplicate_are_strict(x: float, degrees: float, kept: int) -> None:
    positions = np.array([[0.0, 0, 0], [x, 0, 0]])
    quaternions = np.array([turned(0), turned(degrees)])
    assert distinct(np.arange(2), positions, quaternions, CUBIC, 0.1, 5.0).sum() == kept


# Strain

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
    one, ids = np.zeros(1, np.int32), np.zeros(1, np.int64)
    with pytest.raises(ValueError, match="per seed"):
        cluster(ids, np.ones(2, np.uint8), np.zeros(2, np.int64), one, np.zeros((1, 4)), CUBIC, 0.4)
    with pytest.raises(ValueError, match="quaternion"):
        cluster(ids, np.ones(1, np.uint8), np.zeros(2, np.int64), one, np.zeros((1, 3)), CUBIC, 0.4)
    with pytest.raises(ValueError, match="per spot"):
        kenesei_strain(np.array([0, 5]), np.zeros((3, 3)), np.zeros(3), 0.01)
    with pytest.raises(ValueError, match="per grain"):
        kenesei_residuals(np.array([0, 3]), np.zeros((3, 3)), np.zeros(3), np.zeros((2, 6)))
    with pytest.raises(ValueError, match="position"):
        distinct(np.zeros(1, np.int64), np.zeros((1, 2)), np.zeros((1, 4)), CUBIC, 0.1, 5.0)
    with pytest.raises(ValueError, match="cell"):
        fable_strain(np.zeros((1, 6)), np.zeros((1, 8)), np.zeros(6))
    with pytest.raises(ValueError, match="z per y"):
        lattice_spacings(np.zeros(2), np.zeros(3), 1e6, 0.2)
