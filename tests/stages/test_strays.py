"""Spots that a solution does not explain (docs/theory/grains.md#spots-that-are-not-the-grains)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from midas.formats.grains import KENESEI
from midas.stages.grains.strays import explained

from .solved_layer import Made, Solution, parameters


@pytest.mark.parametrize(("px", "limit"), [(200.0, 10.0), (74.8, 5.0), (None, 10.0)])
def test_farther_than_five_medians_and_a_twentieth_of_a_pixel(px: float | None, limit: float) -> None:
    distance = np.array([1.0, limit * 1.001, 1.0, 0.5, limit, 2.0, 0.9])
    assert explained(np.array([0, 7]), distance, px).tolist() == [True, False, *[True] * 5]


@given(st.lists(st.lists(st.floats(0, 1e4), max_size=7), max_size=5))
def test_each_grain_by_its_own_spots_of_which_half_remain(grains: list[list[float]]) -> None:
    offsets = np.cumsum([0, *map(len, grains)])
    found = explained(offsets, np.array(sum(grains, [])), 200.0)
    for start, own in zip(offsets, grains, strict=False):
        alone = explained(np.array([0, len(own)]), np.array(own), 200.0)
        assert found[start : start + len(own)].tolist() == alone.tolist()
        assert 2 * alone.sum() >= len(own)


class Strayed(Made):
    """Every tenth spot lies 200 µm beside where the solution has it, the others 1 µm."""

    def fit_of(self, solution: Solution) -> np.ndarray:
        fit = super().fit_of(solution)
        fit["diff_pos"] = 1.0
        fit["diff_pos"][::10] = 200.0
        fit["y_centred"][::10] += 200.0
        return fit


def test_spots_that_the_solution_does_not_explain_have_no_part_in_the_strain(tmp_path: Path) -> None:
    """They stay in the lists, with what the strain leaves of them; the legacy methods take all."""
    strain = np.array([[5e-4, 1e-4, -2e-4], [1e-4, -3e-4, 4e-5], [-2e-4, 4e-5, 1e-4]])
    made = Strayed(tmp_path, Solution(1, range(1, 41)), strain=strain)
    found = made.run().data
    np.testing.assert_allclose(found.grains.numbers(KENESEI)[0], 1e6 * strain.ravel(), atol=1e-5)
    assert found.grains["RMSErrorStrain"][0] < 1e-5
    error = np.abs(found.spot_matrix["StrainError"])
    assert len(error) == 40
    assert error[::10].min() > 1e-3 > np.delete(error, np.s_[::10]).max() + 9e-4
    legacy = made.run(parameters(RefineMethod="staged")).data.grains
    assert np.abs(legacy.numbers(KENESEI)[0] - 1e6 * strain.ravel()).max() > 100
    assert legacy["RMSErrorStrain"][0] > 100


class Overlapping(Strayed):
    """All but five spots are strays by their distance, although none is moved."""

    def fit_of(self, solution: Solution) -> np.ndarray:
        fit = super().fit_of(solution)
        fit["y_centred"][::10] -= 200.0
        fit["diff_pos"] = 1.0
        fit["diff_pos"][5:] = 200.0
        return fit


def test_spots_that_are_left_must_determine_the_strain(tmp_path: Path) -> None:
    """With nine spots of which five are no strays there are fewer than the six components: all nine count."""
    strain = np.diag([5e-4, -3e-4, 1e-4])
    found = Overlapping(tmp_path, Solution(1, range(1, 10)), strain=strain).run().data.grains
    np.testing.assert_allclose(found.numbers(KENESEI)[0], 1e6 * strain.ravel(), atol=1e-3)
