"""Centres of spots that a profile in radius and eta is fitted to (docs/theory/peaks.md#bent-profiles)."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtr

from midas._ext.peaks.fit import solve_regions
from midas._ext.peaks.frame_regions import Regions
from midas.stages.peak_centres import straighten_profiles

BEAM = (400.3, 380.6)
RADIUS, WIDTH, COUNT = 90.0, 1.3, 40


def arcs(spread: float) -> Regions:
    """Spots on one ring: blurred arcs with an extent of `spread` px, their pixels above threshold."""
    eta = 2 * np.pi * np.arange(COUNT) / COUNT
    sub_spots = np.linspace(-2.5, 2.5, 41 if spread else 1) * spread / RADIUS
    weights = np.exp(-0.5 * (sub_spots * RADIUS / max(spread, 1e-9)) ** 2)
    regions = []
    for middle in eta:
        y0, z0 = BEAM[0] + RADIUS * np.sin(middle + sub_spots), BEAM[1] + RADIUS * np.cos(middle + sub_spots)
        y, z = (np.arange(int(c.min()) - 9, int(c.max()) + 11) for c in (y0, z0))
        image = np.einsum("i,iy,iz->yz", weights, _over_pixels(y, y0), _over_pixels(z, z0))
        counts = np.rint(5000 * image / image.max())
        above = np.argwhere(counts > 10)
        regions.append(np.column_stack([y[above[:, 0]], z[above[:, 1]], counts[tuple(above.T)]]))
    pixels, offsets = np.concatenate(regions), np.cumsum([0, *map(len, regions)])
    maxima = np.array([np.argmax(region[:, 2]) for region in regions], np.int32)
    return Regions(
        COUNT, COUNT, pixels[:, 0].astype(np.int16), pixels[:, 1].astype(np.int16), pixels[:, 2].copy(), offsets,
        np.full(COUNT, 10.0), maxima, np.arange(COUNT + 1),
    )  # fmt: skip


def _over_pixels(pixels: NDArray[np.int64], centres: NDArray[np.float64]) -> NDArray[np.float64]:
    edges = (np.append(pixels, pixels[-1] + 1) - 0.5 - centres[:, None]) / WIDTH
    return np.diff(ndtr(edges), axis=1)


@pytest.mark.parametrize(("spread", "method"), [(0.0, "nm"), (0.0, "lm"), (1.5, "nm"), (6.0, "lm")])
def test_spots_of_any_length_lie_on_their_ring(spread: float, method: str) -> None:
    peaks = solve_regions(arcs(spread), *BEAM, np.empty((0, 8)), method=method)
    before = np.median(peaks["radius"]) - RADIUS
    straighten_profiles(peaks, *BEAM)
    after = np.median(peaks["radius"]) - RADIUS
    assert before < -(WIDTH**2) / (4.5 * RADIUS)
    assert abs(after) < 0.15 * abs(before)
    y, z = peaks["y_recorded"] - BEAM[0], peaks["z_recorded"] - BEAM[1]
    np.testing.assert_allclose(np.hypot(y, z), peaks["radius"], rtol=1e-12)
    np.testing.assert_allclose(np.degrees(np.arctan2(y, z)), peaks["eta"], rtol=0, atol=1e-9)
    np.testing.assert_array_equal(peaks["diff_y"], peaks["max_y"] - peaks["y_recorded"])
    np.testing.assert_array_equal(peaks["diff_z"], peaks["max_z"] - peaks["z_recorded"])


def test_centroids_stay_where_they_are() -> None:
    peaks = solve_regions(arcs(0.0), *BEAM, np.empty((0, 8)), method="centroid")
    kept = peaks.copy()
    straighten_profiles(peaks, *BEAM)
    assert peaks.tobytes() == kept.tobytes()
