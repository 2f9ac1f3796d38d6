"""Which spots are the seeds of the next pass (docs/theory/indexing.md#passes)."""

from __future__ import annotations

import numpy as np

from midas.pipeline.grain_search import next_seeds, pass_completeness

SIZES = {1: 8, 2: 6, 3: 12, 4: 2, 5: 8}
RING = np.array([1, 1, 1, 2, 2, 2, 3, 3, 4, 5, 0])


def test_what_is_left_of_the_first_ring_and_the_smallest_others_that_are_enough() -> None:
    """Ring 4 has too few reflections to stand alone, with ring 1 it has enough; rings 5 and 3 wait."""
    unowned = np.array([2, 3, 4, 6, 7, 9, 10])
    seeds = next_seeds(unowned, RING, 2, SIZES, np.array([3, 4]))
    assert seeds.tolist() == [6, 9, 2]
    seeds = next_seeds(unowned, RING, 2, SIZES, np.concatenate([[3, 4], seeds]))
    assert seeds.tolist() == [10]
    seeds = next_seeds(unowned, RING, 2, SIZES, np.array([2, 3, 4, 6, 9, 10]))
    assert seeds.tolist() == [7]


def test_no_seeds_where_all_have_been_or_none_is_left() -> None:
    unowned = np.array([2, 3, 4])
    assert next_seeds(unowned, RING, 2, SIZES, unowned).tolist() == []
    assert next_seeds(np.empty(0, np.int64), RING, 2, SIZES, unowned).tolist() == []
    assert next_seeds(unowned, RING, 2, {3: 12}, np.array([1])).tolist() == []  # on rings that are not in use


def test_the_limit_is_half_way_to_what_a_crystal_must_own_alone_and_never_higher() -> None:
    assert pass_completeness(0.8, 0.25) == 0.525
    assert pass_completeness(0.2, 0.25) == 0.2
