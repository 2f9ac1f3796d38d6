"""Laguerre cells against the definition, point by point."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest

from midas.results.exchange.laguerre import box_around, grid_of, owners, radii_of, slice_of
from midas.runtime.errors import UsageError

from .sample import grains


def test_power_distance() -> None:
    some = grains("cubic", 30)
    grid = grid_of(some, 37.0)
    found = owners(grid, some.positions, some.radii)
    assert found.shape == grid.shape[::-1]
    z, y, x = np.meshgrid(*(grid.centres(axis) for axis in (2, 1, 0)), indexing="ij")
    points = np.stack([x, y, z], axis=-1)
    power = ((points[..., None, :] - some.positions) ** 2).sum(axis=-1) - some.radii**2
    np.testing.assert_array_equal(found, power.argmin(axis=-1))
    assert (found != owners(grid, some.positions, np.zeros(30))).any()


def test_sizes_decide() -> None:
    """Two grains on a line: the border is where both power distances are equal."""
    two = grains("cubic", 2)
    two = replace(two, positions=np.array([[0.0, 0, 0], [100.0, 0, 0]]), radii=np.array([60.0, 40.0]))
    grid = grid_of(two, 1.0, (0, 100, -0.5, 0.5, -0.5, 0.5))
    row = owners(grid, two.positions, two.radii)[0, 0]
    assert row.tolist() == [0] * 60 + [1] * 40


def test_box_and_grid() -> None:
    one = replace(grains("cubic", 1), positions=np.array([[10.0, 20, 30]]), radii=np.array([5.0]))
    low, high = box_around(one)
    np.testing.assert_array_equal([low, high], [[5, 15, 25], [15, 25, 35]])
    assert grid_of(one).shape == (64, 64, 64)
    assert grid_of(one, 3.0).shape == (4, 4, 4)
    grid = grid_of(one, 2.0, (0, 10, 0, 20, 0, 30))
    assert grid.shape == (5, 10, 15)
    np.testing.assert_array_equal(grid.centres(0), [1, 3, 5, 7, 9])
    assert slice_of(grid, None).centres(2).tolist() == [15.0] and slice_of(grid, 7.0).centres(2).tolist() == [7.0]


def test_too_fine() -> None:
    with pytest.raises(UsageError, match="voxels; at most") as caught:
        grid_of(grains(), 0.1)
    assert caught.value.key == "-voxel"


def test_unknown_radii(caplog: pytest.LogCaptureFixture) -> None:
    some = replace(grains("cubic", 8), radii=np.full(8, np.nan))
    with caplog.at_level(logging.WARNING):
        assert not radii_of(some).any()
    assert "half way" in caplog.text
    low, high = box_around(some)
    assert (low < some.positions.min(axis=0)).all() and (high > some.positions.max(axis=0)).all()
