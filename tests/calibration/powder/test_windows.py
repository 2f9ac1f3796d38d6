"""Windows around rings: alone, in pairs, too close."""

from __future__ import annotations

import numpy as np

from midas.calibration.powder.windows import windows_of


def windows(*radii: float, width: float = 2.0):
    return windows_of(np.array(radii), 9.0, 2.0, 10.0, width)


def test_neighbours_share_what_is_between_them() -> None:
    found = windows(100.0, 200.0, 210.0)
    assert found.lowest.tolist() == [91.0, 191.0, 205.0] and found.highest.tolist() == [109.0, 205.0, 219.0]
    assert found.ring[:, 0].tolist() == [0, 1, 2] and np.isnan(found.peaks[:, 1]).all()
    np.testing.assert_allclose(found.reach, [5.4, 3.0, 3.0])


def test_close_rings_are_a_pair() -> None:
    found = windows(100.0, 104.0, 150.0)
    assert found.ring.tolist() == [[0, 1], [2, -1]]
    assert found.middle.tolist() == [102.0, 150.0] and found.peaks[0].tolist() == [-2.0, 2.0]
    assert found.lowest[0] == 91.0 and found.highest[0] == 113.0


def test_rings_that_cannot_be_told_apart_are_left_out() -> None:
    assert windows(100.0, 102.0, 150.0).ring.tolist() == [[2, -1]]
    assert windows(100.0, 104.0, 108.0, 150.0).ring.tolist() == [[3, -1]]
    # and still keep the windows of others away
    assert windows(100.0, 102.0, 112.0).lowest.tolist() == [107.0]


def test_rings_that_are_not_looked_for() -> None:
    assert windows(np.nan, 100.0, np.nan).ring.tolist() == [[1, -1]]
    assert len(windows(np.nan)) == 0


def test_bins_have_a_least_arc() -> None:
    found = windows(50.0, 100.0, 1000.0)
    assert found.bins.tolist() == [31, 62, 180]
