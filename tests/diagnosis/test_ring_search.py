"""Rings that lie elsewhere are found where they are; what is on no ring is not pressed onto one."""

from __future__ import annotations

import numpy as np
import pytest

from midas.diagnosis.ring_search import search_rings
from midas.experiment.explained import explained_spots
from midas.formats.table import Table

RADII = {1: 42625.0, 2: 49264.0, 3: 69925.0, 4: 82219.0, 5: 85954.0}
PX = 200.0


def _maxima(scale: float = 1.0, centre: tuple[float, float] = (0.0, 0.0), rings: tuple[int, ...] = tuple(RADII)):
    rng = np.random.default_rng(1)
    ring = rng.choice(rings, 200)
    eta = rng.uniform(-180, 180, 200)
    radius = np.array([RADII[r] for r in ring]) * scale + rng.normal(0, 50, 200)
    y, z = -radius * np.sin(np.radians(eta)) + centre[0], radius * np.cos(np.radians(eta)) + centre[1]
    return np.hypot(y, z), np.degrees(np.arctan2(-y, z))


def test_rings_in_their_places() -> None:
    found = search_rings(*_maxima(rings=(1, 3)), RADII, PX)
    assert found.given.share > 0.99 and found.better is None and found.rings == (1, 3)


@pytest.mark.parametrize("scale", [0.85, 0.95, 1.04, 1.2])
def test_another_scale(scale: float) -> None:
    found = search_rings(*_maxima(scale), RADII, PX)
    assert found.better is not None and found.better.share > 0.95 and found.rings == tuple(RADII)
    assert found.offsets is not None and abs(found.offsets.scale_ppm * 1e-6 - (scale - 1)) < 5e-4


@pytest.mark.parametrize("centre", [(4000.0, -2400.0), (-9000.0, 500.0)])
def test_another_centre(centre: tuple[float, float]) -> None:
    found = search_rings(*_maxima(centre=centre), RADII, PX)
    assert found.better is not None and found.better.scale == 1
    assert found.offsets is not None
    np.testing.assert_allclose(found.offsets.centre, centre, atol=60)


def test_anything_anywhere() -> None:
    rng = np.random.default_rng(2)
    found = search_rings(rng.uniform(4e4, 9e4, 300), rng.uniform(-180, 180, 300), RADII, PX)
    assert found.better is None and found.offsets is None and found.given.share < 0.3


def test_one_ring_is_a_list_too() -> None:
    radius, eta = _maxima(rings=(2,))
    assert search_rings(radius, eta, {2: RADII[2]}, PX).given.share > 0.99


def test_share_of_the_strong_spots() -> None:
    """A quarter of every ring, whatever the ring's own strength; rejected spots do not count."""
    ring = np.repeat([1.0, 2.0, 0.0], 40)
    intensity = np.concatenate([np.arange(40), 1000 + np.arange(40), np.full(40, 1e9)])
    spots = Table.from_columns(
        ("ring", "intensity", "spot_id"), {"ring": ring, "intensity": intensity, "spot_id": np.arange(1, 121)}
    )
    of_grains = np.r_[31:41, 71:73]
    found = explained_spots(spots, of_grains)
    assert found.strong == 20 and found.alone.tolist() == list(range(73, 81))
    assert found.share == pytest.approx(0.6) and not found.is_little
    assert explained_spots(spots, of_grains[:9]).is_little
    assert not explained_spots(spots.take(slice(0, 28)), of_grains[10:]).is_little  # hardly any
