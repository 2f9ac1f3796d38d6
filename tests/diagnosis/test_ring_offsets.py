"""Mistakes of the geometry that are put into exact spots are found again."""

import dataclasses

import numpy as np
import pytest

from midas.diagnosis.ring_offsets import ring_offsets
from midas.experiment import DetectorGeometry

ASSUMED = DetectorGeometry(lsd=1e6, y_bc=1024, z_bc=1000, px=200, rho_d=2e5)
RINGS = {1: 4.0, 2: 5.1, 4: 7.6}


def _observed(**true):
    """Rings that a detector with other numbers sees, in the eyes of the assumed one."""
    detector = dataclasses.replace(ASSUMED, **true)
    eta = np.arange(-175.0, 180.0, 10)
    ring = np.repeat(list(RINGS), len(eta))
    two_theta = np.repeat(list(RINGS.values()), len(eta))
    _, eta, radius = ASSUMED.ideal(*detector.pixel(two_theta, np.tile(eta, len(RINGS))))
    return ring, ASSUMED.lsd * np.tan(np.radians(two_theta)), eta, radius


def test_nothing_is_wrong():
    offsets = ring_offsets(*_observed())
    assert list(offsets.sentences(ASSUMED)) == []
    assert [ring.ring for ring in offsets.rings] == list(RINGS)
    assert all(ring.observed == 36 and abs(ring.ppm) < 1e-3 for ring in offsets.rings)


def test_a_wrong_distance_is_the_same_ppm_on_all_rings():
    offsets = ring_offsets(*_observed(lsd=1.0008e6))
    np.testing.assert_allclose([ring.ppm for ring in offsets.rings], 800, rtol=1e-6)
    np.testing.assert_allclose(offsets.scale_ppm, 800, rtol=1e-6)
    (sentence,) = offsets.sentences(ASSUMED)
    assert "+800 ppm" in sentence and "Lsd is about 1000800 instead of 1000000" in sentence


def test_a_wrong_centre_goes_with_sine_and_cosine():
    offsets = ring_offsets(*_observed(y_bc=1025.5, z_bc=998.0))
    np.testing.assert_allclose(offsets.centre, (-300, -400), atol=0.5)
    (sentence,) = offsets.sentences(ASSUMED)
    assert "BC is about 1025.50 998.00 instead of 1024.00 1000.00" in sentence


def test_noise_and_strangers_do_not_pull():
    rng = np.random.default_rng(4)
    ring, ring_radius, eta, radius = _observed(lsd=0.9995e6, z_bc=1001.0)
    radius = radius + rng.normal(0, 20, len(radius))
    radius[::9] += 900  # spots of another phase
    offsets = ring_offsets(ring, ring_radius, eta, radius)
    assert abs(offsets.scale_ppm + 500) < 120
    assert abs(offsets.centre[1] - 200) < 12 and abs(offsets.centre[0]) < 12
    assert 15 < offsets.spread < 40


def test_noise_alone_is_no_mistake():
    rng = np.random.default_rng(5)
    ring, ring_radius, eta, radius = _observed()
    offsets = ring_offsets(ring, ring_radius, eta, radius + rng.normal(0, 100, len(radius)))
    assert list(offsets.sentences(ASSUMED)) == []


@pytest.mark.parametrize("keep", [slice(0, 5), slice(0, 0)])
def test_too_few_cannot_tell(keep):
    offsets = ring_offsets(*(values[keep] for values in _observed(lsd=1.01e6)))
    assert np.isnan(offsets.scale_ppm) and list(offsets.sentences(ASSUMED)) == []


def test_one_direction_only_cannot_tell():
    ring, ring_radius, eta, radius = _observed(z_bc=1003.0)
    offsets = ring_offsets(ring[:36], ring_radius[:36], np.full(36, 30.0), radius[:36])
    assert np.isnan(offsets.scale_ppm)
