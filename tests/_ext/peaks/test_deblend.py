"""Peaks of several grains in one region: places that are known."""

from __future__ import annotations

from collections.abc import Sequence
from math import erf

import numpy as np
import pytest

from midas._ext.peaks.deblend import fit_blend

STEP = 0.5
GRID = np.arange(-600.0, 601.0, 100.0)
OMEGAS = np.arange(-2.0, 2.01, STEP)
WIDTHS = (90.0, 80.0, 0.35)
REACH = np.array([200.0, 200.0, 0.7])
#: a Lorentzian part, as real spots have it
MIXING = 0.2


def frames(peaks: Sequence[tuple[float, ...]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts (frames, pixels), and radial and arc of the pixels, of peaks (height, radial, arc, omega)."""
    radial, arc = (grid.ravel().copy() for grid in np.meshgrid(GRID, GRID, indexing="ij"))
    counts = np.zeros((len(OMEGAS), len(radial)))
    for height, *place in peaks:
        u, v = ((radial - place[0]) / WIDTHS[0]) ** 2, ((arc - place[1]) / WIDTHS[1]) ** 2
        profile = MIXING / ((1 + u) * (1 + v)) + (1 - MIXING) * np.exp(-0.5 * (u + v))
        ends = [(OMEGAS + side * STEP / 2 - place[2]) / (np.sqrt(2) * WIDTHS[2]) for side in (-1, 1)]
        share = [0.5 * (erf(high) - erf(low)) for low, high in zip(*ends, strict=True)]
        counts += height * np.outer(share, profile)
    return counts, radial, arc


def fit(counts: np.ndarray, radial: np.ndarray, arc: np.ndarray, start: np.ndarray, factor: float = 1.0) -> tuple:
    widths = np.tile(np.array(WIDTHS) * factor, (len(start), 1))
    return fit_blend(counts, np.zeros(len(counts)), radial, arc, OMEGAS, STEP, start, widths, REACH)


def test_two_peaks_in_one() -> None:
    """Nearer than two standard deviations, one a third of the other, widths expected wrong by a fifth."""
    true = [(3000.0, 20.0, -40.0, 0.05), (1000.0, -60.0, 90.0, -0.2)]
    counts, radial, arc = frames(true)
    assert len({int(np.argmax(frame)) for frame in counts if frame.max() > 100}) <= 2
    noisy = np.random.default_rng(1).poisson(counts).astype(np.float64)
    start = np.array([peak[1:] for peak in true]) + [[30.0, -40.0, 0.1], [-40.0, 30.0, 0.1]]
    exact, _ = fit(counts, radial, arc, start, 1.2)
    np.testing.assert_allclose(exact[:, :4], true, rtol=1e-3, atol=0.05)
    np.testing.assert_allclose(exact[:, 4:7], [WIDTHS, WIDTHS], rtol=1e-3)
    found, sigma = fit(noisy, radial, arc, start, 1.2)
    assert (abs(found[:, 1:4] - np.array(true)[:, 1:]) < np.maximum(5 * sigma[:, 1:], 1e-3)).all()
    assert (sigma[:, 1:] < [20, 20, 0.1]).all()


def test_three_peaks() -> None:
    true = [(3000.0, 0.0, 0.0, 0.0), (2000.0, 200.0, 50.0, 0.3), (2500.0, -50.0, -250.0, -0.3)]
    counts, radial, arc = frames(true)
    start = np.array([peak[1:] for peak in true]) + [[30.0, -40.0, 0.1], [-40.0, 30.0, 0.1], [10.0, 20.0, -0.1]]
    found, _ = fit(counts, radial, arc, start)
    np.testing.assert_allclose(found[:, 1:4], [peak[1:] for peak in true], atol=5)  # the mixing is not fitted
    np.testing.assert_allclose(found[:, 0], [peak[0] for peak in true], rtol=0.1)


def test_counts_of_a_peak() -> None:
    true = [(3000.0, 0.0, -100.0, 0.0), (1500.0, 0.0, 150.0, 0.0)]
    parts = [frames([peak])[0].sum() for peak in true]
    found, _ = fit(*frames(true), np.array([peak[1:] for peak in true]))
    np.testing.assert_allclose(found[:, 7], parts, rtol=0.01)


def test_one_place_cannot_be_told_apart() -> None:
    counts, radial, arc = frames([(1000.0, 0.0, 0.0, 0.0), (1000.0, 0.0, 0.0, 0.0)])
    noisy = np.random.default_rng(2).poisson(counts).astype(np.float64)
    found, sigma = fit(noisy, radial, arc, np.zeros((2, 3)))
    assert (sigma[:, 1] > 100).any() or (found[:, 0] < 5 * sigma[:, 0]).any()


def test_values_that_do_not_count() -> None:
    """Half of the voxels are another grain's; a blend without counts has no place."""
    true = [(3000.0, 0.0, -100.0, 0.0), (1500.0, 0.0, 150.0, 0.0)]
    counts, radial, arc = frames(true)
    start = np.array([peak[1:] for peak in true])
    counts[:, radial > 150] = np.nan
    found, _ = fit(counts, radial, arc, start)
    np.testing.assert_allclose(found[:, 1:4], start, atol=0.1)
    for nothing in (np.full_like(counts, np.nan), np.zeros_like(counts)):
        assert np.isinf(fit(nothing, radial, arc, start)[1]).all()


def test_wrong_arrays() -> None:
    counts, radial, arc = frames([])
    with pytest.raises(ValueError, match="two to 3 peaks"):
        fit(counts, radial, arc, np.zeros((1, 3)))
    with pytest.raises(ValueError, match="a column per pixel"):
        fit(counts, radial[1:], arc, np.zeros((2, 3)))
