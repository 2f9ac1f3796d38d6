"""Samples that are hard to resolve, from spots or frames to grains (docs/accuracy.md#one-crystal-one-grain).

The figures of a run are printed with ``pytest -rP``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from crystal_sets.scoring import Limits, score
from crystal_sets.sets import SETS
from independent.referee.lists import FoundGrain

from midas.formats.simulated import GrainList


@pytest.mark.parametrize("name", ["twins4", "twins4-alone", "sub", "same", "ghost-small"])
def test_spots_of_a_set(name: str, tmp_path: Path) -> None:
    result = SETS[name].make(tmp_path).analyse()
    required = SETS[name].required["spots"]
    print(f"{name}: {result}; required {required}")
    assert required.holds(result), str(result)


@pytest.mark.long
@pytest.mark.parametrize("name", ["low-spots", "high-spots", "low", "twins", "ghost", "mosaic0.5"])
def test_a_large_set(name: str, tmp_path: Path) -> None:
    test_spots_of_a_set(name, tmp_path)


CELL = (3.0, 3.0, 3.0, 90.0, 90.0, 90.0)


def _grain(x: float, degrees: float) -> FoundGrain:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return FoundGrain(np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]), np.array([x, 0, 0]), CELL, 1.0)


@pytest.mark.parametrize(
    ("found", "counts"),
    [
        ([], (0, 0, 0)),
        ([_grain(0, 0), _grain(100, 0)], (2, 0, 0)),
        ([_grain(0, 90), _grain(101, 180.1)], (2, 0, 0)),  # the symmetry of the lattice
        ([_grain(50, 0)], (1, 0, 0)),  # one grain is the partner of one
        ([_grain(0, 0), _grain(1, 0.1), _grain(100, 0)], (2, 1, 0)),
        ([_grain(0, 0.5)], (0, 1, 0)),
        ([_grain(0, 20), _grain(100, 0)], (1, 0, 1)),
    ],
)
def test_the_judge_counts_one_to_one(found: list[FoundGrain], counts: tuple[int, int, int]) -> None:
    true = GrainList(np.tile(np.eye(3), (2, 1, 1)), np.array([[0.0, 0, 0], [100, 0, 0]]), np.tile(CELL, (2, 1)))
    result = score(true, found, CELL, limits=Limits())
    assert (result.found, result.copies, result.ghosts) == counts


def test_the_judge_measures() -> None:
    true = GrainList(np.eye(3)[None], np.zeros((1, 3)), np.array([CELL]))
    longer = FoundGrain(_grain(0, 0.1).orientation, np.array([3.0, 4, 0]), (3.0003, 3.0003, 3.0003, 90, 90, 90), 1.0)
    result = score(true, [longer], CELL)
    assert result.position == pytest.approx((5.0, 5.0))
    assert result.worst[0] == pytest.approx(0.1)
    assert result.strain_rms == pytest.approx(100.0)
