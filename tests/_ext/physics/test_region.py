"""The one rule for poles, omega ranges, boxes and masks, exactly at its limits and against plain numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from midas._ext.physics.region import VERDICTS, AcceptedRegion

RANGES = np.array([[-90.0, 30.0], [50.0, 70.0]])
BOXES = np.array([[-100.0, 100.0, -200.0, 200.0], [5.0, 15.0, 15.0, 25.0]])
ANYWHERE = np.array([[-180.0, 180.0]]), np.array([[-1e9, 1e9, -1e9, 1e9]])
NAMES = {code: name for name, code in VERDICTS.items()}


def verdict(region: AcceptedRegion, omega: float = 0, eta: float = 45, y: float = 10, z: float = 20) -> str:
    (code,) = region.verdicts(*(np.array([value], np.float64) for value in (omega, eta, y, z)))
    return NAMES[code]


def below(value: float) -> float:
    return float(np.nextafter(value, -np.inf))


@pytest.mark.parametrize(
    ("spot", "expected"),
    [
        ({}, "accepted"),
        # Poles: just the excluded angle away is enough.
        *(({"eta": eta}, "accepted") for eta in (6, -6, 174, -174, 90)),
        *(({"eta": eta}, "outside eta") for eta in (below(6), -below(6), 0, 180, -180, 174.0000001, float("nan"))),
        # Omega: the lower limit belongs to the range, the upper one does not.
        *(({"omega": omega}, "accepted") for omega in (-90, below(30), 50, below(70))),
        *(({"omega": omega}, "outside omega") for omega in (below(-90), 30, 40, below(50), 70)),
        ({"omega": float("nan")}, "no omega"),
        # Boxes, each with its own range.
        *(({"y": y}, "accepted") for y in (-100, below(100))),
        *(({"y": y}, "outside box") for y in (below(-100), 100)),
        *(({"z": z}, "accepted") for z in (-200, below(200))),
        *(({"z": z}, "outside box") for z in (below(-200), 200)),
        ({"omega": 60, "y": 5, "z": 15}, "accepted"),
        ({"omega": 60, "y": 15}, "outside box"),
        ({"omega": 60, "y": -50}, "outside box"),
        # The first reason counts.
        ({"eta": 0, "omega": 40}, "outside eta"),
    ],
)
def test_limits_are_closed_below_and_open_above(spot: dict[str, float], expected: str) -> None:
    assert verdict(AcceptedRegion(min_eta=6.0, ranges=RANGES, boxes=BOXES), **spot) == expected


@pytest.mark.parametrize("high", [-60.0, 0.0, 60.0, 179.5])
def test_closed_above_adds_the_upper_limits_of_the_ranges_and_no_more(high: float) -> None:
    """The first frame of a scan that turns backwards has exactly the upper limit of its range."""
    ranges, boxes = np.array([[-90.0, high]]), np.array([[0.0, 100.0, 0.0, 100.0]])
    open_above, closed = (
        AcceptedRegion(min_eta=6.0, ranges=ranges, boxes=boxes, closed_above=flag) for flag in (False, True)
    )
    above = float(np.nextafter(high, np.inf))
    assert [verdict(open_above, omega=omega) for omega in (-90, high, above)] == ["accepted", *2 * ["outside omega"]]
    assert [verdict(closed, omega=omega) for omega in (-90, high, above)] == [*2 * ["accepted"], "outside omega"]
    assert verdict(closed, omega=below(-90)) == "outside omega"
    assert verdict(closed, omega=high, y=100) == verdict(closed, omega=high, z=100) == "outside box"
    assert ranges[0, 1] == high, "the caller's array stays"


def test_ranges_that_touch_share_no_spot_and_lose_none() -> None:
    boxes = np.repeat(ANYWHERE[1], 2, axis=0)
    together = AcceptedRegion(min_eta=0.0, ranges=np.array([[-10.0, 5.0], [5.0, 10.0]]), boxes=boxes)
    assert verdict(together, omega=5.0) == "accepted"
    halves = [AcceptedRegion(min_eta=0.0, ranges=np.array([r]), boxes=boxes[:1]) for r in ([-10.0, 5.0], [5.0, 10.0])]
    assert [verdict(half, omega=5.0) for half in halves] == ["outside omega", "accepted"]


@pytest.mark.parametrize("limits", [(-180.0, 180.0), (0.0, 360.0), (-200.0, 200.0), (-np.inf, np.inf)])
@pytest.mark.parametrize("omega", [-180.0, -90.0, 0.0, 180.0])
def test_a_full_turn_has_no_ends(limits: tuple[float, float], omega: float) -> None:
    region = AcceptedRegion(min_eta=0.0, ranges=np.array([limits]), boxes=ANYWHERE[1])
    assert verdict(region, omega=omega) == "accepted"


@pytest.mark.parametrize("limits", [(90.0, 270.0), (-270.0, -90.0), (450.0, 630.0)])
@pytest.mark.parametrize(("omega", "inside"), [(90, 1), (180, 1), (-180, 1), (-90.5, 1), (269.5, 1), (-90, 0), (89, 0)])
def test_omega_is_an_angle(limits: tuple[float, float], omega: float, inside: int) -> None:
    region = AcceptedRegion(min_eta=0.0, ranges=np.array([limits]), boxes=ANYWHERE[1])
    expected = "accepted" if inside else "outside omega"
    for turn in (-720, 0, 360):
        assert verdict(region, omega=omega + turn) == expected
    closed = AcceptedRegion(min_eta=0.0, ranges=np.array([limits]), boxes=ANYWHERE[1], closed_above=True)
    assert [verdict(closed, omega=end) for end in (-90.0, 270.0, -89.9)] == ["accepted", "accepted", "outside omega"]


def test_a_range_that_ends_at_the_seam_holds_both_names_of_it() -> None:
    below_seam, above_seam = (
        AcceptedRegion(min_eta=0.0, ranges=np.array([limits]), boxes=ANYWHERE[1])
        for limits in ((90.0, 180.0), (180.0, 270.0))
    )
    assert [verdict(below_seam, omega=omega) for omega in (180.0, -180.0)] == ["outside omega"] * 2
    assert [verdict(above_seam, omega=omega) for omega in (180.0, -180.0)] == ["accepted"] * 2


def test_overlapping_ranges_need_one_box_only() -> None:
    ranges = np.array([[-10.0, 10.0], [-10.0, 10.0]])
    boxes = np.array([[0.0, 1.0, 0.0, 1.0], [0.0, 100.0, 0.0, 100.0]])
    assert verdict(AcceptedRegion(min_eta=6.0, ranges=ranges, boxes=boxes)) == "accepted"


def masked(live: NDArray[np.bool_], px: float = 200.0) -> AcceptedRegion:
    words = np.packbits(live.ravel(), bitorder="little").view("<i4").copy()
    ranges, boxes = ANYWHERE
    return AcceptedRegion(min_eta=0.0, ranges=ranges, boxes=boxes, mask=words, mask_side=len(live), px=px)


@pytest.mark.parametrize("column", [31, 32])
@pytest.mark.parametrize("row", [31, 32])
def test_a_pixel_of_the_mask_reaches_to_the_next_whole_number_in_all_quadrants(column: int, row: int) -> None:
    live = np.zeros((64, 64), bool)
    live[row, column] = True
    region, low_y, low_z = masked(live), (column - 32) * 200.0, (row - 32) * 200.0
    for y, inside_y in ((low_y, True), (low_y + 199.9, True), (low_y - 0.1, False), (low_y + 200, False)):
        for z, inside_z in ((low_z, True), (low_z + 199.9, True), (low_z - 0.1, False), (low_z + 200, False)):
            expected = "accepted" if inside_y and inside_z else "on dead pixel"
            assert verdict(region, y=y, z=z) == expected, (y, z)


@pytest.mark.parametrize(("y", "z"), [(6400.0, 0.0), (-6400.1, 0.0), (0.0, 6400.0), (0.0, -6400.1), (1e8, 0.0)])
def test_beside_the_mask_nothing_is_seen(y: float, z: float) -> None:
    assert verdict(masked(np.ones((64, 64), bool)), y=y, z=z) == "on dead pixel"


#: exact in binary, so that turning by 360 does not round
numbers = st.integers(-3200, 3200).map(lambda eighth: eighth / 8)


@settings(max_examples=60, deadline=None)
@given(
    min_eta=st.floats(0, 40),
    rows=st.lists(st.tuples(*[numbers] * 6), min_size=1, max_size=3),
    seed=st.integers(0, 2**16),
)
def test_against_plain_numpy(min_eta: float, rows: list[tuple[float, ...]], seed: int) -> None:
    random = np.random.default_rng(seed)
    limits = np.array(rows)
    omega, eta, y, z = random.uniform(-180, 180, (2, 40)).tolist() + random.uniform(-400, 400, (2, 40)).tolist()
    low, high = [0, 1, 0, 1, 0, 1], [2, 3, 3, 2, 2, 3]
    omega[:6], y[:6], z[:6] = limits[0][low], limits[0][high], limits[0][[4, 5, 4, 5, 5, 4]]
    spots = [np.array(values) for values in (omega, eta, y, z)]
    ranges, boxes = np.ascontiguousarray(limits[:, :2]), np.ascontiguousarray(limits[:, 2:])
    found = AcceptedRegion(min_eta=min_eta, ranges=ranges, boxes=boxes).verdicts(*spots, threads=2)
    assert (found == VERDICTS["accepted"]).tolist() == accepted(min_eta, limits, *spots).tolist()


def accepted(min_eta: float, limits: NDArray, omega: NDArray, eta: NDArray, y: NDArray, z: NDArray) -> Any:
    turns = omega + 360 * np.arange(-4, 5)[:, None]
    inside = [
        (((b - a) >= 360) | ((a <= turns) & (turns < b)).any(axis=0)) & (c <= y) & (y < d) & (e <= z) & (z < f)
        for a, b, c, d, e, f in limits
    ]
    return np.any(inside, axis=0) & (np.minimum(np.abs(eta), 180 - np.abs(eta)) >= min_eta)


def test_threads_do_not_matter() -> None:
    random = np.random.default_rng(3)
    spots = [*random.uniform(-180, 180, (2, 5000)), *random.uniform(-300, 300, (2, 5000))]
    region = AcceptedRegion(min_eta=6.0, ranges=RANGES, boxes=BOXES)
    assert region.verdicts(*spots, threads=1).tobytes() == region.verdicts(*spots, threads=3).tobytes()


@pytest.mark.parametrize(
    "changes",
    [
        {"boxes": np.zeros((1, 4))},
        {"ranges": np.zeros((0, 2)), "boxes": np.zeros((0, 4))},
        {"ranges": np.zeros((2, 3))},
        {"mask": np.zeros(2, "<i4"), "mask_side": 100},
        {"mask": np.zeros(2, "<i4")},
    ],
)
def test_arrays_that_do_not_fit_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"range|mask"):
        AcceptedRegion(**{"min_eta": 6.0, "ranges": RANGES, "boxes": BOXES, **changes})
    with pytest.raises(ValueError, match="every spot"):
        AcceptedRegion(min_eta=6.0, ranges=RANGES, boxes=BOXES).verdicts(*[np.zeros(2)] * 3, np.zeros(3))
