"""Clusters and near-duplicates against plain Python versions of the rules of docs/theory/grains.md#clusters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from midas._ext.grains.clusters import cluster, distinct
from midas.experiment.orientation import quaternion_product, reduced, symmetry_operators

CUBIC = symmetry_operators(225)
GROUP = [Rotation.from_quat(np.roll(s, -1)) for s in CUBIC]


def apart(p: np.ndarray, q: np.ndarray) -> float:
    """Misorientation in degrees: the smallest angle of q p⁻¹ S over the group, by matrices."""
    turns = [Rotation.from_quat(np.roll(x, -1)) for x in (p, q)]
    return min(np.degrees((turns[0].inv() * turns[1] * s).magnitude()) for s in GROUP)


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
    """The recursion of docs/theory/grains.md#clusters, word for word."""
    done = [not s for s in solved]
    groups = []

    def visit(p: int, group: list[int]) -> None:
        done[p] = True
        group.append(p)
        for t in lists[p]:
            for j, seed in enumerate(seeds):
                if seed == t and not done[j] and apart(quaternions[p], quaternions[j]) < 0.4:
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
            if keys[b] not in seen and near and apart(quaternions[a], quaternions[b]) < 0.1:
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


def test_no_solutions() -> None:
    assert grouped([], [], np.empty((0, 4))) == []
    assert distinct(np.zeros(0, np.int64), np.empty((0, 3)), np.empty((0, 4)), CUBIC, 0.1, 5.0).tolist() == []


def test_shapes_are_checked() -> None:
    one, ids = np.zeros(1, np.int32), np.zeros(1, np.int64)
    with pytest.raises(ValueError, match="per seed"):
        cluster(ids, np.ones(2, np.uint8), np.zeros(2, np.int64), one, np.zeros((1, 4)), CUBIC, 0.4)
    with pytest.raises(ValueError, match="quaternion"):
        cluster(ids, np.ones(1, np.uint8), np.zeros(2, np.int64), one, np.zeros((1, 3)), CUBIC, 0.4)
    with pytest.raises(ValueError, match="position"):
        distinct(np.zeros(1, np.int64), np.zeros((1, 2)), np.zeros((1, 4)), CUBIC, 0.1, 5.0)
