"""Coding of pixel lists (docs/theory/peaks.md#pixel-lists)."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from midas._ext.peaks.pixels import decode_pixels, encode_pixels

PIXEL = st.tuples(st.integers(-(2**15), 2**15 - 1), st.integers(-(2**15), 2**15 - 1))


@settings(deadline=None)
@given(st.lists(st.lists(PIXEL, max_size=6), max_size=6), st.integers(0, 4000))
def test_layout_and_round_trip(peaks: list[list[tuple[int, int]]], size: int) -> None:
    offsets = np.append(0, np.cumsum([len(peak) for peak in peaks])).astype(np.int64)
    flat = np.array([pixel for peak in peaks for pixel in peak], np.int16).reshape(-1, 2)
    y, z = flat[:, 0].copy(), flat[:, 1].copy()
    content = encode_pixels(size, offsets, y, z)
    records = [struct.pack("<i", len(peak)) + b"".join(struct.pack("<hh", *pixel) for pixel in peak) for peak in peaks]
    assert content == struct.pack("<ii", size, len(peaks)) + b"".join(records)
    back = decode_pixels(content)
    assert back[0] == size
    assert back[4] == ""
    for found, given_values in zip(back[1:4], (offsets, y, z), strict=True):
        assert np.array_equal(found, given_values)
    for cut in range(len(content)):
        assert decode_pixels(content[:cut])[4] != ""
    assert decode_pixels(content + b"\0")[4] != ""


@pytest.mark.parametrize("peaks", [-1, 2**31 - 1, 3])
def test_count_that_does_not_fit(peaks: int) -> None:
    assert "cut off" in decode_pixels(struct.pack("<iii", 64, peaks, 0))[4]


def test_negative_number_of_pixels() -> None:
    assert "peak 1" in decode_pixels(struct.pack("<iii", 64, 1, -1))[4]


def test_offsets_must_fit() -> None:
    pixel = np.zeros(2, np.int16)
    for offsets in ([0, 3], [-1, 2], [0, 2, 1]):
        with pytest.raises(ValueError, match="offsets"):
            encode_pixels(64, np.array(offsets, np.int64), pixel, pixel)
