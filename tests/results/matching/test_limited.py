"""Two states with limits, without a table of all pairs: the same pairs as with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from midas.experiment.orientation import quaternion_product
from midas.results.matching.files import _among_all
from midas.results.matching.lattice import quaternions_of_vectors
from midas.results.matching.limited import limited, match_limited
from midas.results.matching.options import MatchOptions
from midas.results.matching.sets import aggregate_grains

from .grain_files import CELL, quaternions, write

CHOICES = (
    {"max_distance": 80.0},
    {"max_misorientation": 12.0},
    {"max_misorientation": 3.0, "max_distance": 200.0},
    {"max_misorientation": 5.0, "ref_misorientation": 30.0, "mode": "orientation"},
    {"max_distance": 150.0, "mode": "position", "size_filter": 40.0},
    {"max_distance": 300.0, "max_cost": 40.0, "weights": (2.0, 20.0)},
    {"max_misorientation": 0.0},
    {"max_distance": 0.0},
    {"max_misorientation": 180.0},
)


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_same_pairs_as_from_the_whole_table(choice: dict[str, object], tmp_path: Path) -> None:
    random = np.random.default_rng(6)
    q, x = quaternions(60, 1), random.uniform(-150, 150, (60, 3))
    turned = quaternion_product(quaternions_of_vectors(random.normal(0, 1.0, (60, 3))), q)[5:]
    radii = random.uniform(20, 60, 60)
    radii[:3] = 0.0
    write(tmp_path / "a.csv", q, x, radii=radii)
    write(
        tmp_path / "b.csv",
        turned,
        x[5:] + random.normal(0, 20, (55, 3)),
        radii=radii[5:] * random.uniform(0.5, 1.5, 55),
    )
    first, second = (aggregate_grains([tmp_path / name]) for name in ("a.csv", "b.csv"))
    options = MatchOptions(**choice)
    assert limited(options)
    pairs, costs = match_limited(first, second, options, 225, CELL)
    expected, whole = _among_all(first, second, options, 225, CELL)
    np.testing.assert_array_equal(pairs, expected)
    np.testing.assert_allclose(costs, whole, atol=1e-9)


def test_without_limits_or_with_duplicates_all_pairs_count() -> None:
    assert not limited(MatchOptions(max_cost=3.0))
    assert not limited(MatchOptions(max_distance=3.0, keep_duplicates=True))
