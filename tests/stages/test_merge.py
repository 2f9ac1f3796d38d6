"""Peak merging against docs/theory/merge.md#worked-example and a brute-force reference."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from midas.formats.layer import Layer
from midas.formats.merged import MERGE_FLAGS, MERGE_MAP, RESULT
from midas.formats.peaks import LAYOUT
from midas.formats.table import Table
from midas.stages import merge

from .searched_layer import (
    EXAMPLE,
    EXAMPLE_RESULT,
    Frame,
    block,
    frame_table,
    in_memory,
    links,
    make_archive,
    parameters,
    peak,
    pixel_lists,
    write_scan,
)

# The worked example and its variations


@pytest.mark.parametrize("from_files", [True, False])
def test_worked_example_by_distance(from_files: bool, tmp_path: Path) -> None:
    layer = write_scan(tmp_path, EXAMPLE)
    result = merge.run(layer, parameters(), threads=1, peaks=None if from_files else in_memory(EXAMPLE))
    assert layer.merged(3).read_text() == RESULT.header + EXAMPLE_RESULT
    assert links(result) == [[(1, 2)], [(2, 2), (1, 4)], [(2, 1), (1, 1)], [(3, 1), (2, 3)]]
    lines = ["1\t1\t2", "2\t2\t2", "2\t1\t4", "3\t2\t1", "3\t1\t1", "4\t3\t1", "4\t2\t3"]
    assert layer.merge_map.read_text().splitlines() == ["%MergedSpotID\tFrameNr\tPeakID", *lines]
    assert result.summary == {"frames": 3, "peaks": 7, "merged spots": 4}


@pytest.mark.parametrize("from_files", [True, False])
def test_worked_example_by_pixels(from_files: bool, tmp_path: Path) -> None:
    layer = write_scan(tmp_path, EXAMPLE)
    peaks = None if from_files else in_memory(EXAMPLE)
    result = merge.run(layer, parameters(UsePixelOverlap=1), threads=1, peaks=peaks)
    assert links(result) == [[(1, 2)], [(2, 3), (1, 4)], [(2, 1), (1, 1)], [(3, 1), (2, 2)]]


def test_any_flag_but_zero_means_pixels(tmp_path: Path) -> None:
    layer = Layer(tmp_path, make_archive(tmp_path, 3))
    result = merge.run(layer, parameters(UsePixelOverlap=2), threads=1, peaks=in_memory(EXAMPLE))
    assert links(result)[1] == [(2, 3), (1, 4)]


def test_frames_without_peaks(tmp_path: Path) -> None:
    one = [peak(1, 100, 10, 10, 50)]
    layer = write_scan(tmp_path, [[], one, [], one, one, []])
    assert links(merge.run(layer, parameters(), threads=2)) == [[(2, 1)], [(5, 1), (4, 1)]]
    assert links(merge.run(layer, parameters(UsePixelOverlap=1), threads=2)) == [[(2, 1)], [(5, 1), (4, 1)]]


@pytest.mark.parametrize("values", [{}, {"UsePixelOverlap": 1}])
def test_no_peaks_at_all(values: dict[str, int], tmp_path: Path) -> None:
    weak = [peak(1, 0.999, 10, 10, 50)]
    layer = write_scan(tmp_path, [weak, [], weak])
    result = merge.run(layer, parameters(**values), threads=2)
    assert layer.merged(3).read_text() == RESULT.header + "\n"
    assert layer.merge_map.read_text() == MERGE_MAP.header + "\n"
    assert [len(table) for table in result.data] == [0, 0]


def test_one_frame_gives_each_spot_once(tmp_path: Path) -> None:
    layer = write_scan(tmp_path, EXAMPLE[:1])
    assert links(merge.run(layer, parameters(), threads=1)) == [[(1, 4)], [(1, 2)], [(1, 1)]]


def test_skipped_frames_do_not_count(tmp_path: Path) -> None:
    layer = write_scan(tmp_path, EXAMPLE, skipped=2)
    result = merge.run(layer, parameters(SkipFrame=2), threads=1)
    assert layer.merged(3).read_text() == RESULT.header + EXAMPLE_RESULT
    assert result.summary["frames"] == 3


def test_limit_is_exclusive(tmp_path: Path) -> None:
    two = [[peak(1, 100, 10, 10, 0)], [peak(1, 100, 12, 10, 0)]]
    layer = Layer(tmp_path, make_archive(tmp_path, 2))
    run = [merge.run(layer, parameters(OverlapLength=d), threads=1, peaks=in_memory(two)) for d in (2, 2.0001, 0)]
    assert [len(links(result)) for result in run] == [2, 1, 2]


def test_nothing_merges_with_length_zero(tmp_path: Path) -> None:
    same = [[peak(1, 100, 10, 10, 0)]] * 2
    layer = Layer(tmp_path, make_archive(tmp_path, 2))
    result = merge.run(layer, parameters(OverlapLength=0), threads=1, peaks=in_memory(same))
    assert links(result) == [[(1, 1)], [(2, 1)]]


def test_first_of_two_equally_near_peaks(tmp_path: Path) -> None:
    frames = [[peak(1, 100, 10, 10, 0)], [peak(1, 10, 11, 10, 5), peak(2, 10, 9, 10, -5)]]
    layer = Layer(tmp_path, make_archive(tmp_path, 2))
    result = merge.run(layer, parameters(), threads=1, peaks=in_memory(frames))
    assert [(2, 2), (1, 1)] in links(result)  # lower eta stands first


def test_eta_within_a_thousandth_keeps_the_order_of_the_file(tmp_path: Path) -> None:
    frames = [[peak(1, 10, 10, 10, 20.0009), peak(2, 10, 30, 30, 20.0), peak(3, 10, 50, 50, 19.9985)]]
    layer = Layer(tmp_path, make_archive(tmp_path, 1))
    result = merge.run(layer, parameters(), threads=1, peaks=in_memory(frames))
    assert links(result) == [[(1, 3)], [(1, 1)], [(1, 2)]]


@pytest.mark.parametrize("step", [0.25, -0.25])
def test_angles_that_go_on_behind_the_seam(step: float, tmp_path: Path) -> None:
    """A spot on both sides of ±180 has its mean there, whichever way the angles of the archive name the seam."""
    frames: list[Frame] = [[peak(1, intensity, 10, 10, 50)] for intensity in (100, 200, 100)]
    layer = Layer(tmp_path, make_archive(tmp_path, 3))

    def spot(omegas: list[float]) -> tuple[float, ...]:
        peaks = [(frame_table(f, omega), pixel_lists([block(10, 10)])) for f, omega in zip(frames, omegas, strict=True)]
        table, _ = merge.run(layer, parameters(), threads=1, peaks=peaks).data
        assert len(table) == 1
        return tuple(float(table[name][0]) for name in ("omega_recorded", "min_omega", "max_omega"))

    through = [180 - step, 180.0, 180 + step]
    assert spot(through) == (180.0, 179.75, 180.25)
    broken = spot([(omega + 180) % 360 - 180 for omega in through])
    assert (broken[0] % 360, broken[2] - broken[1]) == (180.0, 0.5)


def test_maximum_positions(tmp_path: Path) -> None:
    frames = [
        [peak(1, 100, 10, 10, 0, max_y=20, max_z=21)],
        [peak(1, 300, 30, 30, 0, max_y=21, max_z=21)],
        [peak(1, 300, 30, 30, 0, max_y=40, max_z=21)],
    ]
    layer = Layer(tmp_path, make_archive(tmp_path, 3))
    spots, _ = (result := merge.run(layer, parameters(UseMaximaPositions=1), threads=1, peaks=in_memory(frames))).data
    assert links(result) == [[(2, 1), (1, 1)], [(3, 1)]]
    assert spots["y_recorded"].tolist() == [20.75, 40]
    assert spots["radius"].tolist() == [31, 31]


def test_regions_with_shared_pixels(tmp_path: Path) -> None:
    """Peaks of one region have the same pixels: the one painted last owns them, one peak of the next frame follows."""
    region = [*block(20, 20), *block(20, 22)]
    both = [peak(1, 100, 20, 20, 10, region=region), peak(2, 100, 20, 22, 30, region=region)]
    layer = Layer(tmp_path, make_archive(tmp_path, 2))
    result = merge.run(layer, parameters(UsePixelOverlap=1), threads=1, peaks=in_memory([both, both]))
    assert links(result) == [[(1, 1)], [(2, 1), (1, 2)], [(2, 2)]]


def test_non_square_detector_in_pixel_mode(tmp_path: Path) -> None:
    frames = [[peak(1, 100, 90, 10, 0)], [peak(1, 100, 91, 10, 0)]]
    layer = Layer(tmp_path, make_archive(tmp_path, 2, shape=(40, 100)))
    result = merge.run(layer, parameters(UsePixelOverlap=1), threads=1, peaks=in_memory(frames))
    assert links(result) == [[(2, 1), (1, 1)]]


def test_more_than_64_labels_under_a_peak(tmp_path: Path) -> None:
    small = [peak(i + 1, 10, 10 + i // 10, 10 + i % 10, i, region=[(10 + i // 10, 10 + i % 10)]) for i in range(70)]
    small.append(peak(71, 10, 40, 40, 100, region=[(20, y) for y in range(8)]))
    last = peak(1, 10, 1, 1, 0, region=[pixel for p in small for pixel in p["region"]])
    layer = Layer(tmp_path, make_archive(tmp_path, 2))
    result = merge.run(layer, parameters(UsePixelOverlap=1), threads=1, peaks=in_memory([small, [last]]))
    assert [(2, 1), (1, 71)] in links(result)


def test_impossible_peaks_are_left_out_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    good = peak(1, 100, 10, 10, 50)
    bad = [
        good | {"peak_id": 2 + i, name: math.nan}
        for i, name in enumerate(["intensity", "y_recorded", "z_recorded", "eta"])
    ]
    layer = Layer(tmp_path, make_archive(tmp_path, 2))
    tables = [(frame_table(frame, 10), pixel_lists([[]] * len(frame))) for frame in ([*bad, good], [good, *bad])]
    result = merge.run(layer, parameters(), threads=1, peaks=tables)
    assert links(result) == [[(2, 1), (1, 1)]]
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert warnings[0].startswith("8 peaks")


def test_no_limit_on_peaks_per_frame(tmp_path: Path) -> None:
    count = 200_010
    columns = {name: np.zeros(count) for name in LAYOUT.names}
    columns |= {
        "peak_id": np.arange(1, count + 1),
        "intensity": np.full(count, 10.0),
        "y_recorded": np.arange(count) * 5.0,
    }
    table = Table.from_columns(LAYOUT.names, columns)
    layer = Layer(tmp_path, make_archive(tmp_path, 2))
    result = merge.run(layer, parameters(), threads=2, peaks=[(table, pixel_lists([]))] * 2)
    assert result.summary["merged spots"] == count
    assert np.array_equal(result.data[1]["peak_id"][::2], np.arange(1, count + 1))


# A slow and simple reference


def reference_order(table: Table) -> list[int]:
    """Rows in the order of eta, without the weak ones."""

    def sort(rows: list[int]) -> list[int]:
        if len(rows) < 2:
            return rows
        left, right = sort(rows[: len(rows) // 2]), sort(rows[len(rows) // 2 :])
        out = []
        while left and right:
            a, b = float(table["eta"][left[0]]), float(table["eta"][right[0]])
            out.append((left if math.trunc(1000.0 * a - 1000.0 * b) <= 0 else right).pop(0))
        return out + left + right

    return [row for row in sort(list(range(len(table)))) if table["intensity"][row] >= 1]


def reference_distance_match(chains: list[Table], new: list[Table], limit: float) -> dict[int, int]:
    def distance(i: int, j: int) -> float:
        return math.sqrt(
            (new[j]["y_recorded"] - chains[i]["y_recorded"]) ** 2
            + (new[j]["z_recorded"] - chains[i]["z_recorded"]) ** 2
        )

    matched: dict[int, int] = {}
    for i in range(len(chains)):
        free = [(distance(i, j), j) for j in range(len(new)) if j not in matched.values() and distance(i, j) < limit]
        if free:
            d, j = min(free)
            rivals = [k for k in range(len(chains)) if k != i and k not in matched and distance(k, j) < d]
            if not rivals:
                matched[i] = j
    return matched


def reference_pixel_match(chains: list, new: list) -> dict[int, int]:
    owner = {pixel: i for i, chain in enumerate(chains) for pixel in chain["region"]}
    best: dict[int, tuple[int, int]] = {}
    for j, item in enumerate(new):
        counts: dict[int, int] = {}
        label, most = -1, 0
        for pixel in item["region"]:
            if pixel in owner:
                i = owner[pixel]
                counts[i] = counts.get(i, 0) + 1
                if counts[i] > most:
                    label, most = i, counts[i]
        if most and most > best.get(label, (0, 0))[0]:
            best[label] = (most, j)
    return {i: j for i, (_, j) in best.items()}


def reference_links(frames: list[Frame], match: Callable[[list, list], dict[int, int]]) -> list[list[tuple[int, int]]]:
    """Chains with the peaks of each, newest first, in the order of emission."""
    spots: list[list[tuple[int, int]]] = []
    chains: list[tuple[dict, list[tuple[int, int]]]] = []
    for number, frame in enumerate(frames, 1):
        table = frame_table(frame, 0)
        rounded = [
            frame[row] | {name: float(table[name][row]) for name in ("y_recorded", "z_recorded")}
            for row in reference_order(table)
        ]
        found = match([last for last, _ in chains], rounded)
        spots += [members for i, (_, members) in enumerate(chains) if i not in found]
        continued = [
            (rounded[found[i]], [(number, rounded[found[i]]["peak_id"]), *chains[i][1]])
            for i in range(len(chains))
            if i in found
        ]
        opened = [(p, [(number, p["peak_id"])]) for j, p in enumerate(rounded) if j not in found.values()]
        chains = continued + opened
    return spots + [members for _, members in chains]


def crowded(seed: int, frames: int, count: int, size: int = 64) -> list[Frame]:
    """Frames in which most peaks have several neighbours, near ties in eta, and some are weak."""
    rng = np.random.default_rng(seed)
    scan = []
    for _ in range(frames):
        n = int(rng.integers(0, count))
        y, z = (rng.integers(8, 4 * size - 8, n) / 4 for _ in "yz")  # a grid of quarter pixels: many equal distances
        eta = np.round(rng.uniform(-0.02, 0.02, n), 4)
        intensity = rng.choice([0.5, 1.0, 7.3, 1234.567891], n)
        scan.append([
            peak(i + 1, *values, region=rng.permutation(block(values[1], values[2]))[:7].tolist())
            for i, values in enumerate(zip(intensity, y, z, eta, strict=True))
        ])  # fmt: skip
        for p in scan[-1]:
            p["region"] = [tuple(pixel) for pixel in p["region"]]
        for p in scan[-1][::7]:
            p["region"] = scan[-1][0]["region"]  # regions of several peaks
    return scan


@pytest.mark.parametrize("limit", [0.6, 2.0, 7.5, 200.0])
@pytest.mark.parametrize("seed", range(4))
def test_crowded_frames_by_distance(seed: int, limit: float, tmp_path: Path) -> None:
    frames = crowded(seed, 6, 60)
    layer = Layer(tmp_path, make_archive(tmp_path, 6))
    result = merge.run(layer, parameters(OverlapLength=limit, ChainValley=0), threads=2, peaks=in_memory(frames))
    expected = reference_links(frames, lambda chains, new: reference_distance_match(chains, new, limit))
    assert links(result) == expected
    assert any(len(spot) > 1 for spot in expected)


@pytest.mark.parametrize("seed", range(8))
def test_crowded_frames_by_pixels(seed: int, tmp_path: Path) -> None:
    frames = crowded(seed, 6, 120)
    layer = Layer(tmp_path, make_archive(tmp_path, 6))
    result = merge.run(layer, parameters(UsePixelOverlap=1, ChainValley=0), threads=2, peaks=in_memory(frames))
    expected = reference_links(frames, reference_pixel_match)
    assert links(result) == expected
    assert any(len(spot) > 1 for spot in expected)


@pytest.mark.parametrize("values", [{}, {"UsePixelOverlap": 1}])
def test_threads_do_not_matter(values: dict[str, int], tmp_path: Path) -> None:
    frames = crowded(9, 30, 100)
    layer = write_scan(tmp_path, frames)
    contents = set()
    for threads in (1, 2, 3):
        merge.run(layer, parameters(**values), threads=threads)
        contents.add((layer.merged(30).read_bytes(), layer.merge_map.read_bytes()))
    assert len(contents) == 1


# Saturated peaks
def _flags(layer: Layer) -> list[list[int]]:
    return MERGE_FLAGS.read(layer.merge_flags).columns.T.astype(int).tolist() if layer.merge_flags.exists() else []


def test_a_spot_with_a_saturated_peak_is_flagged(tmp_path: Path) -> None:
    full = {"return_code": 8, "region_peaks": 1}
    frames = [
        [peak(1, 100, 10, 10, 50), peak(2, 100, 40, 10, 60)],
        [peak(1, 900, 10.5, 10, 50, **full), peak(2, 90, 40, 11, 60)],
        [peak(1, 800, 10.5, 10.5, 50, **full, sigma_r=0.0)],
    ]
    layer = write_scan(tmp_path, frames)
    for peaks in (None, in_memory(frames)):
        result = merge.run(layer, parameters(), threads=1, peaks=peaks)
        assert links(result) == [[(2, 2), (1, 2)], [(3, 1), (2, 1), (1, 1)]]
        assert _flags(layer) == [[2, 3, 2, 1]]
        assert result.summary["saturated"] == 1
    merge.run(write_again(layer, EXAMPLE), parameters(), threads=1)
    assert not layer.merge_flags.exists()


def write_again(layer: Layer, frames: list[Frame]) -> Layer:
    for number, (table, _) in enumerate(in_memory(frames), 1):
        LAYOUT.write(layer.peaks(number), table)
    return layer


def test_tails_beside_a_saturated_peak_are_no_spots(tmp_path: Path) -> None:
    """They are farther away than OverlapLength, and within the region: a disc of the same number of pixels."""
    full = {"return_code": 8, "region_peaks": 1, "region_pixels": 100}
    frames = [
        [peak(1, 50, 13, 10, 50), peak(2, 70, 40, 13, 60), peak(3, 80, 20, 40, 70)],
        [peak(1, 900, 10, 10, 50, **full), peak(2, 900, 40, 10, 60, **full), peak(3, 900, 20, 46, 70, **full)],
        [peak(1, 60, 10, 11, 50), peak(2, 40, 12, 13, 51), peak(3, 500, 43, 11, 61), peak(4, 80, 20, 50, 70)],
        [peak(1, 600, 43, 11, 61), peak(2, 10, 20, 50, 70)],
    ]
    layer = write_scan(tmp_path, frames)
    result = merge.run(layer, parameters(), threads=1)
    assert links(result) == [
        [(1, 3)],  # too far away
        [(2, 2), (1, 2)],  # joined
        [(3, 1), (2, 1), (1, 1)],  # joined; of two tails in the next frame one was linked, the other is dropped
        [(4, 1), (3, 3)],  # brighter elsewhere: another spot
        [(4, 2), (3, 4), (2, 3)],  # joined with both of its peaks
    ]
    assert [row[0] for row in _flags(layer)] == [2, 3, 5]
    assert RESULT.read(layer.merged(4)).integers("spot_id").tolist() == [1, 2, 3, 4, 5]
