"""Many seeds in parallel, seeds without result, and arrays that do not fit together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from simulated_grains import rotation_z

from midas._ext.refine.refiner import NO_VALID_SPOT, NOT_INDEXED, NOTHING_MATCHED, REFINED

from .seeds import ALL_METHODS, EXPERIMENT, METHODS, case, refine, refine_grains, refiner


@pytest.mark.parametrize("method", METHODS)
def test_threads_and_neighbours_do_not_change_a_seed(method: str) -> None:
    grains, spots = case(5)
    spots.blur(np.random.default_rng(1), spot=10)
    fit = refiner(EXPERIMENT, spots, method)
    one, *others = (refine_grains(fit, grains, spots, threads) for threads in (1, 2, 4))
    for other in others:
        assert all(a.tobytes() == b.tobytes() for a, b in zip(one, other, strict=True))
    for i in range(5):
        own = slice(i, i + 1)
        alone = refine(fit, grains.start_orientations[own], grains.start_positions[own], [spots.of(i)])
        assert alone.solutions.tobytes() == one.solutions[own].tobytes()
        assert alone.fits.tobytes() == one.spots(i).tobytes()


@pytest.mark.parametrize("empty", [0, 2, 5])
def test_a_seed_without_spots_has_no_result(empty: int) -> None:
    grains, spots = case(6)
    lists = [spots.of(i) for i in range(6)]
    lists[empty] = np.empty(0, np.int64)
    fit = refiner(EXPERIMENT, spots)
    result = refine(fit, grains.start_orientations, grains.start_positions, lists)
    assert result.status.tolist() == [NOT_INDEXED if i == empty else REFINED for i in range(6)]
    assert result.counts[empty] == 0
    alone = refine(fit, grains.start_orientations[:1], grains.start_positions[:1], lists[empty : empty + 1])
    assert alone.status.tolist() == [NOT_INDEXED] and len(alone.fits) == 0


def test_no_seeds() -> None:
    _, spots = case(1)
    result = refine(refiner(EXPERIMENT, spots), np.empty((0, 9)), np.empty((0, 3)), [])
    assert [len(array) for array in result] == [0, 0, 1, 0, 0]


@pytest.mark.parametrize("method", ALL_METHODS)
def test_seeds_that_cannot_be_refined(method: str) -> None:
    grains, spots = case(3)
    lists = [spots.of(i) for i in range(3)]
    lists[0][:] = -1
    grains.start_orientations[1] = (rotation_z(20) @ grains.orientations[1]).ravel()
    lists[2][:5] = -1
    fit = refiner(EXPERIMENT, spots, method)
    result = refine(fit, grains.start_orientations, grains.start_positions, lists)
    assert result.status.tolist() == [NO_VALID_SPOT, NOTHING_MATCHED, REFINED]
    assert result.counts.tolist() == [0, 0, len(lists[2]) - 5]


# Mistakes of the caller
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cell": np.ones(5)}, "six numbers"),
        ({"y_plane": np.zeros(3)}, "one entry per spot"),
        ({"first": np.array([0, 5], np.int32)}, "in a group"),
        ({"group": None}, "does not exist"),
        ({"method": "joint simplex"}, "no objective"),
    ],
)
def test_inconsistent_settings_are_refused(changes: dict[str, Any], message: str) -> None:
    _, spots = case(1)
    if "group" in changes:
        changes = {"group": np.full(len(spots), 9, np.int32)}
    with pytest.raises(ValueError, match=message):
        refiner(EXPERIMENT, spots, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"orientations": np.ones((1, 3))}, "must be"),
        ({"positions": np.ones((2, 3))}, "one entry per seed"),
        ({"offsets": np.array([2, 0])}, "must not decrease"),
        ({"offsets": np.array([-1, 2])}, "beyond the spots"),
        ({"offsets": np.array([0, 10**6])}, "beyond the spots"),
        ({"spot_rows": np.array([1, 10**6])}, "beyond the recorded spots"),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(changes: dict[str, Any], message: str) -> None:
    grains, spots = case(1)
    arrays = {
        "orientations": grains.start_orientations, "positions": grains.start_positions, "offsets": np.array([0, 2]),
        "spot_rows": np.array([0, 1]),
    }  # fmt: skip
    with pytest.raises(ValueError, match=message):
        refiner(EXPERIMENT, spots).refine(**(arrays | changes))


def test_spots_of_little_certainty_do_not_move_a_grain() -> None:
    """All of the lower half are displaced alike, so that a robust loss alone is misled."""
    grains, spots = case(3)
    doubtful = spots.z_plane < 0
    spots.z_plane = np.where(doubtful, spots.z_plane - 60.0, spots.z_plane)
    errors = []
    for factor in (1.0, 1e-3):
        fit = refiner(EXPERIMENT, spots, certainty=np.where(doubtful, factor, 1.0))
        result = refine_grains(fit, grains, spots)
        errors.append(np.linalg.norm(result.solutions["position"] - grains.positions, axis=1).max())
    assert errors[0] > 5.0
    assert errors[1] < 0.5


def test_the_certainty_is_one_for_each_spot() -> None:
    _, spots = case(1)
    with pytest.raises(ValueError, match="one entry per spot"):
        refiner(EXPERIMENT, spots, certainty=np.ones(3))
