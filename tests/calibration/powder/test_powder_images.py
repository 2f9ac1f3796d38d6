"""The synthetic images: their model against the detector's, where their rings are, and the error of a map."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from powder_images import sets
from powder_images.recipe import corrected, expected, powder_image
from powder_images.scoring import map_error

from midas._ext.physics.detector import pixels_to_plane


def test_the_radius_is_that_of_the_detector() -> None:
    """Two independent forms of the same model."""
    detector = replace(sets.tilted().detector, tx=1.3)
    y, z = np.random.default_rng(1).uniform(-500, 2500, (2, 200))
    radius = pixels_to_plane(y, z, detector.packed())[2]
    np.testing.assert_allclose(corrected(detector, y, z) * detector.px, radius, rtol=1e-12)


def test_rings_are_where_their_angle_is() -> None:
    powder = sets.flat(small=True)
    rings, background = expected(powder)
    z, y = np.indices(powder.shape)
    radius = corrected(powder.detector, y.astype(float), z.astype(float))
    for place in powder.ring_radii()[:4]:
        near = np.abs(radius - place) < 8
        # the centre of the upper half of the ring, to which others add next to nothing
        top = np.maximum(rings[near] - 0.5 * rings[near].max(), 0)
        light = np.average(radius[near], weights=top / radius[near])
        assert abs(light - place) < 0.05
    assert background.min() >= 60


def test_hard_images_are_hard() -> None:
    """What each of the further sets is there for."""
    plain = powder_image(sets.flat(small=True))
    assert (powder_image(sets.saturated(small=True)).counts == 1800).sum() > 5000
    assert (powder_image(sets.shadowed(small=True)).counts < 20).mean() > 0.2
    assert powder_image(sets.spotty(small=True)).counts.max() > 5 * plain.counts.max()
    gaps = np.diff(sets.doublets().ring_radii()[:12])
    assert ((gaps > 4) & (gaps < 11)).sum() >= 4
    assert sets.beside().detector.y_bc < -100


def test_modules_are_masked_and_shifted() -> None:
    powder = sets.modules(small=True)
    image = powder_image(powder)
    assert image.counts.shape == (514, 514)
    assert image.masked[:, 503:].all()
    assert image.counts[image.masked].max() == 0
    assert powder.panels is not None
    np.testing.assert_allclose(powder.panels.shifts.mean(axis=0), 0, atol=1e-12)


def test_map_error_needs_no_gauge() -> None:
    """A shift of all panels that the beam centre takes back changes nothing; a wrong distance is what it is."""
    powder = sets.modules(small=True)
    assert powder.panels is not None
    shifts = powder.panels.shifts
    moved = replace(powder.detector, y_bc=powder.detector.y_bc + 0.3)
    assert map_error(powder, moved, shifts + [0.3, 0, 0]).largest < 0.1
    farther = replace(powder.detector, lsd=powder.detector.lsd * (1 + 1e-4))
    assert map_error(powder, farther, shifts).mean == pytest.approx(100, rel=0.05)
    assert map_error(powder, powder.detector).mean > 100
