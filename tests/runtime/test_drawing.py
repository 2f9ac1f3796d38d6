"""Coordinates, ticks and bars of pictures."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from midas.runtime.drawing import PALETTE, Axes, png_of, ticks


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3, 700), (0.9812, 0.9817), (-1e-5, 2e-5)])
def test_ticks_are_round_and_few(low: float, high: float) -> None:
    found = ticks(low, high)
    assert 2 <= len(found) <= 7 and found[0] >= low and found[-1] <= high
    step = np.diff(found)
    assert np.allclose(step, step[0], rtol=1e-6)
    assert f"{step[0]:e}"[0] in "1259"


def test_places_and_bars() -> None:
    picture = Image.new("RGB", (100, 60), "white")
    axes = Axes(ImageDraw.Draw(picture), (10, 10, 90, 50), (0.0, 8.0), (0.0, 4.0))
    assert axes.at(0, 0) == (10, 50) and axes.at(8, 4) == (90, 10)
    assert axes.holds(4, 2) and not axes.holds(9, 2) and not axes.holds(4, -1)
    axes.bar(2.0, 3.0, 2.0, PALETTE[0])
    axes.bar(5.0, 6.0, 0.0, PALETTE[1])
    image = np.asarray(picture)
    assert (image[31:50, 31:39] == PALETTE[0]).all()
    assert not (image == PALETTE[1]).all(axis=2).any()
    assert png_of(picture) == png_of(picture)
