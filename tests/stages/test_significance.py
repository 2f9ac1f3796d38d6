"""Maxima that are noise on the flank of a higher one."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from peak_regions import pixels_of, regions_of
from scipy.ndimage import label, maximum_filter

from midas._ext.peaks.frame_regions import Regions
from midas.stages.significance import significant

Array = np.ndarray


def regions_of_images(*images: Array) -> Regions:
    """Each image as a region with all of its pixels above 0 and all of its local maxima."""
    regions = []
    for image in images:
        beside = maximum_filter(image, size=3, mode="constant")
        regions.append((pixels_of(image, 1e-9), np.flatnonzero((image == beside)[image > 0]).tolist()))
    return regions_of(*regions)


def heights(regions: Regions) -> list[list[float]]:
    """Of the maxima of each region."""
    found = regions.counts[np.repeat(regions.offsets[:-1], np.diff(regions.maxima_offsets)) + regions.maxima]
    return [part.tolist() for part in np.split(found, regions.maxima_offsets[1:-1])]


def test_a_saddle_decides() -> None:
    """100 over 64 is 36 of sqrt(164) = 12.8: 2.8 standard deviations."""
    line = np.array([[400.0, 200.0, 64.0, 80.0, 100.0, 10.0]])
    flat = np.array([[50.0, 10.0, 50.0]])
    regions = regions_of_images(line, flat)
    assert heights(significant(regions, 2.8)) == [[400.0, 100.0], [50.0, 50.0]]
    assert heights(significant(regions, 2.9)) == [[400.0], [50.0, 50.0]]
    assert heights(significant(regions, 6.0)) == [[400.0], [50.0]]
    assert significant(regions, 0.0) is regions


def test_the_way_around_counts() -> None:
    """The lowest pixel of the best way, not of the straight one."""
    ring = np.array([[90.0, 85.0, 80.0], [86.0, 1.0, 84.0], [88.0, 87.0, 95.0]])
    (found,) = heights(significant(regions_of_images(ring), 1.0))
    assert found == [95.0]


def test_noise_on_a_broad_spot_is_one_peak() -> None:
    random = np.random.default_rng(3)
    y, z = np.indices((40, 40))
    images = [
        random.poisson(10 + 2000 * np.exp(-0.5 * ((y - 19.6) ** 2 + (z - 20.3) ** 2) / 25)).astype(float)
        for _ in range(10)
    ]
    parts = [label(image > 30, np.ones((3, 3)))[0] for image in images]
    regions = regions_of_images(*(image * (part == part[20, 20]) for image, part in zip(images, parts, strict=True)))
    assert len(regions.maxima) >= 20
    assert len(significant(regions, 2.0).maxima) == 10


def by_hand(image: Array, sigmas: float) -> int:
    """How many maxima stay: each is compared with the best way to a higher one, found by trying every level."""
    tops = regions_of_images(image)
    places = np.column_stack([tops.y, tops.z])[tops.maxima]
    kept = 0
    for place in places:
        height = image[tuple(place)]
        levels = [
            level for level in np.unique(image[image > 0])
            if (parts := label(image >= level, np.ones((3, 3)))[0])[tuple(place)]
            and image[parts == parts[tuple(place)]].max() > height
        ]  # fmt: skip
        saddle = max(levels, default=-np.inf)
        kept += height - saddle > sigmas * np.sqrt(height + max(saddle, 0))
    return kept


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.5, 4.0))
def test_as_a_search_by_hand(seed: int, sigmas: float) -> None:
    """Without equal values, where which of two equal tops stays is a matter of order."""
    random = np.random.default_rng(seed)
    image = 50.0 + random.permutation(64).reshape(8, 8) * 2.0
    assert len(significant(regions_of_images(image), sigmas).maxima) == by_hand(image, sigmas)


def test_at_the_corner_of_the_largest_frame() -> None:
    regions = regions_of_images(np.array([[5.0, 1.0, 7.0]]), np.array([[3.0]]))
    moved = regions._replace(y=(regions.y + 32766).astype(np.int16), z=(regions.z + 32764).astype(np.int16))
    assert heights(significant(moved, 1.0)) == [[5.0, 7.0], [3.0]]
    assert heights(significant(moved, 2.0)) == [[7.0], [3.0]]
