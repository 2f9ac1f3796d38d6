"""What the peak search does to an image: transformation, dark, flood, mask, windows, rings, panels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from midas.formats.peaks import LAYOUT
from midas.runtime.errors import FormatError, ParameterError
from midas.runtime.result import StageResult

from .small_scan import Scan, band, expected_regions, found_regions, selected, spots, turned


# Options
@pytest.mark.parametrize("operations", [(), (1,), (2,), (3,), (1, 3), (3, 1), (2, 3), (1, 2, 3), (0,), (-1,)])
@pytest.mark.parametrize("shape", [(64, 64), (40, 64), (64, 40)])
def test_image_transformations_and_shapes(small_scan: Callable[..., Scan], shape: tuple[int, int], operations: tuple):
    frames = spots((3, *shape), seed=3)
    text = "".join(f"ImTransOpt {operation}\n" for operation in operations)
    result = small_scan(frames, text).run(fit=0)
    for frame in range(3):
        image = selected(turned(frames[frame], operations), band(64))
        assert found_regions(result, frame) == expected_regions(image)
        single = small_scan(frames[frame : frame + 1], text).run(fit=0)
        columns = [name for name in LAYOUT.names if name != "omega_recorded"]
        for name in columns:
            assert single.data[0][0][name].tolist() == result.data[frame][0][name].tolist()
        assert read_pixels_of(single, 0) == read_pixels_of(result, frame)
        maxima = result.data[frame][0]
        picked = image[maxima.integers("max_y"), maxima.integers("max_z")]
        assert picked.tolist() == maxima["raw_i_max"].tolist()
    assert sum(len(table) for table, _ in result.data) > 3


def read_pixels_of(result: StageResult, frame: int) -> list[list[int]]:
    pixels = result.data[frame][1]
    return [pixels.offsets.tolist(), pixels.y.tolist(), pixels.z.tolist()]


@pytest.mark.parametrize("operations", [(), (1, 3), (2,)])
def test_dark_flood_and_mask_turn_with_the_image(small_scan: Callable[..., Scan], operations: tuple):
    generator = np.random.default_rng(2)
    frames = spots((4, 64, 40), seed=4)
    dark = generator.integers(0, 30, (3, 64, 40)).astype("u2")
    dark[0] = 60000  # belongs to the skipped frame
    flood = generator.uniform(0.5, 2.0, (64, 40))
    flood[::7, ::5] = 0
    mask = (generator.random((1, 64, 40)) < 0.01).astype("u2") * 255
    text = "SkipFrame 1\nReferenceRingCurrent 1.25\n" + "".join(f"ImTransOpt {o}\n" for o in operations)
    square = np.zeros((1, 64, 64))
    square[0, :, :40] = flood
    one = small_scan(frames, text, dark=dark, flood=square, mask=mask)
    result = one.run(fit=0)
    assert len(result.data) == 3
    bad = turned((flood == 0) | (mask[0] != 0), operations) > 0
    around = np.pad(bad, 1)
    beside = np.logical_or.reduce([around[1 + y : 65 + y, 1 + z : 65 + z] for y in (-1, 0, 1) for z in (-1, 0, 1)])
    dropped = kept_regions = 0
    for frame in range(3):
        divisor = np.where(flood == 0, 1, flood)
        corrected = (frames[frame + 1] - dark[1:].mean(axis=0)) / divisor * 1.25
        regions = expected_regions(np.where(bad, 0, selected(turned(corrected, operations), band(64))))
        kept = [region for region in regions if not any(beside[pixel] for pixel in region)]
        dropped += len(regions) - len(kept)
        kept_regions += len(kept)
        assert found_regions(result, frame) == kept
        assert set(result.data[frame][0]["omega_recorded"]) <= {-90 + 0.5 * frame}
    assert dropped > 0 and kept_regions > 0
    raw_flood = small_scan(frames, text, dark=dark, flood=flood[None].astype("f4"), mask=mask).run(fit=0)
    assert [len(t) for t, _ in raw_flood.data] == [len(t) for t, _ in result.data]


@pytest.mark.parametrize("dtype", ["u2", "i4", "f4"])
def test_what_stands_under_the_mask_does_not_matter(small_scan: Callable[..., Scan], dtype: str):
    frames = spots(dtype=dtype)
    mask = np.random.default_rng(5).random((1, 64, 64)) < 0.003
    mask[:, :, 33] = True
    found = []
    for count in (None, 0, 90, 65535 if dtype == "u2" else -2, 1):
        written = frames if count is None else np.where(mask, np.array(count, dtype), frames)
        result = small_scan(written, mask=mask.astype("u2")).run(fit=0)
        found.append([(t.columns.tolist(), read_pixels_of(result, n)) for n, (t, _) in enumerate(result.data)])
    assert found[1:] == [found[0]] * 4
    without = small_scan(frames).run(fit=0)
    assert 0 < sum(len(t) for t, _ in result.data) < sum(len(t) for t, _ in without.data)


def test_without_a_dark_left_nothing_is_subtracted(small_scan: Callable[..., Scan]):
    frames = spots()
    plain = small_scan(frames, "SkipFrame 1").run(fit=0)
    skipped = small_scan(frames, "SkipFrame 1", dark=np.full((1, 64, 64), 500, "u2")).run(fit=0)
    assert [t.columns.tolist() for t, _ in plain.data] == [t.columns.tolist() for t, _ in skipped.data]


def test_bad_and_gap_values_count_as_zero(small_scan: Callable[..., Scan]):
    frames = spots(dtype="i4")
    bad = np.random.default_rng(3).random(frames.shape) < 0.02
    frames[bad] = -2
    gap = np.zeros_like(bad)
    gap[:, :, 40] = True
    frames[gap] = 65535
    result = small_scan(frames, "BadPxIntensity -2\nGapIntensity 65535\nUpperBoundThreshold 60000").run(fit=0)
    for frame in range(3):
        image = np.where(bad[frame] | gap[frame], 0, frames[frame])
        assert found_regions(result, frame) == expected_regions(selected(turned(image, ()), band(64)))
    without = small_scan(frames, "BadPxIntensity -2\nUpperBoundThreshold 60000").run(fit=0)
    assert any(found_regions(without, frame) != found_regions(result, frame) for frame in range(3))


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "i1", "i2", "i4", "f4", "f8"])
def test_every_pixel_type(small_scan: Callable[..., Scan], dtype: str):
    frames = np.minimum(spots(), 120)
    expected = small_scan(frames).run().data
    if dtype[0] == "f":
        frames = frames.astype(dtype)
        frames[frames < 3] = np.nan
    found = small_scan(frames.astype(dtype)).run().data
    assert [t.columns.tolist() for t, _ in found] == [t.columns.tolist() for t, _ in expected]
    assert sum(len(t) for t, _ in found) > 3


def test_window_saturation_and_number_of_maxima(small_scan: Callable[..., Scan]):
    frame = np.zeros((1, 64, 64), "u2")
    frame[0, 10, 30:35] = [50, 20, 60, 20, 50]  # five pixels with three maxima, on ring 1
    frame[0, 50, 31:33] = [99, 20]
    result = small_scan(frame, "MinNrPx 1\nMaxNrPx 6\nUpperBoundThreshold 99").run()
    assert [t["region_pixels"].tolist() for t, _ in result.data] == [[5, 5, 5, 2]]
    legacy = "UpperBoundThreshold 98\nLegacyDigits 1"
    for text, left in {"MinNrPx 2": 3, "MaxNrPx 5": 1, legacy: 3, "RingThresh 1 21": 0}.items():
        (table, _), *_ = small_scan(frame, text).run().data
        assert len(table) == left, text
    for fit in (0, 1):
        (table, _), *_ = small_scan(frame, "UpperBoundThreshold 98").run(fit=fit).data
        assert (table["return_code"] == 8).tolist() == (table["raw_i_max"] == 98).tolist()
        assert (table["raw_i_max"] == 98).sum() == 1
    (table, pixels), *_ = small_scan(frame, "MaxNPeaks 2").run().data
    assert table["raw_i_max"].tolist()[:2] == [60, 50]
    assert table["region_peaks"].tolist() == [2, 2, 1]
    (full, _), *_ = small_scan(frame).run().data
    first_fifty = full["max_y"][full["raw_i_max"] == 50][0]
    assert table["max_y"][1] == first_fifty
    assert pixels.offsets.tolist() == [0, 5, 10, 12]
    (centroids, lists), *_ = small_scan(frame).run(fit=0).data
    assert centroids["raw_i_max"].tolist() == [full["raw_i_max"][0], 99]
    assert lists.offsets.tolist() == [0, 5, 7]


def test_a_ring_that_is_lit_up_is_not_a_peak_for_each_of_its_pixels(small_scan: Callable[..., Scan]):
    """Nor its end a region to drop: the scale of the detector is known from the frames."""
    image = np.zeros((1, 64, 64), "u2")
    z, y = np.mgrid[:64, :64] - np.array([30.5, 32.0])[:, None, None]
    image[0, np.abs(np.hypot(y, z) - 20) < 2] = 60
    image[0, 10:13, 31:34] += 100
    lit, legacy = (small_scan(image, text).run(fit=0, force=True) for text in ("", "LegacyDigits 1"))
    assert [len(result.data[0][0]) for result in (lit, legacy)] == [1, 1]
    (table, _), *_ = small_scan(image, "").run(force=True).data
    assert len(table) == 1
    (table, _), *_ = small_scan(image, "LegacyDigits 1\nMaxNPeaks 9").run(force=True).data
    assert len(table) == 9


def test_rings_that_overlap_are_off_or_unknown(small_scan: Callable[..., Scan], caplog: pytest.LogCaptureFixture):
    frames = spots(seed=8)
    image = turned(frames[0], ())
    both = small_scan(frames, "RingThresh 2 60").run(fit=0)
    thresholds = band(64)
    outer = band(64, [27.0])
    thresholds[outer > 0] = 60
    assert found_regions(both, 0) == expected_regions(selected(image, thresholds))
    off = small_scan(frames, "RingThresh 2 0").run(fit=0)
    thresholds[outer > 0] = 0
    assert found_regions(off, 0) == expected_regions(selected(image, thresholds))
    twice = small_scan(frames, "RingThresh 1 70").run(fit=0)
    assert found_regions(twice, 0) == expected_regions(selected(image, band(64, threshold=70)))
    unknown = small_scan(frames, "RingThresh 9 30").run(fit=0)
    assert found_regions(unknown, 0) == expected_regions(selected(image, band(64)))
    assert "ring 9 is not" in caplog.text


def test_full_image_needs_no_rings(small_scan: Callable[..., Scan]):
    frames = spots(seed=9)
    result = small_scan(frames, "DoFullImage 1").run(fit=0, hkls=None)
    for frame in range(3):
        image = selected(turned(frames[frame], ()), np.full((64, 64), 20))
        assert found_regions(result, frame) == expected_regions(image)
    corners = np.zeros((1, 64, 64), "u2")
    corners[0, 0, 62:] = corners[0, 1, :2] = corners[0, 63, :2] = corners[0, 62:, 63] = 50
    assert found_regions(small_scan(corners, "DoFullImage 1").run(fit=0), 0) == [
        frozenset({(0, 1), (1, 1)}), frozenset({(0, 63), (1, 63)}), frozenset({(62, 0), (63, 0)}),
        frozenset({(63, 62), (63, 63)}),
    ]  # fmt: skip


def test_more_regions_and_larger_ones_than_the_legacy_limits(small_scan: Callable[..., Scan]):
    frame = np.zeros((1, 512, 512), "u2")
    frame[0, ::3, ::3] = frame[0, ::3, 1::3] = 40
    result = small_scan(frame, "DoFullImage 1").run(fit=0, threads=2)
    assert len(result.data[0][0]) == 171 * 171
    frame[0] = 0
    frame[0, :100, :100] = np.arange(10000).reshape(100, 100) % 997 + 20
    (table, pixels), *_ = small_scan(frame, "DoFullImage 1\nMaxNrPx 20000").run(fit=0).data
    assert table["pixels"].tolist() == [10000]
    assert len(set(zip(pixels.y.tolist(), pixels.z.tolist(), strict=True))) == 10000


def test_omega_of_each_frame(small_scan: Callable[..., Scan]):
    centres = np.array([3.0, -7.25, 11.5])
    result = small_scan(spots(), "SkipFrame 1", omegas=centres).run(fit=0)
    assert [set(table["omega_recorded"]) for table, _ in result.data] == [{-7.25}, {11.5}]


def test_a_spot_below_the_beam_centre_has_no_cut(small_scan: Callable[..., Scan]):
    z, y = np.mgrid[:64, :64]
    frame = np.rint(500 * np.exp(-0.5 * ((y - 31.8) ** 2 + (z - 10.4) ** 2) / 1.2)).astype("u2")[None]
    for fit in (0, 1):
        (table, _), *_ = small_scan(frame).run(fit=fit).data
        assert table["y_recorded"].tolist() == pytest.approx([31.8], abs=0.05)
        assert table["z_recorded"].tolist() == pytest.approx([10.4], abs=0.05)
        assert table["return_code"][0] in ([0] if fit == 0 else [3, 4])
        assert -180 < table["eta"][0] <= 180


def test_panels_shift_their_pixels(small_scan: Callable[..., Scan], tmp_path: Path):
    frames = spots(seed=6)
    shifts = tmp_path / "shifts.txt"
    shifts.write_text("# panel dY dZ\n\n0 0.5 -0.25\n9 1 1\n")
    panels = f"NPanelsY 2\nNPanelsZ 1\nPanelSizeY 30\nPanelSizeZ 64\nPanelGapsY 4\nPanelShiftsFile {shifts}"
    for fit in (0, 1):
        plain, moved = (small_scan(frames, text).run(fit=fit).data[0][0] for text in ("", panels))
        on_first, off = plain["max_y"] < 27, plain["max_y"] > 37
        assert on_first.any()
        assert off.any()
        if fit == 0:  # a fitted centre stays within a pixel of the maximum, which does not move
            assert (moved["y_recorded"] - plain["y_recorded"])[on_first] == pytest.approx(0.5, abs=0.02)
            assert (moved["z_recorded"] - plain["z_recorded"])[on_first] == pytest.approx(-0.25, abs=0.02)
        assert (moved["y_recorded"] != plain["y_recorded"])[on_first].all()
        assert (moved.columns[:, off] == plain.columns[:, off]).all()
    for missing, key in (("PanelSizeY 30", "PanelSizeY"), ("PanelGapsY 4", "PanelGapsY")):
        with pytest.raises(ParameterError, match=key):
            small_scan(frames, panels.replace(missing, "")).run()
    with pytest.raises(FormatError, match="elsewhere"):
        small_scan(frames, panels.replace(str(shifts), "elsewhere")).run()
