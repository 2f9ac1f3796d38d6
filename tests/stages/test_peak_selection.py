"""The selection of raw pixels: runs, and limits that only save work."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from midas.stages.peak_selection import PIXEL_TYPES, _limits, _runs


@given(st.sets(st.integers(0, 60)))
def test_runs_cover_the_numbers_in_order(chosen: set[int]):
    raw = np.array(sorted(chosen), np.int32)
    starts, lengths = _runs(raw)
    assert [
        n for start, length in zip(starts, lengths, strict=True) for n in range(start, start + length)
    ] == raw.tolist()
    assert (starts[1:] > (starts + lengths)[:-1]).all()


@given(
    threshold=st.floats(1e-3, 1e5),
    dark=st.floats(-1e4, 1e5),
    flood=st.floats(-2.0, 1e3).filter(lambda x: abs(x) > 1e-6),
    current=st.floats(1e-3, 1e3),
    has_blanks=st.booleans(),
    dtype=st.sampled_from(PIXEL_TYPES),
    offsets=st.lists(st.integers(-3, 3), max_size=5),
)
def test_no_pixel_below_its_limit_passes_the_exact_test(
    threshold: float, dark: float, flood: float, current: float, has_blanks: bool, dtype: np.dtype, offsets: list[int]
):
    (limit,) = _limits(dtype, *np.array([[threshold], [dark], [flood]]), current, has_blanks)
    if not np.isfinite(float(limit)):
        return
    low, high = (-1e30, 1e30) if dtype.kind == "f" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    for offset in (0, -1, *offsets):
        raw = np.array(np.clip(float(limit) + offset, low, high)).astype(dtype)[()]
        if raw < limit:
            assert ((float(raw) - dark) / flood) * current < threshold
            if has_blanks or dtype.kind == "f":
                assert ((0.0 - dark) / flood) * current < threshold


@pytest.mark.parametrize("dtype", ["u2", "f4"])
def test_limits_are_close_to_the_threshold(dtype: str):
    corrections = np.array([[100.0, 100.0], [7.0, 7.5], [1.0, 2.0]])
    assert _limits(np.dtype(dtype), *corrections, 1.0, False) == pytest.approx([106, 206.5], abs=1.5)
