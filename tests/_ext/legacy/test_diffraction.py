"""The diffraction condition by arc cosines (docs/theory/geometry.md#legacy-omega-solutions)."""

from __future__ import annotations

import numpy as np
import pytest

from midas._ext.legacy.doors import ring_spots
from midas._ext.physics.spots import predicted_spots

LSD, WAVELENGTH = 1e6, 0.2


@pytest.mark.parametrize("seed", range(50))
def test_spots_are_those_of_the_exact_predictor(seed: int) -> None:
    g = np.random.default_rng(seed).normal(size=3)
    g *= 0.5 / np.linalg.norm(g)
    exact = predicted_spots(g[None], np.zeros((1, 3)), LSD, WAVELENGTH, 0.0, True)[:, 0]
    radius = LSD * np.tan(2 * np.arcsin(0.25 * WAVELENGTH))
    found = ring_spots(g, WAVELENGTH, radius)
    assert len(found) == np.isfinite(exact[0]).sum()
    for i, (omega, eta, y, z) in enumerate(found):
        assert [omega, eta] == pytest.approx([exact[1, i], exact[5, i]], abs=1e-5)
        assert [y, z] == pytest.approx(exact[2:4, i].tolist(), abs=0.02)
        upstream = -g[0] * np.cos(np.radians(omega)) + g[1] * np.sin(np.radians(omega))
        assert upstream == pytest.approx(0.5 * WAVELENGTH * g @ g, abs=1e-8)


def test_a_small_y_is_ignored_and_a_pole_never_fires() -> None:
    assert ring_spots([0.0, 0.0, 0.5], WAVELENGTH, 1.0) == []
    g = [-0.5, 9e-5, 0.0]
    (first, *_), (second, *_) = ring_spots(g, WAVELENGTH, 1.0)
    assert first == -second == pytest.approx(np.degrees(np.arccos(0.05)), abs=1e-6)
