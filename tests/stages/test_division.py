"""Regions with too many peaks for one fit: which are divided, and what becomes of their peaks and pixels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from peak_regions import regions_of

from midas._ext.peaks.divide import nearest_peaks
from midas._ext.peaks.fit import solve_regions
from midas._ext.peaks.frame_regions import concatenate_regions
from midas.parameters import Parameters
from midas.stages.division import Division, divided, restore_sizes

from .sized_peaks import warnings
from .small_scan import Scan, band

NO_PANELS = np.empty((0, 8))


def row_of_spots(count: int) -> tuple[np.ndarray, list[int]]:
    """Spots that touch, as the pixels and maxima of one region."""
    y, z = (g.ravel() for g in np.meshgrid(np.arange(-6, 8 * count), np.arange(-6, 7), indexing="ij"))
    counts = sum(3000 * np.exp(-0.5 * ((y - 8 * i - 0.2) ** 2 + z**2) / 1.5) for i in range(count))
    pixels = np.stack([y + 1300, z + 1180, np.rint(counts)], axis=1)[counts >= 10]
    return pixels, [int(np.flatnonzero((pixels[:, :2] == (1300 + 8 * i, 1180)).all(1))[0]) for i in range(count)]


def block(side: int, peaks: int) -> tuple[np.ndarray, list[int]]:
    """A region of which only the numbers count."""
    y, z = (g.ravel() for g in np.indices((side, side)))
    return np.stack([y, z, y * 0 + 50], axis=1), list(range(peaks))


def test_pixels_go_to_the_nearest_peak_the_first_among_equals() -> None:
    generator = np.random.default_rng(5)
    both = []
    for pixels, peaks in ((900, 1), (1200, 40), (700, 300)):
        places = generator.permutation(60 * 60)[:pixels]
        region = np.stack([places // 60, places % 60, places * 0 + 20], axis=1)
        both.append((region, generator.permutation(pixels)[:peaks].tolist()))
    regions = regions_of(*both)
    owner = nearest_peaks(regions, np.array([1, 1, 1], np.uint8))
    first = 0
    for (region, maxima), begin in zip(both, regions.offsets[:-1], strict=True):
        squared = ((region[:, None, :2] - region[maxima][None, :, :2]) ** 2).sum(2)
        assert np.array_equal(owner[begin : begin + len(region)], first + squared.argmin(1))
        first += len(maxima)
    assert np.array_equal(nearest_peaks(regions, np.zeros(3, np.uint8)), np.repeat([0, 1, 41], [900, 1200, 700]))
    with pytest.raises(ValueError, match="2 marks for 3 regions"):
        nearest_peaks(regions, np.zeros(2, np.uint8))


@pytest.mark.parametrize("method", ["nm", "lm"])
def test_dividing_before_the_fit_is_the_same_as_within_it(method: str) -> None:
    """The kernel divides a region that is too dear by itself."""
    single, many = row_of_spots(1), row_of_spots(60)
    regions = regions_of(single, many, single)
    alone = solve_regions(regions, 1022.0, 1022.0, NO_PANELS, method=method)
    shares = divided(regions, np.array([False, True, False]), np.zeros(3, bool))
    assert len(shares.thresholds) == 62
    rows = solve_regions(shares, 1022.0, 1022.0, NO_PANELS, method=method)
    assert not np.array_equal(rows, alone)  # they know the share alone
    restore_sizes(rows, shares)
    assert np.array_equal(rows, alone)


def test_several_frames_in_a_row_one_of_them_divided() -> None:
    whole, shares = regions_of(row_of_spots(1)), regions_of(row_of_spots(3))
    shares = divided(shares, np.array([True]), np.array([True]))
    joined = concatenate_regions([whole, shares, whole])
    assert joined.centred.tolist() == [0, 1, 1, 1, 0]
    assert joined.of_peaks.tolist() == [0, 3, 3, 3, 0]
    rows = solve_regions(joined, 1022.0, 1022.0, NO_PANELS)
    restore_sizes(rows, joined)
    assert (rows["sigma_r"] == 0).tolist() == [False, True, True, True, False]
    assert rows["region_peaks"].tolist() == [1, 3, 3, 3, 1]
    assert rows["raw_sum"][1:4].sum() == shares.counts.sum()
    two_maxima = regions_of(row_of_spots(2))._replace(centred=np.array([1], np.uint8))
    with pytest.raises(ValueError, match="one maximum"):
        solve_regions(two_maxima, 1022.0, 1022.0, NO_PANELS)


@pytest.mark.parametrize(
    ("regions", "text", "crowded", "shares", "centroids"),
    [
        ([block(40, 12)], "", False, 1, 0),
        ([block(40, 12)], "MaxPeaksPerFit 11", False, 12, 0),
        ([block(40, 12)], "MaxPeaksPerFit 11\nLegacyDigits 1", False, 1, 0),
        ([block(40, 12)], "MaxPeaksPerFit 11\ndoPeakFit 0", False, 1, 0),
        # A joint fit may cost 40000; that of Nelder-Mead is dearer.
        ([block(60, 12)], "", False, 1, 0),
        ([block(60, 12)], "PeakFitMethod nm", False, 12, 0),
        ([block(80, 12)], "", False, 12, 0),
        # Each of them may, but not all of a frame together.
        ([block(50, 12)] * 3 + [block(30, 1)], "", False, 37, 0),
        ([block(44, 12), block(44, 12), block(30, 1)], "PeakFitMethod nm", False, 25, 0),
        # Not even one peak is worth more pixels than this.
        ([block(200, 1)], "", False, 1, 0),
        ([block(201, 1)], "", False, 1, 1),
        ([block(201, 5)], "", False, 5, 5),
        # No sets of peaks, in a crowded frame: too few pixels, or too many maxima.
        ([block(2, 1), block(3, 1), block(3, 2), block(40, 101), block(40, 12)], "", False, 105, 0),
        ([block(2, 1), block(3, 1), block(3, 2), block(40, 101), block(40, 12)], "", True, 106, 104),
        # On a crowded frame not even one by one, if they are too many.
        ([block(5, 1)] * 975, "", True, 975, 0),
        ([block(5, 1)] * 976, "", True, 976, 976),
        ([block(5, 1)] * 976, "", False, 976, 0),
    ],
)
def test_which_regions_are_divided(
    regions: list[tuple[np.ndarray, list[int]]],
    text: str,
    crowded: bool,
    shares: int,
    centroids: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = Parameters.parse(text + "\n", "ps.txt").for_stage("peaks")
    division = Division(settings, 0)
    given = regions_of(*regions)
    found = division.of(3, given, crowded)
    assert len(found.thresholds) == shares
    assert (0 if found.centred is None else found.centred.sum()) == centroids
    assert sorted(zip(found.y, found.z, strict=True)) == sorted(zip(given.y, given.z, strict=True))
    division.warn(range(3))
    assert not warnings(caplog)
    division.warn(range(10))
    assert ("of frame 4, has " in warnings(caplog)) == (found is not given)


def lit(frames: int = 2) -> np.ndarray:
    """A ring lit from end to end, with noise on top, and a spot in a frame of its own."""
    y, z = np.indices((64, 64))
    on_ring = np.abs(np.hypot(y - 32, z - 30.5) - 20) < 4
    images = np.random.default_rng(8).normal(1000, 30, (frames, 64, 64)) * on_ring.T
    images[-1] = 500 * np.exp(-0.5 * ((y - 32) ** 2 + (z - 50.4) ** 2) / 1.4).T
    return images.astype("u2")


@pytest.mark.parametrize("method", ["nm", "lm"])
def test_a_lit_ring(small_scan: Callable[..., Scan], caplog: pytest.LogCaptureFixture, method: str) -> None:
    """Its peaks are centroids of their own pixels; the frame with the spot is fitted as ever."""
    scan = small_scan(lit(), f"PeakFitMethod {method}\n")
    (peaks, pixels), (spot, _) = scan.run().data
    files = scan.files()
    assert len(peaks) > 48
    assert set(peaks.integers("region_peaks").tolist()) == {len(peaks)}
    assert set(peaks.integers("return_code").tolist()) == {0}
    assert peaks.integers("pixels").tolist() == np.diff(pixels.offsets).tolist()
    assert len(set(zip(pixels.y.tolist(), pixels.z.tolist(), strict=True))) == len(pixels.y)
    assert len(pixels.y) == int((lit()[0].T * (band(64) > 0) > 0).sum()) == peaks.integers("region_pixels")[0]
    assert np.abs(peaks["diff_y"]).max() < 4
    assert (len(spot), spot["sigma_r"][0] > 0.5) == (1, True)
    said = warnings(caplog)
    assert "1 of 2 frames are crowded" in said
    assert "1 regions on 1 frames are no single fits: 0 have their peaks fitted one by one" in said
    assert f"of frame 1, has {len(peaks)} maxima and {len(pixels.y)} pixels" in said
    scan.run(2)
    assert scan.files() == files
    without = scan.run(keep_pixels=False)
    assert [pixels for _, pixels in without.data] == [None, None]
    assert without.data[0][0].columns.tolist() == peaks.columns.tolist()


@pytest.mark.parametrize(("value", "codes"), [(500, {3, 4, 5}), (1000, {8}), (65535, {8})])
def test_all_pixels_equal_are_one_peak(small_scan: Callable[..., Scan], value: int, codes: set[int]) -> None:
    """From a thousand on so many equal largest values are the end of the scale."""
    ((peaks, _),) = small_scan(np.full((1, 64, 64), value, "u2"), "DoFullImage 1\n").run().data
    assert peaks.integers("region_pixels").tolist() == [4096]
    assert peaks.integers("return_code")[0] in codes
