"""Binning kernel against a brute-force table (docs/theory/binning.md#checks-on-a-result)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from midas._ext.binning import WINDOW, bin_count, fill_bins, spot_windows
from midas.formats.bins import RECORD

RADIUS = 80_000.0


def table(windows: NDArray, bins: tuple[int, int], *, part: int = 0, threads: int = 2) -> tuple[NDArray, NDArray]:
    """Records and entries of one ring, made in parts of so many eta rows."""
    part = part or bins[0]
    rows = np.arange(len(windows), dtype=np.int32)
    records = np.full(bins, -1, RECORD)
    entries: list[NDArray] = []
    offset = 0
    for begin in range(0, bins[0], part):
        found = fill_bins(rows, windows, begin, bins[0], offset, records[begin : begin + part], threads)
        offset += len(found)
        entries.append(found)
    return records, np.concatenate(entries)


def members(records: NDArray, entries: NDArray, rows: int) -> NDArray[np.int64]:
    """How often each row stands in each bin; (eta bins, omega bins, rows)."""
    counts = records["count"].ravel()
    times = np.zeros((counts.size, rows), np.int64)
    np.add.at(times, (np.repeat(np.arange(counts.size), counts), entries), 1)
    return times.reshape(*records.shape, rows)


def bins_of(angle: float, margin: float, size: float) -> NDArray[np.int64]:
    """Every bin that some angle within the margin falls into, by trying the ends and a fine grid between them."""
    count = bin_count(size)[0]
    if 2 * margin >= 360:
        return np.arange(count)
    grid = np.concatenate([np.arange(angle - margin, angle + margin, size / 5), [angle + margin]])
    return np.unique(np.minimum(np.floor(((grid + 180) % 360) / size), count - 1).astype(np.int64))


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.tuples(st.sampled_from([4.0, 7.5, 7.0, 11.0]), st.sampled_from([3.0, 5.0, 7.0, 100.0])),
    margins=st.tuples(st.sampled_from([0.0, 500.0, 30_000.0, 1e9]), st.sampled_from([0.0, 0.5, 40.0, 170.0])),
    part=st.sampled_from([1, 5, 100, 1000]),
)
def test_against_brute_force(seed: int, sizes: tuple[float, float], margins: tuple[float, float], part: int) -> None:
    random = np.random.default_rng(seed)
    eta, omega = random.uniform(-180, 180, 12), random.uniform(-180, 180, 12)
    omega[:4] = random.uniform(-180, 180, 4).round() + np.array([0.123, 0.123, 0.477, 0.477])
    omega[4:6] = -179.97, 179.98
    eta[6:9] = -179.98, 179.97, 0.01
    step = 0.2
    windows = spot_windows(eta, omega, np.full(12, RADIUS), *margins, step, *sizes, 1)
    shape = bin_count(sizes[0])[0], bin_count(sizes[1])[0]
    records, entries = table(windows, shape, part=part)
    expected = np.zeros((*shape, 12), np.int64)
    for row in range(12):
        margin_eta = np.degrees(np.arctan(margins[0] / RADIUS)) + step / 2
        margin_omega = margins[1] + step / 2 / abs(np.sin(np.radians(eta[row])))
        window = bins_of(eta[row], margin_eta, sizes[0]), bins_of(omega[row], margin_omega, sizes[1])
        expected[np.ix_(*window, [row])] = 1
    np.testing.assert_array_equal(members(records, entries, 12), expected)
    inside = np.diff(np.repeat(np.arange(records.size), records["count"].ravel())) == 0
    assert (np.diff(entries)[inside] > 0).all()  # ascending in each bin
    # Offsets are a running sum, in empty bins too.
    counts, offsets = records["count"].ravel(), records["offset"].ravel()
    np.testing.assert_array_equal(offsets, np.concatenate([[0], np.cumsum(counts)[:-1]]))
    assert counts.sum() == len(entries) == (windows["eta_count"] * windows["omega_count"]).sum()


def test_parts_and_threads_do_not_matter() -> None:
    random = np.random.default_rng(1)
    eta, omega = random.uniform(-180, 180, 3000), random.uniform(-180, 180, 3000)
    windows = spot_windows(eta, omega, np.full(3000, RADIUS), 500.0, 0.5, 0.2, 0.5, 0.5, 2)
    whole = table(windows, (720, 720), threads=1)
    for part, threads in ((720, 2), (100, 2), (7, 1)):
        for one, other in zip(whole, table(windows, (720, 720), part=part, threads=threads), strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_spot_is_found_within_its_margins() -> None:
    random = np.random.default_rng(2)
    eta, omega = random.uniform(10, 170, 200) * random.choice([-1, 1], 200), random.uniform(-180, 180, 200)
    windows = spot_windows(eta, omega, np.full(200, RADIUS), 500.0, 0.5, 0.2, 0.1, 0.1, 1)
    records, entries = table(windows, (3600, 3600))
    content = records.ravel()
    for row in range(200):
        d_eta = np.degrees(np.arctan(500 / RADIUS)) * random.uniform(-1, 1)
        d_omega = 0.5 * random.uniform(-1, 1)
        e = int(((eta[row] + d_eta + 180) % 360) / 0.1)
        o = int(((omega[row] + d_omega + 180) % 360) / 0.1)
        count, offset = content[e * 3600 + o]
        assert row in entries[offset : offset + count]


@pytest.mark.parametrize("eta", [0.0, 1e-9, -1e-5, 180.0, -180.0])
def test_poles_fill_every_omega_bin_once(eta: float) -> None:
    windows = spot_windows(np.array([eta]), np.array([20.0]), np.array([RADIUS]), 500.0, 0.5, 0.2, 1.0, 1.0, 1)
    assert windows["omega_count"][0] == 360
    assert table(windows, (360, 360))[0]["count"].max() == 1


def test_bins_that_do_not_divide_the_turn_wrap_by_angle() -> None:
    # 100 degree bins: 0-100, 100-200, 200-300, 300-360. 179 + 2 passes 360 into bin 0, the last one is 3.
    windows = spot_windows(np.array([90.0]), np.array([179.0]), np.array([RADIUS]), 0.0, 2.0, 0.0, 90.0, 100.0, 1)
    assert windows[["first_omega", "omega_count"]].tolist() == [(3, 2)]
    back = spot_windows(np.array([90.0]), np.array([-179.0]), np.array([RADIUS]), 0.0, 2.0, 0.0, 90.0, 100.0, 1)
    assert back[["first_omega", "omega_count"]].tolist() == [(3, 2)]


def test_bin_count() -> None:
    assert bin_count(0.1) == (3600, True)
    assert bin_count(7.0) == (52, False)
    assert bin_count(400.0) == (1, False)
    for k in range(1, 200_000, 37):  # the exact ceiling for every size of four decimals
        assert bin_count(k * 1e-4)[0] == -(-3_600_000 // k)


def test_spots_without_radius_are_left_out() -> None:
    windows = spot_windows(np.zeros(2), np.zeros(2), np.array([0.0, RADIUS]), 500.0, 0.5, 0.2, 1.0, 1.0, 1)
    assert windows[0].tolist() == (0, 0, 0, 0)
    assert windows["eta_count"][1] > 0
    assert windows["omega_count"][1] > 0


def test_offsets_beyond_32_bits_are_refused() -> None:
    windows = np.array([(0, 2, 0, 2)], WINDOW)
    records = np.empty((4, 4), RECORD)
    rows = np.zeros(1, np.int32)
    assert len(fill_bins(rows, windows, 0, 4, 2**31 - 5, records, 1)) == 4
    with pytest.raises(OverflowError):
        fill_bins(rows, windows, 0, 4, 2**31 - 4, records, 1)
    with pytest.raises(ValueError, match="eta rows outside"):
        fill_bins(rows, windows, 1, 4, 0, records, 1)
