"""Chains that are two spots are parted where their intensity is low (docs/theory/merge.md#valleys)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from midas._ext.merge.valleys import split_chains
from midas.formats.layer import Layer
from midas.stages import merge

from .searched_layer import in_memory, links, make_archive, parameters, peak


def parts(intensities: list[float], y: list[float] | None = None, part: float = 0.5, whole: int = -1) -> list[list]:
    """The intensities of the parts of one chain, oldest first in each."""
    n = len(intensities)
    marks = np.zeros(n, np.uint8)
    marks[whole if whole >= 0 else slice(0)] = 1
    place = np.zeros(n) if y is None else np.array(y)
    chain = np.arange(n, dtype=np.int64)
    first = split_chains(np.array([0, n]), chain, np.array(intensities, float), place, np.zeros(n), marks, part, 5.0)
    return [intensities[a:b] for a, b in zip(first[:-1], first[1:], strict=True)]


def test_a_deep_valley_parts_a_chain() -> None:
    assert parts([10653, 36772, 2402, 29519, 19608], [0, 0, 0.3, 1.7, 1.7]) == [[10653, 36772, 2402], [29519, 19608]]
    assert parts([10653, 36772, 2402, 29519, 19608], [0, 0, 1.3, 1.7, 1.7]) == [[10653, 36772], [2402, 29519, 19608]]
    assert parts([9e4, 1e3, 8e4]) == [[9e4, 1e3], [8e4]]  # as near to both: the side that comes first in the chain


def test_three_tops_are_three_spots() -> None:
    assert parts([9e4, 1e3, 8e4, 2e3, 3e4, 4e3]) == [[9e4, 1e3], [8e4, 2e3], [3e4, 4e3]]


@pytest.mark.parametrize(
    "one", [[4e4, 2.1e4, 4e4], [30.0, 12.0, 30.0], [1e4, 3e4, 5e4, 2e4, 1e3], [5.0], [7e4, 10.0], [3e4, 3e4, 3e4]]
)
def test_shallow_faint_and_single_tops_are_one_spot(one: list[float]) -> None:
    assert parts(one) == [one]


def test_frames_with_one_and_two_pieces_of_a_mosaic_spot_are_one_spot(tmp_path: Path) -> None:
    """The default is below the half that such frames fall to."""
    bright = [2e4, 4e4, 1.9e4, 4e4, 1.9e4, 2e4]
    layer = Layer(tmp_path, make_archive(tmp_path, 6))
    peaks = in_memory([[peak(1, i, 10.0, 20, 30)] for i in bright])
    assert len(links(merge.run(layer, parameters(), threads=1, peaks=peaks))) == 1


def test_saturated_chains_stay_whole() -> None:
    assert parts([9e4, 1e3, 8e4], whole=1) == [[9e4, 1e3, 8e4]]


@given(
    st.lists(st.floats(1, 1e6), min_size=1, max_size=12),
    st.floats(0.1, 1.0),
    st.lists(st.floats(-3, 3), min_size=12, max_size=12),
)
def test_parts_are_the_chain_and_have_no_valley(chain: list[float], part: float, y: list[float]) -> None:
    found = parts(chain, y[: len(chain)], part)
    assert sum(found, []) == chain
    assert all(found)
    for one in found:
        for i in range(1, len(one) - 1):
            top = min(max(one[:i]), max(one[i + 1 :]))
            deep = one[i] < part * top and top - one[i] > 5 * np.sqrt(top + one[i])
            assert not deep


def two_spots() -> list:
    bright = [10653.0, 36772.0, 2402.0, 29519.0, 19608.0]
    rows = [10.0, 10.0, 10.2, 11.5, 11.5]
    return [[peak(1, i, y, 20, 30)] for i, y in zip(bright, rows, strict=True)]


@pytest.mark.parametrize(
    ("values", "spots"), [({}, 2), ({"ChainValley": 0.0}, 1), ({"LegacyDigits": 1}, 1), ({"ChainValley": 0.05}, 1)]
)
def test_keys(values: dict[str, float], spots: int, tmp_path: Path) -> None:
    layer = Layer(tmp_path, make_archive(tmp_path, 5))
    result = merge.run(layer, parameters(**values), threads=2, peaks=in_memory(two_spots()))
    assert len(links(result)) == spots
    assert sorted(sum(links(result), [])) == [(frame, 1) for frame in range(1, 6)]
    assert result.summary.get("parted at valleys", 0) == spots - 1
    assert result.data[0]["intensity"].sum() == pytest.approx(98954)
