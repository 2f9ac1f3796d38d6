"""The wavelength from several distances: one image alone is not enough, known travel is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ring_points import CERIA, CERIA_RINGS, FLAT, ring_points

from midas.calibration.powder.points import Points
from midas.calibration.powder.rings import Rings
from midas.calibration.powder.travel import FREE, solve_travel
from midas.experiment.detector import DetectorGeometry
from midas.experiment.ring_fit import RingFitSettings
from midas.experiment.ring_identify import UndeterminedError
from midas.runtime.errors import UsageError

USED = CERIA_RINGS[:9]
RINGS = Rings(np.arange(1, 10), CERIA / np.sqrt(np.array(USED, float)), np.full(9, 8))
TRAVEL = (0.0, 150_000.0, 300_000.0)
SIGMA = 0.006


def image_at(travel: float, seed: int) -> tuple[Points, DetectorGeometry]:
    """Points of an image, and what it alone would give at a wavelength that is 1e-3 too long."""
    random = np.random.default_rng(seed)
    y_bc, z_bc = np.array([FLAT.y_bc, FLAT.z_bc]) + random.normal(0, 2, 2)
    truth = replace(FLAT, lsd=FLAT.lsd + travel, y_bc=y_bc, z_bc=z_bc)
    seen = ring_points(truth, USED, sigma=SIGMA, noise=random)
    ring = np.repeat(np.arange(9), len(seen) // 9)
    rest = np.zeros(len(seen))
    points = Points(seen.y_px, seen.z_px, seen.sigma, ring, rest, seen.panel, rest + 1, rest + 9, rest)
    return points, replace(truth, wavelength=truth.wavelength * 1.001, lsd=truth.lsd * 0.999)


@pytest.fixture(scope="module")
def images() -> tuple[list[Points], list[DetectorGeometry]]:
    points, detectors = zip(*(image_at(travel, seed) for seed, travel in enumerate(TRAVEL)), strict=True)
    return list(points), list(detectors)


def test_known_travel_tells_the_wavelength(images: tuple[list[Points], list[DetectorGeometry]]) -> None:
    fit = solve_travel(*images, RINGS, TRAVEL, RingFitSettings(free=FREE, floor=0.0))
    sigma = fit.sigma_of("Wavelength")
    assert sigma / FLAT.wavelength < 5e-6
    assert fit.setting.detector.wavelength == pytest.approx(FLAT.wavelength, abs=4 * sigma)
    assert fit.setting.detector.lsd == pytest.approx(FLAT.lsd, abs=4 * fit.sigma_of("Lsd"))
    assert fit.setting.centres == pytest.approx(np.array([[d.y_bc, d.z_bc] for d in images[1]]), abs=0.003)
    assert len(fit.strain) == 3 * 9 * 180 and fit.scale == pytest.approx(1, abs=0.05)


def test_a_vague_travel_is_in_the_sigma(images: tuple[list[Points], list[DetectorGeometry]]) -> None:
    settings = RingFitSettings(free=FREE, floor=0.0, sigma_travel=15.0)
    fit = solve_travel(*images, RINGS, TRAVEL, settings)
    # Lsd 0, 150, 300 mm, the first exact: the slope of a line through two others that are known to 15 µm.
    slope = 15.0 / np.hypot(150_000, 300_000)
    assert fit.sigma_of("Wavelength") / FLAT.wavelength == pytest.approx(slope, rel=0.15)
    assert {"Travel1", "Travel2"} <= set(fit.names)


def test_the_same_distance_twice_tells_nothing(images: tuple[list[Points], list[DetectorGeometry]]) -> None:
    points, detectors = images
    with pytest.raises(UndeterminedError, match="the rings cannot tell .*Wavelength"):
        solve_travel(points[:1] * 2, detectors[:1] * 2, RINGS, (0.0, 0.0))


@pytest.mark.parametrize(
    ("count", "travel", "reason"),
    [
        (1, (0.0,), "two distances at least"),
        (2, (0.0, 1.0, 2.0), "2 --images need as many distances after --travel, not 3"),
        (2, (100.0, 200.0), "begins with 0, not 100"),
    ],
)
def test_what_the_user_may_give(
    images: tuple[list[Points], list[DetectorGeometry]], count: int, travel: tuple[float, ...], reason: str
) -> None:
    with pytest.raises(UsageError, match=reason):
        solve_travel(images[0][:count], images[1][:count], RINGS, travel)
