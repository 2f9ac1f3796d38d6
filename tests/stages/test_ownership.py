"""Which crystal a spot belongs to (docs/theory/resolving.md#assignment)."""

from __future__ import annotations

import numpy as np

from midas._ext.grains.matches import SharpMatches
from midas.stages.grains.resolve.ownership import assign


def matches(*crystals: list[tuple[int, float]]) -> SharpMatches:
    """Spots and distances of each crystal."""
    counts = [len(of) for of in crystals]
    pairs = [pair for of in crystals for pair in of]
    return SharpMatches(
        np.concatenate([[0], np.cumsum(counts)]),
        np.array([spot for spot, _ in pairs], np.int64),
        np.arange(len(pairs), dtype=np.int32),
        np.ones(len(pairs), np.int8),
        np.array([distance for _, distance in pairs]),
        np.array([[count] for count in counts], np.int32),
    )


def test_the_nearest_crystal_owns_a_spot_and_the_next_one_shares_it() -> None:
    found = assign(matches([(0, 0.5), (1, 2.0)], [(0, 1.0), (1, 1.0)], [(1, 3.0)]), np.arange(3))
    assert found.owner.tolist() == [0, 1, -1]
    assert found.second.tolist() == [1, 0, -1]
    assert found.owned().tolist() == [True, False, False, True, False]


def test_of_equals_the_lower_one_owns() -> None:
    found = assign(matches([(0, 1.0)], [(0, 1.0)]), np.arange(1))
    assert (found.owner.tolist(), found.second.tolist()) == ([0], [1])


def test_rows_of_one_measured_spot_have_one_owner() -> None:
    # Row 2 is row 0 once more, in the band of another ring.
    found = assign(matches([(0, 0.5)], [(2, 0.4), (1, 0.1)]), np.array([0, 1, 0]))
    assert found.owner.tolist() == [1, 1, 1]
    assert found.second.tolist() == [0, -1, 0]
    assert found.owned().tolist() == [False, True, True]
    assert [part.tolist() for part in found.fitted_spots()] == [[0, 0, 2], [1, 2]]


def test_a_crystal_owns_a_measured_spot_once() -> None:
    found = assign(matches([(0, 0.5), (1, 0.4)], [(0, 3.0)]), np.array([0, 0]))
    assert (found.owner.tolist(), found.second.tolist()) == ([0, 0], [1, 1])
    assert found.owned().tolist() == [False, True, False]


def test_a_crystal_is_fitted_to_the_spots_that_it_does_not_share() -> None:
    many, few = [(spot, 0.1) for spot in range(20)], [(spot, 0.1) for spot in range(20, 30)]
    other = [(spot, 0.5) for spot in (0, 1, 20)]
    offsets, spots = assign(matches(many, few, other), np.arange(30)).fitted_spots()
    assert offsets.tolist() == [0, 18, 28, 28]
    assert spots.tolist() == [*range(2, 20), *range(20, 30)]  # the second has too few others


def test_a_crystal_that_shares_most_of_its_spots_is_fitted_to_all() -> None:
    first, second = [(spot, 0.1) for spot in range(40)], [(spot, 0.2) for spot in range(25)]
    offsets, _ = assign(matches(first, second), np.arange(40)).fitted_spots()
    assert offsets.tolist() == [0, 40, 40]
