"""The same grains through load steps: docs/theory/matching.md#series."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from midas.experiment.orientation import matrices_from_quaternions, quaternion_product
from midas.results.matching.lattice import quaternions_of_vectors
from midas.results.matching.tracking import AMBIGUOUS, FIRST, LINKED, LOST, NEW, RETURNED, UNDECIDED, Series, track

from .load_steps import LoadSteps, judged

CASES = {
    "cubic": LoadSteps(),
    "hexagonal": LoadSteps(space_group=194, seed=1),
    "triclinic": LoadSteps(space_group=2, seed=2),
    "twins": LoadSteps(twins=0.6, seed=3),
    "textured": LoadSteps(texture=3.0, seed=4),
    "orientations alone say nothing": LoadSteps(texture=0.1, grains=300, seed=5),
    "large strain": LoadSteps(gradient=0.02, seed=6),
    "mounted anew": LoadSteps(rotation=3.0, shift=300.0, seed=7),
    "small grains": LoadSteps(side=100.0, distance=0.5, shift=4.0, seed=8),
    "few grains": LoadSteps(grains=15, seed=9),
}


@pytest.mark.parametrize("name", CASES)
def test_links_of_load_steps(name: str) -> None:
    """99.5 % of the links are found, and no wrong one is made."""
    made = CASES[name]
    steps, names = made.make()
    found = judged(track(steps, made.operators), names)
    assert found.wrong == 0
    assert found.found >= 0.995, found


@pytest.mark.long
@pytest.mark.parametrize("texture", [None, 0.5])
def test_links_of_five_thousand_grains(texture: float | None) -> None:
    made = LoadSteps(grains=5000, texture=texture, seed=10)
    steps, names = made.make()
    found = judged(track(steps, made.operators), names)
    assert found.wrong == 0
    assert found.found >= 0.995, found


def test_what_becomes_of_every_grain_is_named() -> None:
    made = LoadSteps(grains=120, seed=11, lost=0.1)
    steps, names = made.make()
    series = track(steps, made.operators)
    for step in range(1, made.steps):
        here, before = set(names[step]), set(names[step - 1])
        ever = set(np.concatenate(names[:step]).tolist())
        assert series.count(step, LINKED) == len(here & before)
        assert series.count(step, RETURNED) == len((here & ever) - before)
        assert series.count(step, NEW) == len(here - ever) > 0
        assert series.count(step, LOST) == len(ever - here) > 0
    assert series.count(0, FIRST) == 120
    assert series.count(made.steps - 1, RETURNED) > 0


def test_motion_is_found() -> None:
    made = LoadSteps(seed=12, grains=800, gradient=0.01, rotation=1.0, shift=100.0)
    steps, _ = made.make()
    motion = track(steps[:2], made.operators).motions[0]
    np.testing.assert_allclose(motion.rotation_vector, [0.6, 0.0, 0.8], atol=0.01)
    expected = np.array([[-0.3, 0.2, 0.0], [0.0, -0.3, 0.1], [0.0, 0.4, 1.0]]) * 0.01
    np.testing.assert_allclose(motion.gradient, expected, atol=5e-3 * 0.5)
    moved = np.array([50.0, -30.0, 100.0]) + expected @ motion.origin
    np.testing.assert_allclose(motion.displacement, moved, atol=1.5)
    assert 0.9 < np.sqrt(np.mean(motion.sigma_position**2)) / (5 * np.sqrt(2)) < 1.1
    assert 0.9 < np.sqrt(np.mean(motion.sigma_rotation**2)) / (0.02 * np.sqrt(2)) < 1.1


def test_bending_is_found() -> None:
    """A lattice rotation that changes along the sample does not loosen the links."""
    made = LoadSteps(seed=13, steps=2, gradient=0.0, rotation=0.0, lost=0.0, new=0.0)
    (one, two), names = made.make()
    bent = quaternions_of_vectors(np.outer(two.positions[:, 2], [0.0, 2e-3, 0.0]))
    two = replace(two, quaternions=quaternion_product(bent, two.quaternions))
    series = track([one, two], made.operators)
    assert judged(series, names).wrong == 0 and judged(series, names).found == 1.0
    assert series.motions[0].bending[1, 2] == pytest.approx(2e-3, rel=0.02)
    assert np.sqrt(np.mean(series.motions[0].sigma_rotation ** 2)) < 0.04


def test_grains_that_nothing_tells_apart_are_not_linked() -> None:
    made = LoadSteps(grains=60, steps=2, lost=0.0, new=0.0, seed=14)
    steps, names = made.make()
    doubled, pairs = [], []
    for one, name in zip(steps, names, strict=True):
        row = int(np.flatnonzero(name == 5)[0])
        doubled.append(one.take(np.append(np.arange(60), row)))
        doubled[-1].positions[60] += [0.0, 0.0, 3.0]
        pairs.append({row, 60})
    series = track(doubled, made.operators)
    assert {int(row) for row in series.rows[series.states[:, 1] == AMBIGUOUS, 0]} == pairs[0]
    assert {int(row) for row in series.rows[series.states[:, 1] == UNDECIDED, 1]} == pairs[1]
    assert series.count(1, LINKED) == 59
    assert {doubt.row for doubt in series.doubts} == pairs[1] and len(series.doubts) == 4


def test_a_different_sample_is_not_linked(caplog: pytest.LogCaptureFixture) -> None:
    (one, *_), _ = LoadSteps(seed=15, grains=60).make()
    (two, *_), _ = LoadSteps(seed=16, grains=60).make()
    series = track([one, two], LoadSteps().operators)
    assert series.count(1, LINKED) <= 1


def test_steps_without_grains() -> None:
    made = LoadSteps(grains=20, steps=3, seed=17, lost=0.0, new=0.0)
    steps, _ = made.make()
    none = steps[1].take(np.empty(0, np.intp))
    series = track([steps[0], none, steps[0]], made.operators)
    assert series.count(1, LOST) == 20 and series.count(2, RETURNED) == 20
    series = track([none, steps[0]], made.operators)
    assert series.count(1, NEW) == 20


def links_of(series: Series, names: list[np.ndarray]) -> set[tuple[int, ...]]:
    """Tracks as the grains of each step, whatever their order."""
    return {tuple(int(names[step][row]) if row >= 0 else -1 for step, row in enumerate(rows)) for rows in series.rows}


SMALL = st.builds(
    LoadSteps,
    grains=st.integers(20, 60),
    steps=st.just(3),
    seed=st.integers(0, 10_000),
    space_group=st.sampled_from([2, 62, 194, 225]),
    texture=st.sampled_from([None, 5.0]),
)
MOTION = st.tuples(*[st.floats(-180, 180)] * 3, *[st.floats(-2000, 2000)] * 3)


@settings(max_examples=15, deadline=None)
@given(made=SMALL, seed=st.integers(0, 1000))
def test_order_of_rows_does_not_matter(made: LoadSteps, seed: int) -> None:
    steps, names = made.make()
    random = np.random.default_rng(seed)
    orders = [random.permutation(len(one)) for one in steps]
    shuffled = track([one.take(order) for one, order in zip(steps, orders, strict=True)], made.operators)
    renamed = [name[order] for name, order in zip(names, orders, strict=True)]
    assert links_of(track(steps, made.operators), names) == links_of(shuffled, renamed)


@settings(max_examples=15, deadline=None)
@given(made=SMALL, motion=MOTION)
def test_motion_of_everything_changes_nothing(made: LoadSteps, motion: tuple[float, ...]) -> None:
    steps, names = made.make()
    turn = quaternions_of_vectors(np.array([motion[:3]]))
    moved = [
        replace(
            one,
            quaternions=quaternion_product(turn, one.quaternions),
            positions=one.positions @ matrices_from_quaternions(turn[0]).T + motion[3:],
        )
        for one in steps
    ]
    assert links_of(track(steps, made.operators), names) == links_of(track(moved, made.operators), names)


@settings(max_examples=10, deadline=None)
@given(made=SMALL)
def test_a_step_with_itself(made: LoadSteps) -> None:
    (one, *_), (names, *_) = made.make()
    series = track([one, one], made.operators)
    assert links_of(series, [names, names]) == {(int(name), int(name)) for name in names}
    assert np.abs(series.motions[0].displacement).max() < 1e-6
