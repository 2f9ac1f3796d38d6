"""Pixels near rings, their profiles, and the kernels' refusals."""

from __future__ import annotations

import numpy as np
import pytest
from powder_images import sets
from powder_images.recipe import corrected

from midas._ext.calibrate.groups import group_pixels, highest_places
from midas._ext.calibrate.pooled import pixel_profile, tails_of_neighbours
from midas._ext.calibrate.profiles import fit_groups

DETECTOR = sets.flat(small=True).detector
NO_PANELS = np.empty((0, 8))


def grouped(threads: int = 1) -> tuple[np.ndarray, ...]:
    counts = np.arange(512.0 * 512.0).reshape(512, 512)
    masked = np.zeros((512, 512), np.uint8)
    masked[100:200, 300] = 1
    middle = np.array([120.0, 200.0])
    return group_pixels(
        counts, masked, np.full((512, 512), -1, np.int32), DETECTOR.packed(), NO_PANELS,
        middle - 9, middle + 7, middle, np.array([36, 90]), threads,
    )  # fmt: skip


def test_every_pixel_of_a_window_is_in_its_group() -> None:
    starts, pixel, x, values = grouped()
    assert len(starts) == 36 + 90 + 1 and starts[-1] == len(pixel) == len(x) == len(values)
    z, y = np.divmod(np.arange(512 * 512), 512)
    radius = corrected(DETECTOR, y.astype(float), z.astype(float))
    free = (y != 300) | (z < 100) | (z >= 200)
    for first, last, middle in ((0, 36, 120.0), (36, 126, 200.0)):
        inside = free & (radius >= middle - 9) & (radius <= middle + 7)
        own = slice(starts[first], starts[last])
        assert sorted(pixel[own]) == np.flatnonzero(inside).tolist()
        np.testing.assert_allclose(x[own], radius[pixel[own]] - middle, atol=1e-4)
    assert (values == pixel).all()
    eta = DETECTOR.ideal(y[pixel].astype(float), z[pixel].astype(float)).eta
    bins = np.repeat(np.arange(126), np.diff(starts))
    width = np.where(bins < 36, 10.0, 4.0)
    assert (np.floor((eta + 180.0) / width).astype(int) == np.where(bins < 36, bins, bins - 36)).all()
    for one, two in zip(grouped(), grouped(threads=3), strict=True):
        assert one.tobytes() == two.tobytes()


def test_the_brightest_place_of_a_ring_and_of_a_pair() -> None:
    x = np.arange(-10, 11).astype(np.float32)
    values = np.where(x == 3, 9.0, 1.0) + np.where(x == -2, 5.0, 0.0)
    starts, window = np.array([0, 21]), np.zeros(1, np.int64)
    alone = highest_places(starts, x, values, window, np.array([[0.0, np.nan]]), np.array([6.0]))
    pair = highest_places(starts, x, values, window, np.array([[-3.0, 2.0]]), np.array([6.0]))
    narrow = highest_places(starts, x, values, window, np.array([[0.0, np.nan]]), np.array([2.5]))
    assert alone == [3.0] and pair == [1.0] and narrow == [-2.0]


@pytest.mark.parametrize(("fwhm", "accuracy"), [(0.6, 2e-3), (2.0, 1e-5)])
def test_the_mean_over_a_pixel(fwhm: float, accuracy: float) -> None:
    x, g_y, g_z = np.linspace(-6, 6, 41), 0.8, -0.5
    fine = (np.arange(200) + 0.5) / 200 - 0.5
    u = (x[:, None, None] + g_y * fine[:, None] + g_z * fine) / fwhm
    expected = (0.3 / (1 + 4 * u**2) + 0.7 * 2.0 ** (-4 * u**2)).mean(axis=(1, 2))
    np.testing.assert_allclose(pixel_profile(x, fwhm, 0.3, g_y, g_z), expected, atol=accuracy)


def test_tails_are_those_of_the_rings_beside() -> None:
    x = np.array([-3, 0, 3], np.float32)
    tails = tails_of_neighbours(np.array([0, 3]), x, np.array([[[100.0, 20.0, 2.0, 1.0], [0.0, 5.0, 1.0, 1.0]]]))
    np.testing.assert_allclose(tails, 100 / (1 + (20 - x) ** 2), rtol=1e-5)


def test_shapes_that_do_not_fit_are_refused() -> None:
    starts, pixel, x, values = grouped()
    groups, two = np.zeros(126, np.int64), np.zeros((2, 2))
    none = np.zeros(0)
    with pytest.raises(ValueError, match="one of everything"):
        fit_groups(
            starts, pixel, x[:-1], values, np.zeros(len(x), np.float32), 512, DETECTOR.packed(), NO_PANELS,
            groups, groups, np.zeros(2), two, two, two, np.zeros(126),
        )  # fmt: skip
    with pytest.raises(ValueError, match="one of everything per window"):
        group_pixels(
            np.zeros((4, 4)), np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.int32), DETECTOR.packed(), NO_PANELS,
            none, none, none, np.zeros(0, np.int64),
        )  # fmt: skip
