"""Layers of a stack: docs/theory/simulation.md#layers."""

from __future__ import annotations

import numpy as np
import pytest

from midas.formats.simulated import GrainList
from midas.simulation.samples import FCC
from midas.simulation.stack import Stack, ds6


def test_the_data_set_of_five_layers() -> None:
    layers = list(ds6())
    assert [len(grains) for grains in layers] == [17, 14, 11, 16, 10]
    np.testing.assert_allclose(layers[0].matrices[0, 0], [0.409457, -0.630021, 0.659863], atol=5e-7)
    np.testing.assert_allclose(layers[0].positions[0], [80.584126, 86.245598, 29.996716], atol=5e-7)
    assert layers[0].cells is not None
    assert layers[0].cells[0, 0] == pytest.approx(3.527281, abs=5e-7)


def test_slices_of_a_grain_against_counting_points() -> None:
    """The centroid of what a layer sees of a sphere, by points on a fine grid; all slices make the whole sphere."""
    centre, radius = np.array([[10.0, -20.0, 60.0]]), 47.0
    stack = Stack(GrainList(np.eye(3)[None], centre, np.array([FCC])), np.array([radius]), 50.0, 4)
    z = np.linspace(-radius, radius, 200001)
    area = radius**2 - z**2
    total = np.zeros(2)
    for number in range(4):
        rows, grains = stack.layer(number)
        inside = np.abs(z + 60.0 - 50 * number) <= 25
        assert len(rows) == bool(inside.any())
        if len(rows):
            expected = (area * (z + 60.0 - 50 * number))[inside].sum() / area[inside].sum()
            np.testing.assert_allclose(grains.positions[0], [10, -20, expected], atol=1e-3)
            total += area[inside].sum() * np.array([1, grains.positions[0, 2] + 50 * number])
    assert total[1] / total[0] == pytest.approx(60.0, abs=1e-3)


def test_a_slice_that_is_too_thin_is_not_seen() -> None:
    stack = Stack(GrainList(np.eye(3)[None], np.array([[0, 0, 26.0]]), np.array([FCC])), np.array([30.0]), 50.0, 3)
    assert [len(grains) for grains in stack] == [1, 1, 0]
    stack = Stack(GrainList(np.eye(3)[None], np.array([[0, 0, 0.0]]), np.array([FCC])), np.array([29.0]), 50.0, 3)
    assert [len(grains) for grains in stack] == [1, 0, 0]
