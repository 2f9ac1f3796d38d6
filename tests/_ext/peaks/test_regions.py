"""Scan and labelling against docs/theory/peaks.md#connected-regions, written literally pixel by pixel."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from midas._ext.peaks.frame_regions import Regions, concatenate_regions
from midas._ext.peaks.regions import FrameScanner
from midas.stages.peak_selection import Selection

NEIGHBOURS = [(1, 0), (0, 1), (-1, 0), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)]


def scanner_of(thresholds: np.ndarray, dtype: str = "f8", **options: Any) -> FrameScanner:
    """A scanner of frames that are indexed [y, z] like the thresholds, without dark and flood unless they are given.

    By the rules of the legacy program for plateaus and saturation, unless said otherwise.
    """
    size = len(thresholds)
    positions = np.flatnonzero(thresholds.ravel() > 0)
    starts = np.flatnonzero(np.diff(positions, prepend=-2) != 1)
    k = len(positions)
    dark = np.asarray(options.pop("dark", np.zeros((size, size)))).ravel()[positions]
    flood = np.asarray(options.pop("flood", np.ones((size, size)))).ravel()[positions]
    masked = np.asarray(options.pop("masked", np.zeros((size, size), bool))).ravel()[positions]
    lowest = options.pop("lowest", -np.inf if np.dtype(dtype).kind == "f" else np.iinfo(dtype).min)
    runs = positions[starts], np.diff(starts, append=len(positions))
    limits = np.full(k, lowest, dtype)
    selection = Selection(size, *runs, positions, limits, thresholds.ravel()[positions], dark, flood, masked)
    return FrameScanner(selection, options.pop("blanks", []), **{"legacy": True, **options})


def scan(image: np.ndarray, threshold: float = 1.0, **options: Any) -> Regions:
    """The regions of one square image with the same threshold everywhere."""
    return scanner_of(np.full(image.shape, threshold), image.dtype.str[1:], **options).scan(image.ravel())


def components_of(image: np.ndarray) -> list[list[tuple[int, int]]]:
    size = len(image)
    labelled: set[tuple[int, int]] = set()
    components = []
    for seed in zip(*np.nonzero(image), strict=True):
        if seed in labelled:
            continue
        pixels, stack = [], [seed]
        while stack:
            a, b = stack.pop()
            if (a, b) in labelled:
                continue
            labelled.add((a, b))
            pixels.append((int(a), int(b)))
            for da, db in NEIGHBOURS:
                n = a + da, b + db
                if 0 <= n[0] < size and 0 <= n[1] < size and image[n] != 0 and n not in labelled:
                    stack.append(n)
        components.append(pixels)
    return components


def maxima_of(image: np.ndarray, pixels: list[tuple[int, int]], most: int) -> list[int]:
    padded = np.pad(image, 1)
    found = [i for i, (a, b) in enumerate(pixels) if padded[a : a + 3, b : b + 3].max() <= image[a, b]]
    if len(found) > most:
        found = sorted(found, key=lambda i: -image[pixels[i]])[:most]
    return found


def assert_same(regions: Regions, image: np.ndarray, thresholds: np.ndarray, masked: np.ndarray, options: dict) -> None:
    components = components_of(image)
    assert regions.components == len(components)
    window = [c for c in components if options["min_pixels"] < len(c) < options["max_pixels"]]
    assert regions.in_window == len(window)
    kept = [c for c in window if max(image[p] for p in c) <= options["saturation"] and not any(masked[p] for p in c)]
    assert len(regions.thresholds) == len(kept)
    for r, pixels in enumerate(kept):
        own = slice(regions.offsets[r], regions.offsets[r + 1])
        assert list(zip(regions.y[own].tolist(), regions.z[own].tolist(), strict=True)) == pixels
        assert regions.counts[own].tolist() == [image[p] for p in pixels]
        assert regions.thresholds[r] == thresholds[pixels[0]]
        peaks = regions.maxima[regions.maxima_offsets[r] : regions.maxima_offsets[r + 1]]
        assert peaks.tolist() == maxima_of(image, pixels, options["max_peaks"])


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.integers(1, 12),
    dtype=st.sampled_from("u1 u2 u4 i1 i2 i4 f4 f8".split()),
    highest=st.integers(2, 9),
    most=st.integers(1, 4),
    smallest=st.integers(0, 2),
)
def test_equals_the_literal_algorithm(seed: int, size: int, dtype: str, highest: int, most: int, smallest: int):
    random = np.random.default_rng(seed)
    shape = (size, size)
    thresholds = random.choice([0.0, 1.0, 2.5, 3.0], shape)
    dark, flood = random.choice([0.0, 0.5], shape), random.choice([1.0, 0.75], shape)
    masked = random.random(shape) < 0.03
    options = {"min_pixels": smallest, "max_pixels": 30, "max_peaks": most, "saturation": 8.0}
    scanner = scanner_of(thresholds, dtype, dark=dark, flood=flood, masked=masked, blanks=[2.0], current=1.1, **options)
    for _ in range(3):  # the work space is used again without clearing
        raw = random.integers(0, highest + 1, shape).astype(dtype)
        image = ((np.where(raw == 2, 0, raw).astype(float) - dark) / flood) * 1.1
        image[(image < thresholds) | (thresholds == 0)] = 0
        assert_same(scanner.scan(raw.ravel()), image, thresholds, masked, options)


def test_every_pixel_of_a_plateau_is_a_maximum_and_ties_keep_list_order():
    image = np.zeros((8, 8))
    image[2, 2:7] = [5, 5, 1, 7, 5]
    image[3, 2] = 5
    regions = scan(image)
    assert list(zip(regions.y.tolist(), regions.z.tolist(), strict=True)) == components_of(image)[0]
    values = regions.counts[regions.maxima]
    assert sorted(values) == [5, 5, 5, 7]
    cut = scan(image, max_peaks=3)
    assert cut.counts[cut.maxima].tolist() == [7, 5, 5]
    first_two = [i for i in regions.maxima if regions.counts[i] == 5][:2]
    assert cut.maxima.tolist()[1:] == first_two
    assert scan(image, max_peaks=4).maxima.tolist() == regions.maxima.tolist()


def test_a_plateau_is_one_maximum_at_its_middle():
    image = np.zeros((16, 16))
    image[2, 2:7] = [5, 5, 1, 7, 5]
    image[3, 2] = 5
    image[8, 1:10] = [3, 4, 4, 4, 4, 4, 3, 6, 6]
    image[12:15, 1:4] = 2
    image[12, 4] = 3  # so that the plateau beside it is no maximum
    regions = scan(image, legacy=False)
    places = list(zip(regions.y[regions_of(regions)].tolist(), regions.z[regions_of(regions)].tolist(), strict=True))
    assert sorted(places) == [(2, 2), (2, 5), (8, 4), (8, 8), (12, 4)]
    random = np.random.default_rng(3)
    for _ in range(40):
        image = random.integers(0, 4, (9, 9)).astype(float)
        regions = scan(image, legacy=False)
        tops = 0
        for r, pixels in enumerate(c for c in components_of(image) if len(c) > 1):
            tops += len(components_of_tops(image, pixels))
            assert np.diff(regions.maxima_offsets)[r] == len(components_of_tops(image, pixels))
        assert len(regions.maxima) == len(set(regions_of(regions).tolist())) == tops


def regions_of(regions: Regions) -> np.ndarray:
    """The maxima as places in the pixels of all regions."""
    return regions.maxima + np.repeat(regions.offsets[:-1], np.diff(regions.maxima_offsets))


def components_of_tops(image: np.ndarray, pixels: list[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    """The plateaus of a region that nothing beside them is above."""
    padded = np.pad(image, 1)
    found = []
    for value in {image[p] for p in pixels}:
        level = np.zeros_like(image)
        for p in pixels:
            level[p] = image[p] == value
        for plateau in components_of(level):
            if all(padded[a : a + 3, b : b + 3].max() <= value for a, b in plateau):
                found.append(plateau)
    return found


@pytest.mark.parametrize(
    ("top", "dtype", "full"),
    [(65535, "u2", 3), (16383, "u2", 3), (16384, "u2", 0), (4095, "f4", 3), (1048575, "i4", 3), (255, "u1", 3)],
)
def test_the_frames_tell_the_end_of_the_scale(top: int, dtype: str, full: int):
    """One maximum, although the darks make three values of it."""
    image = np.zeros((9, 9), dtype)
    image[3:6, 2:7] = top // 2
    image[4, 3:6] = top
    dark = np.zeros((9, 9))
    dark[4, 3:6] = [0, 20, 10]
    regions = scan(image, 2.0, legacy=False, dark=dark)
    assert int(regions.full.sum()) == full
    assert len(regions.maxima) == (1 if full else 2)
    if full:
        assert (regions.y[regions.maxima[0]], regions.z[regions.maxima[0]]) == (4, 4)
        assert regions.counts.max() == top


def test_equal_largest_values_are_an_end_of_the_scale_too():
    image = np.zeros((9, 9), np.uint16)
    image[3:6, 2:7] = 900
    image[4, 2:7] = 1717
    assert scan(image, legacy=False).full.sum() == 5
    image[4, 2] = 1716
    assert not scan(image, legacy=False).full.any()
    image[4, 2:7] = 950  # so few counts are equal by chance
    assert not scan(image, legacy=False).full.any()
    image[4, 2:7] = 1717
    regions = scan(image, legacy=False, saturation=1000.0)
    assert regions.full.sum() == 5
    assert regions.counts.max() == 1000
    assert not scan(image, legacy=False, saturation=1717.0).full.any()
    assert len(scan(image, saturation=1000.0).thresholds) == 0


def test_a_mark_in_place_of_a_value_counts_as_the_largest_of_the_others():
    image = np.zeros((9, 9), np.uint32)
    image[3:6, 2:7] = 900
    image[4, 3:6] = 2**32 - 1
    regions = scan(image, legacy=False)
    assert regions.full.sum() == 3
    assert set(regions.counts.tolist()) == {900}
    image[image == 900] = 0  # a gap
    assert len(scan(image, legacy=False).thresholds) == 0


def test_strictness_of_window_saturation_and_threshold():
    image = np.zeros((10, 10))
    image[1, 1:4] = 4
    assert len(scan(image, 4.0, min_pixels=2, max_pixels=4, saturation=4.0).thresholds) == 1
    assert len(scan(image, 4.0, min_pixels=3, max_pixels=4).thresholds) == 0
    assert len(scan(image, 4.0, min_pixels=2, max_pixels=3).thresholds) == 0
    assert len(scan(image, 4.0, saturation=3.99).thresholds) == 0
    assert scan(image, 4.01).components == 0


def test_regions_do_not_wrap_around_the_edges():
    image = np.zeros((6, 6))
    image[2, 5] = image[3, 0] = image[0, 0] = image[5, 5] = 3
    assert scan(image).components == 4


def test_blanks_and_nan_count_as_zero():
    image = np.full((5, 5), 9.0)
    image[2] = np.nan
    image[:, 2] = -1
    image[0, 0] = -2
    regions = scan(image, blanks=[-1, -2])
    assert regions.components == 4
    assert len(regions.counts) == 15
    dark = np.full((5, 5), -50.0)  # then even a zero passes
    assert len(scan(image, 40.0, blanks=[-1, -2], dark=dark).counts) == 25


def test_many_regions_and_a_huge_one():
    image = np.zeros((256, 256), np.uint16)
    image[::2, ::2] = 7
    assert scan(image, min_pixels=0).components == 128 * 128
    assert len(scan(image, min_pixels=0).thresholds) == 128 * 128
    image[...] = 7
    regions = scan(image, max_pixels=10**6)
    assert regions.offsets.tolist() == [0, 65536]
    assert len(set(zip(regions.y.tolist(), regions.z.tolist(), strict=True))) == 65536


def test_stamps_start_again_before_they_overflow():
    image = np.zeros((16, 16))
    image[3:6, 3:6] = 5
    image[10, 10:12] = 6
    scanner = scanner_of(np.ones((16, 16)))
    expected = scanner.scan(image.ravel())
    scanner.base = 2**32 - 15
    for _ in range(3):
        regions = scanner.scan(image.ravel())
        for name in ("y", "z", "counts", "offsets", "maxima", "maxima_offsets"):
            assert getattr(regions, name).tolist() == getattr(expected, name).tolist()
    assert scanner.base < 100


def test_limits_only_save_work():
    random = np.random.default_rng(4)
    image = random.integers(0, 200, (64, 64)).astype(np.uint16)
    assert scan(image, 150.0, lowest=149).y.tolist() == scan(image, 150.0).y.tolist()
    assert scan(image, 150.0, lowest=201).components == 0


def test_concatenation_numbers_on():
    image = np.zeros((8, 8))
    image[1, 1:3] = [4, 5]
    one = scan(image)
    image[5, 5:8] = [6, 5, 6]
    two = scan(image)
    both = concatenate_regions([one, scan(np.zeros((8, 8))), two])
    assert both.components == 3
    assert both.offsets.tolist() == [0, 2, 4, 7]
    assert both.maxima_offsets.tolist() == [0, 1, 2, 4]
    assert both.counts.tolist() == [*one.counts, *two.counts]


def test_nothing_selected_and_bad_input():
    empty = scanner_of(np.zeros((4, 4)), "u2")
    assert empty.scan(np.ones(16, np.uint16)).components == 0
    scanner = scanner_of(np.ones((4, 4)), "u2")
    with pytest.raises(ValueError, match="needs 16 pixels"):
        scanner.scan(np.ones(15, np.uint16))
    with pytest.raises(ValueError, match="mismatch"):
        scanner.scan(np.ones(16, np.float32))
    one = np.ones(1)
    good = Selection(4, np.array([0]), np.array([1]), np.array([3]), one, one, one, one, np.zeros(1, bool))
    assert FrameScanner(good, []).scan(np.full(1, 2.0)).components == 1
    bad = {"size": 40000, "starts": [-1], "lengths": [2], "positions": [16], "limits": np.ones(2), "dark": np.ones(2)}
    for name, value in [
        *bad.items(),
        ("starts", [0, 0]),
        ("positions", [-1]),
        ("thresholds", [1, 1]),
        ("flood", []),
        ("masked", [0, 0]),
    ]:
        with pytest.raises(ValueError, match="do not fit"):
            FrameScanner(replace(good, **{name: value}), [])
    with pytest.raises(ValueError, match="do not fit"):
        FrameScanner(good, [], max_peaks=0)


def test_what_is_no_set_of_peaks():
    """Specks, regions beyond the window, mountains of narrow tops; not the flat top of a saturated peak."""
    image = np.zeros((64, 64))
    image[2:11, 2:11] = 9.0 - np.abs(np.arange(-4, 5))[:, None]
    image[4:9, 4:9] = 20.0  # 25 equal maxima

    def judged(**options: Any) -> tuple[int, int]:
        regions = scan(image, **options)
        return regions.unresolved, regions.cut

    assert judged() == judged(legacy=False) == (0, 0)
    image[20, 20] = image[20, 30:34] = 5.0
    assert judged() == judged(legacy=False) == (5, 0)
    assert judged(max_pixels=81) == (86, 0)
    image[40:62, 2:62] = 5.0
    image[40:62:2, 2:62:2] = 6.0
    assert judged() == judged(legacy=False) == (5 + 22 * 60, 0)
    assert judged(max_peaks=300) == (5 + 22 * 60, 1)
    assert judged(max_peaks=300, saturation=5.5) == (5 + 22 * 60, 1)
    image = np.where(image == 6.0, 6.0, 0.0)
    assert judged(max_peaks=1) == (330, 0)
