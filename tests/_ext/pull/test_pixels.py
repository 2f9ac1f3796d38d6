"""Pixels of boxes: those that the detector geometry says, and what a frame has there."""

from __future__ import annotations

import numpy as np
import pytest

from midas._ext.pull.pixels import box_pixels, gather
from midas.experiment import DetectorGeometry
from midas.experiment.angles import wrapped
from midas.experiment.image import raw_numbers

TILTED = DetectorGeometry(lsd=2e5, y_bc=31.4, z_bc=30.2, px=200.0, rho_d=7e3, tx=2.0, ty=5.0, tz=-4.0, p0=1e-3, p2=2e-3)
NO_PANELS = np.empty((0, 8))


def by_hand(detector: DetectorGeometry, centre: tuple[float, float], reach: tuple[float, float], side: int) -> set:
    """(y, z) of the pixels of a box, from all pixels in and around the detector."""
    y, z = np.meshgrid(np.arange(-20, side + 20), np.arange(-20, side + 20), indexing="ij")
    _, eta, radius = detector.ideal(y, z)
    inside = abs(radius - centre[0]) <= reach[0]
    inside &= abs(np.radians(wrapped(eta - centre[1])) * centre[0]) <= reach[1]
    return set(zip(y[inside].tolist(), z[inside].tolist(), strict=True))


@pytest.mark.parametrize("eta", [-180.0, -91.0, 0.0, 37.0, 179.5])
def test_pixels_of_a_tilted_detector(eta: float) -> None:
    """Boxes across the end of eta, and one that the detector ends in, whose missing pixels have no number."""
    side = 64
    numbers = np.arange(side * side, dtype=np.int32).reshape(side, side)
    radius, reach = 5800.0, (450.0, 900.0)
    offsets, number, radial, arc = box_pixels(
        np.array([radius]), np.array([eta]), *np.array(reach).reshape(2, 1), TILTED.packed(), NO_PANELS, numbers
    )
    wanted = by_hand(TILTED, (radius, eta), reach, side)
    assert offsets.tolist() == [0, len(wanted)]
    on_it = {(y, z) for y, z in wanted if 0 <= y < side and 0 <= z < side}
    assert sorted(number[number >= 0].tolist()) == sorted(y * side + z for y, z in on_it)
    assert (number < 0).sum() == len(wanted) - len(on_it)
    assert abs(radial).max() <= reach[0] and abs(arc).max() <= reach[1]
    y, z = np.divmod(number[number >= 0], side)
    _, true_eta, true_radius = TILTED.ideal(y, z)
    np.testing.assert_allclose(radial[number >= 0], true_radius - radius, atol=1e-3)
    np.testing.assert_allclose(arc[number >= 0], np.radians(wrapped(true_eta - eta)) * radius, atol=1e-2)


def test_panels_move_their_pixels() -> None:
    """A panel that stands two pixels higher than it should: its pixels see what lies two pixels higher."""
    flat = DetectorGeometry(lsd=2e5, y_bc=10.0, z_bc=10.0, px=100.0, rho_d=1e4)
    panels = np.array([[0, 31, 0, 31, 1.0, 0.0, 0.0, 2.0]])
    numbers = np.arange(32 * 32, dtype=np.int32).reshape(32, 32)
    arguments = np.array([1000.0]), np.array([0.0]), np.array([40.0]), np.array([40.0]), flat.packed()
    for table, z in ((NO_PANELS, 20), (panels, 18)):
        _, number, radial, _ = box_pixels(*arguments, table, numbers)
        assert number.tolist() == [10 * 32 + z]
        np.testing.assert_allclose(radial, 0.0, atol=1e-3)


def test_values_of_a_frame() -> None:
    """Dark and gain of every pixel; a masked pixel, one that means nothing and one beside the frame have no value."""
    flat = DetectorGeometry(lsd=2e5, y_bc=0.0, z_bc=0.0, px=100.0, rho_d=1e4)
    numbers = np.ascontiguousarray(raw_numbers((3, 4), (1,)))
    numbers[numbers == 6] = -1
    offsets, number, _, _ = box_pixels(
        np.array([100.0]), np.array([0.0]), np.array([101.0]), np.array([400.0]), flat.packed(), NO_PANELS, numbers
    )
    frame = np.arange(100, 112, dtype=np.uint16)
    frame[9] = 65535
    values = np.zeros(2 * len(number), np.float32)
    starts = np.array([0, len(values)])
    dark, gain = np.arange(12, dtype=np.float32), np.full(12, 0.5, np.float32)
    rows = np.array([0]), np.array([1])
    gather(frame, dark, gain, np.array([65535.0]), *rows, offsets, number, starts, values)
    assert (values[: len(number)] == 0).all()  # the other frame of the box
    seen = values[len(number) :]
    assert np.isnan(seen[(number < 0) | (number == 9)]).all()
    np.testing.assert_array_equal(seen[(number >= 0) & (number != 9)], 50.0)


def test_wrong_arrays() -> None:
    numbers = np.zeros((4, 4), np.int32)
    one = np.ones(1)
    with pytest.raises(ValueError, match="four numbers per box"):
        box_pixels(one, np.ones(2), one, one, TILTED.packed(), NO_PANELS, numbers)
    with pytest.raises(ValueError, match="square detector"):
        box_pixels(one, one, one, one, TILTED.packed(), NO_PANELS, np.zeros((4, 5), np.int32))
    with pytest.raises(MemoryError, match="PullBox"):
        box_pixels(1e9 * one, one, 1e9 * one, 1e9 * one, TILTED.packed(), NO_PANELS, numbers)
