"""`midas._ext.simulate.images` against the Gaussian, written out."""

from __future__ import annotations

import numpy as np
import pytest

from midas._ext.simulate.images import brightest_pixel, clear_spots, count_spots, draw_spots


def image_of(hor: float, vert: float, sigma: float = 1.0, integrate: bool = False, shape=(64, 48)) -> np.ndarray:
    canvas = np.zeros(shape, np.float32)
    draw_spots(canvas, np.array([hor]), np.array([vert]), np.array([1000.0], np.float32), sigma, integrate)
    return canvas


def test_spot_is_sampled_at_pixel_centres() -> None:
    image = image_of(20.3, 31.8)
    j, i = np.mgrid[0:64, 0:48]
    expected = 1000 * np.exp(-((i - 20.3) ** 2) / 2) * np.exp(-((j - 31.8) ** 2) / 2)
    expected[(abs(i - 20) > 4) | (abs(j - 32) > 4)] = 0
    np.testing.assert_allclose(image, expected, rtol=1e-6, atol=1e-9)


def test_integrated_spot_has_the_volume_of_the_gaussian() -> None:
    assert image_of(20.3, 31.8, 0.4, True).sum() == pytest.approx(1000 * 2 * np.pi * 0.16, rel=1e-3)


@pytest.mark.parametrize(("hor", "vert", "sigma"), [(0.0, 0.0, 1.0), (47.9, 63.9, 1.0), (24.0, 32.0, 20.0)])
def test_windows_are_cut_at_the_edges_and_at_49_pixels(hor: float, vert: float, sigma: float) -> None:
    image = image_of(hor, vert, sigma)
    assert image.max() > 300
    big = np.zeros((200, 200), np.float32)
    draw_spots(big, np.array([100.0]), np.array([100.0]), np.array([1.0], np.float32), 20.0, False)
    assert np.flatnonzero(big[100]).tolist() == list(range(51, 150))


def test_clearing_restores_zeros() -> None:
    canvas = image_of(3.3, 60.2)
    clear_spots(canvas, np.array([3.3]), np.array([60.2]), 1.0)
    assert not canvas.any()


def test_brightest_pixel_counts_overlaps_and_leaves_the_canvas_clean() -> None:
    canvases = np.zeros((2, 64, 48), np.float32)
    hor, vert = np.array([10.0, 10.0, 30.0]), np.array([10.0, 10.0, 30.0])
    amplitude = np.array([100, 150, 240], np.float32)
    offsets = np.array([0, 0, 2, 3], np.int64)
    assert brightest_pixel(offsets, hor, vert, amplitude, 1.0, False, canvases) == 250
    assert not canvases.any()
    assert brightest_pixel(np.zeros(4, np.int64), hor[:0], vert[:0], amplitude[:0], 1.0, False, canvases) == 0


def test_counts_are_cut_or_rounded_and_saturate() -> None:
    canvas = np.full((9, 9), 10.0, np.float32)
    canvas[4, 4] = 1e6
    image = np.zeros((9, 9), np.uint16)
    centre = np.array([4.0])
    count_spots(canvas, image, centre, centre, 1.0, 15.0, 100.0, 0.0, False)
    assert image[0, 0] == 1 and image[4, 4] == 65535
    count_spots(canvas, image, centre, centre, 1.0, 15.0, 100.0, 0.0, True)
    assert image[0, 0] == 2
