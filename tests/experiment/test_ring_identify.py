"""What points on rings tell and what they do not.

Figures of docs/theory/calibration.md#what-the-image-cannot-tell.
"""

from __future__ import annotations

import re
from dataclasses import fields, replace

import numpy as np
import pytest
from ring_points import CERIA_RINGS, FLAT, WAVELENGTH, ring_points

from midas.experiment.detector import DetectorGeometry
from midas.experiment.ring_fit import GEOMETRY, RingFitSettings, solve
from midas.experiment.ring_identify import UndeterminedError, identify
from midas.experiment.ring_model import RingPoints, Setting

FIVE = ("Lsd", "BCy", "BCz", "ty", "tz")
#: px, of the points of a strong image
SIGMA = 0.006
AROUND = np.arange(-179.0, 180, 2)
SETTING = Setting.of(FLAT)


def noisy(rings: tuple[int, ...] = CERIA_RINGS, eta: np.ndarray = AROUND, seed: int = 5) -> RingPoints:
    return ring_points(rings=rings, eta=eta, sigma=SIGMA, noise=np.random.default_rng(seed))


def fixed_floor(*free: str) -> RingFitSettings:
    return RingFitSettings(free=free, floor=0.0)


@pytest.mark.parametrize(
    ("rings", "eta", "free", "sigmas", "condition"),
    [
        (CERIA_RINGS, AROUND, FIVE, (0.17, 0.0003, 0.0003, 0.00016, 0.00016), 14),
        (CERIA_RINGS, AROUND, GEOMETRY, (0.44, 0.0003, 0.0003, 0.00016, 0.00016), 26),
        (CERIA_RINGS, AROUND[90:], GEOMETRY, (1.35, 0.0009, 0.0004, 0.0002, 0.0017), 1e3),
        (CERIA_RINGS, AROUND[90:135], GEOMETRY, (4.8, 0.002, 0.002, 0.004, 0.004), 6e3),
        (CERIA_RINGS[:4], AROUND, FIVE, (0.5, 0.0007, 0.0007, 0.001, 0.001), 18),
        (CERIA_RINGS[:2], AROUND, FIVE, (1.2, 0.003, 0.003, 0.010, 0.010), 170),
        (CERIA_RINGS[:1], AROUND, FIVE, (2.4, 0.008, 0.008, 0.03, 0.03), 900),
    ],
    ids=["five", "nine", "half rings", "quarter rings", "four rings", "two rings", "one ring"],
)
def test_how_well_numbers_are_known(
    rings: tuple[int, ...], eta: np.ndarray, free: tuple[str, ...], sigmas: tuple[float, ...], condition: float
) -> None:
    fit = identify(noisy(rings, eta), SETTING, fixed_floor(*free))
    assert not fit.undetermined
    np.testing.assert_allclose(fit.sigma[:5], sigmas, rtol=0.35)
    assert fit.condition == pytest.approx(condition, rel=0.3)


def test_distance_and_isotropic_distortion_look_alike() -> None:
    fit = solve(noisy(), SETTING, fixed_floor(*GEOMETRY))
    assert fit.correlation[0, fit.names.index("p2")] == pytest.approx(0.93, abs=0.02)


def test_one_ring_tells_no_distortion() -> None:
    fit = identify(noisy(CERIA_RINGS[:1]), SETTING, fixed_floor(*GEOMETRY))
    assert fit.names == FIVE and set(fit.undetermined) == {"p0", "p1c", "p1s", "p2"}
    assert fit.setting.detector.p2 == FLAT.p2, "what cannot be told stays as it was"
    with pytest.raises(UndeterminedError, match=r"the rings cannot tell .*p2.*condition"):
        identify(noisy(CERIA_RINGS[:1]), SETTING, fixed_floor(*GEOMETRY), demanded=["p2"])


def test_noise_beyond_the_limit_fixes_the_least_important() -> None:
    points = noisy(CERIA_RINGS[:5])
    loud = replace(points, y_px=points.y_px + np.random.default_rng(1).normal(0, 1.5, len(points)))
    fit = identify(loud, SETTING, fixed_floor(*GEOMETRY))
    assert {"p1c", "p1s"} <= set(fit.undetermined) and "Lsd" in fit.names
    said = fit.undetermined["p1c"]
    assert re.match(r"the image leaves Lsd open by \d{3} um, .*; more than \d+ um, .*0.0002 is too much$", said), said


def test_a_short_arc_tells_no_tilt() -> None:
    fit = identify(noisy(eta=np.arange(40.0, 50.0, 0.5)), SETTING, fixed_floor(*GEOMETRY))
    assert "tz" in fit.undetermined or "ty" in fit.undetermined
    with pytest.raises(UndeterminedError, match="the rings cannot tell"):
        identify(noisy(CERIA_RINGS[:1], np.arange(40.0, 44.0, 0.25)), SETTING, fixed_floor(*FIVE))


def test_wavelength_of_one_image() -> None:
    free = (*FIVE, "Wavelength")
    fit = identify(noisy(), SETTING, fixed_floor(*free), demanded=["Wavelength"])
    assert fit.sigma_of("Wavelength") == pytest.approx(3.9e-6, rel=0.15)
    assert fit.sigma_of("Lsd") == pytest.approx(22, rel=0.2)
    assert fit.correlation[0, 5] < -0.9999 and fit.condition == pytest.approx(7.5e4, rel=0.2)
    for rings, names in ((CERIA_RINGS, (*GEOMETRY, "Wavelength")), (CERIA_RINGS[:4], free)):
        auto = identify(noisy(rings), SETTING, fixed_floor(*names))
        assert set(auto.undetermined) == {"Wavelength"}
        with pytest.raises(UndeterminedError, match=r"cannot tell Wavelength: (in one image|4 rings)"):
            identify(noisy(rings), SETTING, fixed_floor(*names), demanded=["Wavelength"])


