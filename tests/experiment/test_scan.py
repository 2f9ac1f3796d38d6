"""The omegas that a scan covers."""

from __future__ import annotations

import numpy as np
import pytest

from midas.experiment.scan import covered_ranges, measured_ranges


def frames(start: float, step: float, count: int) -> np.ndarray:
    return start + step * np.arange(count)


@pytest.mark.parametrize(
    ("start", "step", "count", "expected"),
    [
        (-60, 0.5, 240, ((-60, 60),)),
        (60, -0.5, 240, ((-60, 60),)),
        (180, -0.25, 1440, ((-180, 180),)),
        (0, 0.25, 1440, ((-180, 180),)),
        (0, 1, 400, ((-180, 180),)),
        (0, 1, 359, ((-180, -1), (0, 180))),
        (90, 1, 180, ((-180, -90), (90, 180))),
        (-270, 1, 180, ((-180, -90), (90, 180))),
        (0, 1, 180, ((0, 180),)),
        (-180, 1, 180, ((-180, 0),)),
        (30, 0.1, 1, ((30, 30.1),)),
        (0.1, 0.1, 3, ((0.1, 0.4),)),
        (0, 0, 5, ((-180, 180),)),
    ],
)
def test_start_step_and_count(start: float, step: float, count: int, expected: tuple[tuple[float, float], ...]) -> None:
    assert covered_ranges(frames(start, step, count), step) == expected


def test_separate_wedges_in_any_order() -> None:
    wedges = [frames(40, 0.5, 60), frames(-70, 0.5, 60), frames(170, 0.5, 40)]
    expected = ((-180, -170), (-70, -40), (40, 70), (170, 180))
    assert covered_ranges(np.concatenate(wedges), 0.5) == expected
    assert covered_ranges(np.concatenate(wedges)[::-1], 0.5) == expected
    assert covered_ranges(np.concatenate(wedges), 0.0) == expected  # the step is the usual difference


def test_a_scan_back_and_forth_counts_once() -> None:
    there = frames(-20, 1, 40)
    assert covered_ranges(np.concatenate([there, there[::-1]]), 1.0) == ((-20, 20),)


def test_measured_angles_may_jitter() -> None:
    generator = np.random.default_rng(3)
    omegas = frames(-30, 0.25, 240) + generator.uniform(-0.02, 0.02, 240)
    ((low, high),) = covered_ranges(omegas, 0.25)
    assert (low, high) == pytest.approx((-30, 30), abs=0.03)
    assert covered_ranges(frames(-180, 0.25, 1440) + generator.uniform(-0.02, 0.02, 1440), 0.25) == ((-180, 180),)


def test_a_missing_frame_is_a_gap() -> None:
    omegas = np.delete(frames(0, 1, 20), 7)
    assert covered_ranges(omegas, 1.0) == ((0, 7), (8, 20))


def test_against_a_count_of_angles() -> None:
    """Each angle is in a range just when a frame covers it."""
    generator = np.random.default_rng(5)
    for _ in range(40):
        step = generator.choice([-1, 1]) * generator.choice([0.5, 1.0, 3.0])
        starts = generator.integers(-360, 360, 3) / 2
        omegas = np.concatenate([frames(start, step, int(generator.integers(1, 90))) for start in starts])
        ranges = covered_ranges(omegas, step)
        assert all(-180 <= low < high <= 180 for low, high in ranges)
        probes = np.arange(-180, 180, 0.25) + 0.125
        low = np.minimum(omegas, omegas + step)
        covered = ((probes[:, None] - low) % 360 < abs(step)).any(axis=1)
        found = np.array([any(a <= probe < b for a, b in ranges) for probe in probes])
        gaps = covered != found  # only gaps below half a step are closed
        assert not (covered & ~found).any()
        assert gaps.sum() * 0.25 <= 0.5 * abs(step) * len(starts) * 2


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([(-180, 180)], ()),
        ([(-30, 30)], ((-30, 30),)),
        ([(-100, -60), (60, 100)], ((-100, -60), (60, 100))),
        ([(150, 180), (-180, -150)], ((-180, -150), (150, 180))),
        ([(0, 170), (-175, -5)], ()),  # the gaps are narrow
    ],
)
def test_omegas_that_a_table_of_spots_covers(
    parts: list[tuple[float, float]], expected: tuple[tuple[float, float], ...]
) -> None:
    random = np.random.default_rng(1)
    found = measured_ranges(np.concatenate([random.uniform(low, high, 300) for low, high in parts]))
    np.testing.assert_allclose(np.array(found), np.array(expected), atol=1.0)
