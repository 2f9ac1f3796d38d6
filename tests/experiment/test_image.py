"""Raw pixels in the padded and transformed image, against an image that is really padded and transformed."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from midas.experiment.detector import DetectorGeometry
from midas.experiment.image import PaddedImage, raw_numbers
from midas.experiment.region import ANY_BOX, detector_box

OPERATIONS = [(), (1,), (2,), (3,), (1, 2), (1, 3), (3, 1), (2, 3, 1), (0,)]


def test_numbers_of_a_wide_frame() -> None:
    numbers = raw_numbers((2, 3), ())
    assert numbers.tolist() == [[0, 3, -1], [1, 4, -1], [2, 5, -1]]  # [y, z] of rows along z
    assert raw_numbers((2, 3), (1,)).tolist() == [[2, 5, -1], [1, 4, -1], [0, 3, -1]]
    assert raw_numbers((2, 3), (2,)).tolist() == [[-1, 3, 0], [-1, 4, 1], [-1, 5, 2]]
    assert raw_numbers((2, 3), (3,)).tolist() == [[0, 1, 2], [3, 4, 5], [-1, -1, -1]]
    assert raw_numbers((2, 3), (0, 7, -1)).tolist() == numbers.tolist()


@pytest.mark.parametrize(("shape", "operations"), list(itertools.product([(4, 7), (7, 4), (5, 5)], OPERATIONS)))
def test_pixels_go_where_the_peak_search_sees_them(shape: tuple[int, int], operations: tuple[int, ...]) -> None:
    numbers = raw_numbers(shape, operations)
    image = PaddedImage(*shape, operations)
    assert image.side == len(numbers)
    for y, z in np.argwhere(numbers >= 0):
        row, column = divmod(int(numbers[y, z]), shape[1])
        assert image.from_raw(column, row) == (y, z)
        assert image.to_raw(y, z) == (column, row)
    ys, zs = np.nonzero(numbers >= 0)
    assert image.area == (ys.min() - 0.5, ys.max() + 0.5, zs.min() - 0.5, zs.max() + 0.5)


def test_box_of_a_tilted_detector_holds_all_its_pixels() -> None:
    detector = DetectorGeometry(1e6, 60.0, 90.0, 200, 2e5, ty=3, tz=-2, tx=10, p2=1e-3)
    image = PaddedImage(100, 60, (1,))
    box = detector_box(detector, image, np.array([0.5]))
    y_low, y_high, z_low, z_high = image.area
    y_px, z_px = np.meshgrid(np.arange(y_low, y_high + 1), np.arange(z_low, z_high + 1))
    y, z = detector.plane(y_px, z_px)
    assert box[0] <= y.min() and y.max() <= box[1] and box[2] <= z.min() and z.max() <= box[3]
    assert detector_box(detector, image, np.array([1e-3])) == ANY_BOX


def test_what_the_frame_holds() -> None:
    image = PaddedImage(160, 256, (2,))
    y = np.array([-0.5, 255.5, 10.0, 10.0, -0.6, np.nan])
    z = np.array([95.5, 255.5, 95.4, 200.0, 200.0, 200.0])
    assert image.holds(y, z).tolist() == [True, True, False, True, False, False]
