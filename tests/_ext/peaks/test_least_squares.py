"""Least squares against spots that are known: integrals of Gaussians over pixels, with the noise of photons."""

from __future__ import annotations

import numpy as np
import pytest
from peak_regions import pixels_of, regions_of
from scipy.special import erf

from midas._ext.peaks.fit import solve_regions
from midas._ext.peaks.frame_regions import Regions

Array = np.ndarray
NO_PANELS = np.empty((0, 8))
THRESHOLD, BEAM = 20.0, 500.0


def gaussian(at: float, sigma: float, side: int) -> Array:
    edges = (np.arange(side + 1) - 0.5 - at) / (np.sqrt(2) * sigma)
    return np.sqrt(np.pi / 2) * sigma * np.diff(erf(edges))


def made(count: int, height: float, seed: int, apart: float = 0.0) -> tuple[Regions, Array]:
    """Images of one spot, or of two so many pixels apart, and the true centres in the order of the maxima."""
    random = np.random.default_rng(seed)
    side, corner = 21, (700, 650)
    spots, truth = [], []
    for _ in range(count):
        first = 10 + random.uniform(-0.5, 0.5, 2) - [apart / 2, 0]
        centres = [first, first + [apart, 0]] if apart else [first]
        mean = 10 + sum(height * np.outer(gaussian(y, 1.1, side), gaussian(z, 1.3, side)) for y, z in centres)
        pixels = pixels_of(random.poisson(mean).astype(float), THRESHOLD)
        tops = [int(np.flatnonzero((pixels[:, :2] == np.rint(c)).all(axis=1))[0]) for c in centres]
        spots.append((pixels + [*corner, 0], tops))
        truth += [c + corner for c in centres]
    return regions_of(*spots, threshold=THRESHOLD), np.array(truth)


def errors(regions: Regions, truth: Array, **options: object) -> Array:
    """Distances of the fitted centres from the true ones, px."""
    rows = solve_regions(regions, BEAM, BEAM, NO_PANELS, **options)
    return np.hypot(rows["y_recorded"] - truth[:, 0], rows["z_recorded"] - truth[:, 1])


@pytest.mark.parametrize("height", [200.0, 5000.0])
def test_single_spots_as_near_as_the_simplex(height: float) -> None:
    made_of_noise = made(300, height, 1)
    ours, simplex = (np.median(errors(*made_of_noise, method=method)) for method in ("lm", "nm"))
    assert ours < 1.03 * simplex
    # A centroid of N photons is off by sigma / sqrt(N) in each direction.
    assert ours < 2.5 * 1.2 / np.sqrt(2 * np.pi * 1.1 * 1.3 * height)


def test_overlapping_spots_as_near_as_the_simplex() -> None:
    made_of_noise = made(150, 1000.0, 2, apart=3.5)
    ours, simplex = (np.quantile(errors(*made_of_noise, method=method), [0.5, 0.9]) for method in ("lm", "nm"))
    assert (ours < 1.02 * simplex).all()


def test_weights_of_photons_are_better_than_none() -> None:
    made_of_noise = made(400, 3000.0, 3)
    weighted, alike = (np.median(errors(*made_of_noise, method="lm", poisson=p)) for p in (True, False))
    assert weighted < 0.95 * alike


def test_a_factor_of_the_counts_changes_no_centre() -> None:
    """An integrating detector counts so many units for a photon."""
    regions, _ = made(20, 3000.0, 4)
    many = regions._replace(counts=regions.counts * 8, thresholds=regions.thresholds * 8)
    for poisson in (False, True):
        one, other = (
            solve_regions(r, BEAM, BEAM, NO_PANELS, method="lm", poisson=poisson)["y_recorded"] for r in (regions, many)
        )
        assert np.abs(one - other).max() < 1e-6