def test_sigmas_are_honest() -> None:
    """Over 200 draws of the noise, every number is as far from the truth as its sigma says."""
    start = replace(FLAT, lsd=FLAT.lsd + 200, y_bc=FLAT.y_bc + 0.5)
    truth = np.array([SETTING.value(name) for name in GEOMETRY])
    eta = np.arange(-175.0, 180, 10)
    pulls = []
    for seed in range(200):
        fit = solve(noisy(eta=eta, seed=seed), Setting.of(start), fixed_floor(*GEOMETRY))
        pulls.append((fit.value - truth) / fit.sigma)
    size = np.sqrt(np.mean(np.square(pulls), axis=0))
    assert np.all((size > 0.85) & (size < 1.15)), size
    assert np.abs(np.mean(pulls, axis=0)).max() < 0.25


def test_sigmas_are_honest_with_outliers_and_a_wrong_scale() -> None:
    """Points three times as noisy as they say, a twentieth of them far off."""
    truth = np.array([SETTING.value(name) for name in FIVE])
    random, pulls = np.random.default_rng(3), []
    for _ in range(100):
        points = ring_points(eta=np.arange(-175.0, 180, 10), sigma=3 * SIGMA, noise=random)
        far = random.random(len(points)) < 0.05
        points = replace(points, y_px=points.y_px + far * random.normal(0, 1.0, len(points)), sigma=points.sigma / 3)
        fit = solve(points, SETTING, fixed_floor(*FIVE))
        pulls.append((fit.value - truth) / fit.sigma)
    size = np.sqrt(np.mean(np.square(pulls), axis=0))
    assert np.all((size > 0.8) & (size < 1.2)), size


TRAVEL = (0.0, 150_000.0, 300_000.0)
ALL = RingFitSettings(free=(*GEOMETRY, "Wavelength"), floor=0.0)


@pytest.fixture(scope="module")
def several() -> tuple[RingPoints, list[DetectorGeometry]]:
    """Three distances, each with its own beam centre."""
    random = np.random.default_rng(8)
    detectors = [
        replace(FLAT, lsd=FLAT.lsd + travel, y_bc=FLAT.y_bc + y, z_bc=FLAT.z_bc + z)
        for travel, (y, z) in zip(TRAVEL, ((0, 0), (2, -1), (3, -2)), strict=True)
    ]
    images = [ring_points(detector, CERIA_RINGS[:9], sigma=SIGMA, noise=random) for detector in detectors]
    y, z, d = (np.concatenate([getattr(one, name) for one in images]) for name in ("y_px", "z_px", "d_spacing"))
    return RingPoints.of(y, z, d, SIGMA, image=np.repeat([0, 1, 2], [len(one) for one in images])), detectors


#: the wavelength is off by 2e-3, and the rest with it
FAR = replace(FLAT, wavelength=WAVELENGTH * 1.002, lsd=FLAT.lsd * 1.001, ty=0, tz=0, p0=0, p1=0, p2=0)


def test_known_travel_tells_the_wavelength(several: tuple[RingPoints, list[DetectorGeometry]]) -> None:
    points, detectors = several
    fit = identify(points, Setting.of(FAR, travel=TRAVEL), ALL, demanded=["Wavelength"])
    sigma = fit.sigma_of("Wavelength")
    assert sigma / WAVELENGTH < 5e-6
    assert fit.setting.detector.wavelength == pytest.approx(WAVELENGTH, abs=4 * sigma)
    assert fit.setting.detector.lsd == pytest.approx(FLAT.lsd, abs=4 * fit.sigma_of("Lsd"))
    assert fit.setting.centres == pytest.approx(np.array([[d.y_bc, d.z_bc] for d in detectors]), abs=0.003)
    assert [d.lsd for d in fit.setting.detectors()] == [fit.setting.detector.lsd + travel for travel in TRAVEL]


def test_a_vague_travel_is_in_the_sigma(several: tuple[RingPoints, list[DetectorGeometry]]) -> None:
    fit = identify(several[0], Setting.of(FAR, travel=TRAVEL), replace(ALL, sigma_travel=15.0))
    # The first distance is exact: the slope of a line through two others that are known to 15 µm.
    assert fit.sigma_of("Wavelength") / WAVELENGTH == pytest.approx(15.0 / np.hypot(150_000, 300_000), rel=0.15)
    assert {"Travel1", "Travel2"} <= set(fit.names)


def test_the_same_distance_three_times_tells_no_wavelength(
    several: tuple[RingPoints, list[DetectorGeometry]],
) -> None:
    points, _ = several
    first = replace(points, **{f.name: np.tile(getattr(points, f.name)[points.image == 0], 3) for f in fields(points)})
    again = replace(first, image=np.repeat([0, 1, 2], len(first) // 3))
    with pytest.raises(UndeterminedError, match="the rings cannot tell .*Wavelength"):
        identify(again, Setting.of(FLAT, travel=(0.0, 0.0, 0.0)), ALL, demanded=["Wavelength"])
