"""Sums of boxes: spots of known place, size and background."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from midas._ext.pull.sums import INCOMPLETE, MEASURED, TOO_WEAK, sum_boxes

HALF = np.array([[300.0, 300.0, 1.5]])
STEP = 0.25
#: pixels of 50 µm
GRID = np.arange(-750.0, 751.0, 50.0)
OMEGAS = np.arange(-3.0, 3.01, STEP)


def spot(place: tuple[float, float, float], counts: float = 1e5, width: tuple[float, ...] = (60.0, 60.0, 0.3)) -> Any:
    """(frames, pixels): a Gaussian spot."""
    radial, arc = np.meshgrid(GRID, GRID, indexing="ij")
    u, v = (radial.ravel() - place[0]) / width[0], (arc.ravel() - place[1]) / width[1]
    profile = np.exp(-0.5 * (u**2 + v**2))
    along = np.exp(-0.5 * ((OMEGAS - place[2]) / width[2]) ** 2)
    return counts * np.outer(along / along.sum(), profile / profile.sum())


def measure(counts: np.ndarray, others: Any = (), half: np.ndarray = HALF, threads: int = 1, boxes: int = 1) -> Any:
    """The sum of a box of these counts, or of so many copies of it."""
    radial, arc = (grid.ravel().astype(np.float32) for grid in np.meshgrid(GRID, GRID, indexing="ij"))
    others = np.array(others, np.float64).reshape(-1, 3)
    each = np.arange(boxes + 1)
    return sum_boxes(
        np.arange(boxes), each * len(radial), np.tile(radial, boxes), np.tile(arc, boxes), each * counts.size,
        np.tile(counts.astype(np.float32).ravel(), boxes), each * len(OMEGAS), np.tile(OMEGAS, boxes),
        np.repeat(half, boxes, axis=0), np.full(boxes, 2 * half[0, 2] / STEP), each * len(others),
        np.tile(others, (boxes, 1)), threads,
    )  # fmt: skip


def place_of(sums: Any) -> list[float]:
    return [float(sums[name][0]) for name in ("radial", "arc", "omega")]


@pytest.mark.parametrize("place", [(0.0, 0.0, 0.0), (70.0, -90.0, 0.4), (-250.0, 230.0, -1.2)])
def test_a_spot_on_background(place: tuple[float, float, float]) -> None:
    """The box moves to the spot; noise and a slope of the background change nothing much."""
    rng = np.random.default_rng(1)
    background = 40 + 0.01 * GRID[:, None] + 0 * GRID
    counts = rng.poisson(spot(place) + background.ravel())
    (sums,) = [measure(counts)]
    assert sums["status"][0] == MEASURED
    np.testing.assert_allclose(place_of(sums), place, atol=2.0)
    np.testing.assert_allclose(sums["omega"][0], place[2], atol=0.01)
    np.testing.assert_allclose(sums["intensity"][0], 1e5, rtol=0.02)
    widths = [np.sqrt(sums[name][0]) for name in ("radial_variance", "arc_variance", "omega_variance")]
    np.testing.assert_allclose(widths, (60, 60, 0.3), rtol=0.03)
    assert sums["missing"][0] == 0


def test_without_background_every_count_belongs_to_the_spot() -> None:
    """Where frames hold nothing but spots, as sparse sources do, the sum is exact."""
    counts = np.round(spot((30.0, 20.0, 0.1)))
    sums = measure(counts)
    assert sums["background"][0] == 0
    assert sums["intensity"][0] == counts.sum()


def test_nearer_pixels_belong_to_the_other_spot() -> None:
    """Both spots in one box; with the prediction of the other one each keeps its own."""
    own, other = (-100.0, 0.0, 0.0), (300.0, 0.0, 0.0)
    counts = spot(own, width=(30.0, 60.0, 0.3)) + spot(other, 5e5, (30.0, 60.0, 0.3))
    wide = np.array([[500.0, 300.0, 1.5]])
    alone, apart = measure(counts, half=wide), measure(counts, [other], wide)
    assert alone["radial"][0] > 100
    np.testing.assert_allclose(place_of(apart), own, atol=1.0)
    np.testing.assert_allclose(apart["intensity"][0], 1e5, rtol=1e-3)


def test_correlation_of_eta_and_omega() -> None:
    """A spot that is oblique in a wide box: its covariance is that of the counts."""
    radial, arc = (grid.ravel() for grid in np.meshgrid(GRID, GRID, indexing="ij"))
    shifted = [np.exp(-0.5 * ((radial / 60) ** 2 + ((arc - 100 * w) / 60) ** 2)) for w in OMEGAS]
    counts = 1000 * np.exp(-0.5 * (OMEGAS / 0.5) ** 2)[:, None] * np.array(shifted)
    sums = measure(counts, half=np.array([[300.0, 500.0, 2.0]]))
    np.testing.assert_allclose(sums["arc_omega"][0], 100 * 0.25, rtol=0.02)
    np.testing.assert_allclose(sums["arc_variance"][0], 60**2 + (100 * 0.5) ** 2, rtol=0.02)


def test_nothing_but_noise() -> None:
    counts = np.random.default_rng(2).normal(100, 10, (len(OMEGAS), len(GRID) ** 2))
    assert measure(counts)["status"][0] == TOO_WEAK
    assert measure(0 * counts)["status"][0] == TOO_WEAK


def test_missing_values() -> None:
    """A box on a mask, one that the scan ends in, and one of which a pixel is missing."""
    counts = spot((0.0, 0.0, 0.0)) + 10
    inside = np.repeat(abs(GRID) <= 200, len(GRID)).reshape(len(GRID), -1)
    masked = counts.copy()
    masked[:, (inside & (GRID > 0)).ravel()] = np.nan
    assert measure(masked)["status"][0] == INCOMPLETE
    ended = counts.copy()
    ended[OMEGAS > 0] = np.nan
    assert measure(ended)["status"][0] == INCOMPLETE
    counts[:, 0] = np.nan
    sums = measure(counts)
    assert sums["status"][0] == MEASURED and sums["missing"][0] < 0.01


def test_saturated_pixels_are_seen() -> None:
    counts = np.minimum(spot((0.0, 0.0, 0.0)), 500.0)
    assert measure(counts)["highest"][0] == 500.0


def test_threads() -> None:
    counts = np.random.default_rng(3).poisson(spot((40.0, -30.0, 0.2)) + 5)
    one, three = (measure(counts, [(200.0, 0.0, 0.5)], threads=threads, boxes=9) for threads in (1, 3))
    assert one.tobytes() == three.tobytes()


def test_boxes_without_frames() -> None:
    none, no_number = np.zeros(2, np.int64), np.empty(0, np.float32)
    sums = sum_boxes(
        np.zeros(1, np.int64), none, no_number, no_number, none, no_number, none, np.empty(0), HALF, np.ones(1), none,
        np.empty((0, 3)),
    )  # fmt: skip
    assert sums["status"].tolist() == [INCOMPLETE]


def test_wrong_arrays() -> None:
    one = np.zeros(2, np.int64)
    numbers = np.empty(0, np.float32)
    with pytest.raises(ValueError, match="half widths"):
        sum_boxes(one[:1], one, numbers, numbers, one, numbers, one, np.empty(0), HALF[:, :2], np.ones(1), one, HALF)
    with pytest.raises(ValueError, match="one entry per box"):
        sum_boxes(one[:1], one, numbers, numbers, one[:1], numbers, one, np.empty(0), HALF, np.ones(1), one, HALF)
