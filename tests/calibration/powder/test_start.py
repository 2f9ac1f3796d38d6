"""Distance, beam centre and tilts without a guess: of every synthetic image, of a real one, and where there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from powder_images import sets
from powder_images.recipe import PowderSet, powder_image

from midas.calibration.powder import start as start_module
from midas.calibration.powder.calibrants import calibrant, rings_of
from midas.calibration.powder.centre import Centre
from midas.calibration.powder.image import PowderImage
from midas.calibration.powder.rings import Rings
from midas.calibration.powder.start import (
    AmbiguousStartError,
    NoRingError,
    Start,
    better_start,
    find_start,
    rings_disagree,
)
from midas.experiment.detector import DetectorGeometry

CEO2 = f"225 {sets.CEO2}"


def rings(powder: str = CEO2) -> Rings:
    return rings_of([calibrant(powder)], sets.WAVELENGTH)


def started(powder: PowderSet, calibrant_: str = CEO2, seed: int = 0) -> Start:
    return find_start(powder_image(powder, seed), rings(calibrant_), powder.detector.px, sets.WAVELENGTH)


def errors(start: Start, powder: PowderSet) -> tuple[float, float, float]:
    """Of the distance (a part of it), the beam centre (px), the tilts (degrees)."""
    truth = powder.detector
    beam = np.hypot(start.y_bc - truth.y_bc, start.z_bc - truth.z_bc)
    return abs(start.lsd / truth.lsd - 1), float(beam), float(np.hypot(start.ty - truth.ty, start.tz - truth.tz))


@pytest.mark.parametrize(
    ("make", "powder"),
    [
        (sets.spotty, CEO2),
        (sets.shadowed, CEO2),
        (sets.saturated, CEO2),
        (sets.lab6, "LaB6"),
        (sets.sharp, CEO2),
        (sets.modules, CEO2),
    ],
)
def test_small_images(make: Callable[..., PowderSet], powder: str) -> None:
    """The distance to what its distortion of 8e-4 leaves open, the beam to half a pixel."""
    image = make(small=True)
    distance, beam, tilt = errors(started(image, powder), image)
    assert distance < 1.5e-3
    assert beam < 0.5
    assert tilt < 0.6


@pytest.mark.parametrize("sign", [1, -1])
def test_tilts_of_five_degrees(sign: int) -> None:
    image = sets.tilted(small=True, sign=sign)
    distance, beam, tilt = errors(started(image), image)
    assert distance < 1.5e-3
    assert beam < 0.5
    assert tilt < 0.3


def test_beam_beside_the_detector() -> None:
    """Beam centre and tilts are all but one then; what they say about the rings in sight is right."""
    image = sets.beside(small=True)
    distance, beam, tilt = errors(started(image), image)
    assert distance < 5e-3
    assert beam < 2
    assert tilt < 2


def test_doublets() -> None:
    image = sets.doublets(small=True)
    cell = f"{sets.CEO2 / np.sqrt(2)} {sets.CEO2 / np.sqrt(2)} {sets.CEO2 * 1.04} 90 90 90"
    distance, beam, _ = errors(started(image, f"139 {cell}"), image)
    assert distance < 1.5e-3
    assert beam < 0.3


def test_weak_rings_and_ugly_pixels() -> None:
    """Rings of a tenth of the background, hot pixels, dead lines, a beam stop and its holder."""
    powder = replace(sets.flat(small=True), height=30.0)
    image = powder_image(powder)
    random, counts = np.random.default_rng(1), image.counts.copy()
    hot = random.integers(0, 512, (2, 300))
    counts[hot[0], hot[1]] = random.exponential(1e5, 300)
    counts[:, random.integers(0, 512, 4)] = 0
    z, y = np.indices(counts.shape)
    counts[(np.hypot(y - 254, z - 259) < 30) | ((np.abs(z - 250) < 8) & (y < 254))] *= 0.01
    start = find_start(replace(image, counts=counts), rings(), powder.detector.px, sets.WAVELENGTH)
    distance, beam, _ = errors(start, powder)
    assert distance < 2e-3
    assert beam < 1


def test_very_weak_rings() -> None:
    """Five counts over 75, found on all pixels."""
    powder = replace(sets.flat(small=True), height=5.0)
    distance, beam, _ = errors(started(powder), powder)
    assert distance < 2e-3
    assert beam < 1


def test_scale_and_offset_of_counts_do_not_matter() -> None:
    powder = sets.flat(small=True)
    image = powder_image(powder)
    starts = [
        find_start(replace(image, counts=counts), rings(), powder.detector.px, sets.WAVELENGTH)
        for counts in (image.counts * 1e-5, image.counts - 80)
    ]
    for start in starts:
        distance, beam, _ = errors(start, powder)
        assert distance < 1.5e-3
        assert beam < 0.2


@pytest.mark.long
@pytest.mark.parametrize("make", [sets.flat, sets.spotty, sets.beside, sets.tilted])
def test_full_size(make: Callable[..., PowderSet]) -> None:
    image = make()
    distance, beam, tilt = errors(started(image), image)
    assert distance < 1.2e-3
    assert beam < 1.2
    assert tilt < 0.6


@pytest.mark.golden
def test_real_image(shared: Path) -> None:
    """CeO2 on a Pilatus: within 0.1 % and 0.1 px of the calibration."""
    import tifffile

    raw = tifffile.imread(shared / "golden" / "calibration" / "CeO2_Pilatus1M_deflate.tif").astype(float)
    square = np.full((1043, 1043), -1.0)
    square[:, :981] = raw
    square = square[::-1]
    image = PowderImage(np.maximum(square, 0), square < 0, 1, np.inf, raw.shape)
    start = find_start(image, rings_of([calibrant(CEO2)], 0.4066), 172.0, 0.4066)
    assert start.lsd == pytest.approx(208743, rel=1e-3)
    assert start.y_bc == pytest.approx(486.92, abs=0.1)
    assert start.z_bc == pytest.approx(512.098, abs=0.1)
    assert (start.ty, start.tz) == pytest.approx((0.233, 1.029), abs=0.1)


def flat_image(counts: np.ndarray) -> PowderImage:
    return PowderImage(counts.astype(float), np.zeros(counts.shape, bool), 1, np.inf, counts.shape)


@pytest.mark.parametrize("kind", ["nothing", "noise", "halo", "masked"])
def test_no_rings(kind: str) -> None:
    z, y = np.indices((256, 256))
    mean = np.full((256, 256), 20.0)
    if kind == "halo":
        mean += 300 * np.exp(-(((np.hypot(y - 120, z - 130) - 60) / 25) ** 2))
    counts = np.zeros((256, 256)) if kind == "nothing" else np.random.default_rng(2).poisson(mean)
    image = flat_image(counts)
    if kind == "masked":
        image = replace(image, masked=np.ones((256, 256), bool))
    with pytest.raises(NoRingError, match="check the image|check calibrant") as error:
        find_start(image, rings(), 200.0, sets.WAVELENGTH)
    assert len(str(error.value).splitlines()) == 1


def test_two_rings_are_not_enough() -> None:
    powder = sets.flat(small=True)
    far = replace(powder, detector=replace(powder.detector, lsd=9e5))
    with pytest.raises(NoRingError, match=r"only 2 rings rise above 5 sigma; brightest radii 249\.\d, 28[78]\.\d px"):
        started(far)


def test_another_powder() -> None:
    """Every second ring of CeO2 could be one of LaB6: what explains no more is refused."""
    with pytest.raises(NoRingError, match="no distance explains the rings at 110.*check calibrant"):
        started(sets.flat(small=True), "LaB6")


def test_no_rings_at_this_wavelength() -> None:
    with pytest.raises(NoRingError, match="check the wavelength"):
        find_start(flat_image(np.zeros((64, 64))), rings_of([calibrant("CeO2")], 6.0), 200.0, 6.0)


def test_ambiguous() -> None:
    """Rings whose spacings are in geometric progression look the same from every distance."""
    progression = Rings(np.arange(1, 31), 4.0 * 0.93 ** np.arange(30.0), np.full(30, 8))
    tangent = np.tan(np.radians(progression.two_theta(0.17)))[3:9]
    z, y = np.indices((512, 512))
    radius = np.hypot(y - 255.2, z - 256.1)
    counts = 20 + 500 * np.exp(-(((radius[..., None] - 4000 * tangent) / 1.5) ** 2)).sum(axis=-1)
    image = flat_image(np.random.default_rng(3).poisson(counts))
    with pytest.raises(AmbiguousStartError, match=r"ambiguous start: Lsd \d+ um .* and \d+ um .*; give Lsd") as error:
        find_start(image, progression, 200.0, 0.17)
    better, worse = error.value.candidates
    assert better.score >= worse.score
    assert abs(np.log(better.lsd / worse.lsd)) > 0.02
    assert error.value.near(1.01 * better.lsd) == better and error.value.near(5 * better.lsd) is None
    said = DetectorGeometry(1.01 * worse.lsd, np.nan, np.nan, 200.0, np.nan)
    assert find_start(image, progression, 200.0, 0.17, said) == worse, "what the user says decides"


def test_a_centre_that_is_said_is_tried_when_the_image_shows_none(monkeypatch: pytest.MonkeyPatch) -> None:
    z, y = np.indices((256, 256))
    tangent = np.tan(np.radians(rings().two_theta(sets.WAVELENGTH)[:8]))
    radius = np.hypot(y - 126.0, z - 129.0)[..., None]
    image = flat_image(20 + 500 * np.exp(-((radius - 1000 * tangent) ** 2)).sum(axis=-1))
    monkeypatch.setattr(start_module, "find_centre", lambda *_, **__: Centre(20.0, -40.0, 0.0, 0.0, 0.0))
    with pytest.raises(NoRingError):
        find_start(image, rings(), 200.0, sets.WAVELENGTH)
    said = DetectorGeometry(np.nan, 126.5, 129.0, 200.0, np.nan)
    assert find_start(image, rings(), 200.0, sets.WAVELENGTH, said).lsd == pytest.approx(200000, rel=2e-3)


def test_a_wrong_start_is_found_out() -> None:
    """The distance of the set that goes astray is 8 % too large; the image knows the right one."""
    powder = sets.astray(small=True)
    image = powder_image(powder)
    better = better_start(image, rings(), replace(powder.start, y_bc=254.4, z_bc=258.8))
    assert better is not None
    assert better.lsd == pytest.approx(powder.detector.lsd, rel=2e-3)
    assert better_start(image, rings(), powder.detector) is None


def test_wrong_rings_disagree() -> None:
    """With every ring taken for the next one no distance makes the mean strains equal."""
    two_theta = rings().two_theta(sets.WAVELENGTH)[:13]
    tangent = np.tan(np.radians(two_theta))
    ring = np.repeat(np.arange(12), 20)
    noise = 2e-4 * np.random.default_rng(4).normal(size=len(ring))
    assert not rings_disagree(noise, ring, two_theta)
    radius = tangent[ring]  # the true one, at distance 1
    taken = ring + 1
    distance = (radius / tangent[taken]).mean()
    assert rings_disagree(radius / (distance * tangent[taken]) - 1 + noise, taken, two_theta)
    assert not rings_disagree(noise[:40], ring[:40], two_theta)
