"""Which spots are the seeds of the next pass (docs/theory/indexing.md#passes)."""

from __future__ import annotations

import numpy as np

from midas.pipeline.grain_search import next_seeds, ring_order


def test_the_ring_of_the_first_pass_leads_then_those_of_most_reflections() -> None:
    of_hkls = np.repeat([1, 2, 3, 4, 7], [8, 6, 24, 8, 48])
    assert ring_order(2, (1, 2, 3, 4, 4), of_hkls) == [2, 3, 1, 4]
    assert ring_order(9, (1, 2, 3, 4), of_hkls) == [3, 1, 4, 2]  # a ring that is not in use leads nothing


def test_seeds_are_the_spots_that_no_grain_owns_and_that_were_no_seeds() -> None:
    ring = np.array([1, 1, 1, 2, 2, 2, 3, 3, 0, 5])
    unowned = np.array([2, 3, 4, 6, 7, 9, 10])
    assert next_seeds(unowned, ring, [2, 1, 3], np.array([3, 4])).tolist() == [6, 2, 7]
    assert next_seeds(unowned, ring, [2, 1], unowned).tolist() == []
    assert next_seeds(np.empty(0, np.int64), ring, [2, 1], unowned).tolist() == []
