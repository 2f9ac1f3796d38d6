"""Points on rings against images of known truth."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from powder_images import sets
from powder_images.recipe import PowderSet, expected, powder_image
from powder_images.seen import errors, means_of_rings, rings_of

from midas.calibration.powder.extract import Extraction, ExtractSettings, extract_all
from midas.calibration.powder.image import PowderImage
from midas.calibration.powder.points import Points
from midas.calibration.powder.quantum import quantum_of

NO_PANELS = np.empty((0, 8))


@pytest.fixture(scope="module")
def flat() -> tuple[PowderSet, PowderImage]:
    powder = sets.flat(small=True)
    return powder, powder_image(powder)


def seen(powder: PowderSet, image: PowderImage, settings: ExtractSettings | None = None) -> Extraction:
    panels = powder.panels.packed() if powder.panels else NO_PANELS
    return extract_all(image, powder.detector, rings_of(powder), panels, settings or ExtractSettings())


@pytest.mark.parametrize("name", ["flat", "sharp", "lab6", "doublets", "tilted", "beside", "shadowed", "saturated"])
def test_rings_are_where_they_are(name: str, flat: tuple[PowderSet, PowderImage]) -> None:
    powder = getattr(sets, name)(small=True)
    points = seen(powder, flat[1] if name == "flat" else powder_image(powder)).points
    strain, sigma = errors(powder, points)
    assert 0.85 < np.sqrt(np.mean((strain / sigma) ** 2)) < 1.15, "every sigma says how far its point is off"
    assert max(np.abs(strain / sigma)) < 6
    means = np.array(list(means_of_rings(powder, points).values()))
    assert np.sqrt(np.mean((means[:, 0] / means[:, 1]) ** 2)) < 2.0, "no ring as a whole is off"


@pytest.mark.long
def test_rings_of_a_large_image() -> None:
    powder = sets.flat()
    means = means_of_rings(powder, seen(powder, powder_image(powder)).points)
    assert len(means) == 13
    assert all(abs(mean) < min(3 * sigma, 3e-6) for mean, sigma in means.values())


def test_panels_have_points_of_their_own() -> None:
    powder = sets.modules(sets.Path(), small=True)
    assert powder.panels is not None
    points = seen(powder, powder_image(powder)).points
    strain, sigma = errors(powder, points)
    assert set(points.panel) == set(range(9))
    assert 0.9 < np.sqrt(np.mean((strain / sigma) ** 2)) < 1.1
    first = np.array([powder.panels.first(int(panel)) for panel in points.panel])
    place = np.column_stack([points.y_px, points.z_px]) - first
    assert (place > -2).all() and (place < np.array(powder.panels.sizes) + 1).all()


def test_bins_of_eta_do_not_move_the_rings(flat: tuple[PowderSet, PowderImage]) -> None:
    powder, image = flat
    means = [means_of_rings(powder, seen(powder, image, ExtractSettings(eta_bin=b)).points) for b in (0.5, 1, 2, 5)]
    for ring, (mean, sigma) in means[2].items():
        for other in means:
            # a straight chord of 5 degrees would be off by 635e-6; what is left are other bins at the edges
            assert abs(other[ring][0] - mean) < max(sigma, 2e-6)


def test_sharp_rings_between_pixels() -> None:
    powder = sets.sharp(small=True)
    mean = []
    for shift in (0.0, 0.3, 0.6):
        moved = replace(powder, detector=replace(powder.detector, y_bc=254.37 + shift, z_bc=258.81 + 0.6 * shift))
        image = replace(powder_image(powder), counts=sum(expected(moved)))
        points = seen(moved, image).points
        strain, _ = errors(moved, points)
        mean.append(strain.mean() * np.mean(moved.ring_radii()[points.ring]))
    assert np.abs(mean).max() < 0.005


def test_a_gap_takes_the_points_whose_peak_it_cuts(flat: tuple[PowderSet, PowderImage]) -> None:
    powder, image = flat
    whole = seen(powder, image).points
    masked = image.masked.copy()
    top = powder.detector.z_bc + powder.ring_radii()[3]
    masked[round(top) : round(top) + 6, 220:290] = True
    cut = seen(powder, replace(image, masked=masked)).points
    gone = set(zip(whole.ring, whole.eta, strict=True)) - set(zip(cut.ring, cut.eta, strict=True))
    assert gone and all(ring == 3 and abs(eta) < 15 for ring, eta in gone)
    strain, sigma = errors(powder, cut)
    assert max(np.abs(strain / sigma)) < 6


def test_single_bad_pixels_take_no_point(flat: tuple[PowderSet, PowderImage]) -> None:
    powder, image = flat
    bad = np.random.default_rng(1).random(image.masked.shape) < 0.01
    whole = seen(powder, image).points
    holes = seen(powder, replace(image, masked=image.masked | bad)).points
    assert len(holes) > 0.98 * len(whole)
    strain, sigma = errors(powder, holes)
    assert 0.9 < np.sqrt(np.mean((strain / sigma) ** 2)) < 1.1


def test_saturated_bins_have_no_point() -> None:
    powder = sets.saturated(small=True)
    image = powder_image(powder)
    found = seen(powder, image)
    full = found.saturated >= 0.9 * found.looked_for
    assert full.sum() >= 2 and not np.isin(found.points.ring, np.flatnonzero(full & (found.looked_for > 0))).any()
    assert (np.bincount(found.points.ring, minlength=len(full)) + found.saturated <= found.looked_for).all()


def test_spotty_rings_say_how_little_they_know() -> None:
    powder = sets.spotty(small=True)
    points = seen(powder, powder_image(powder)).points
    strain, sigma = errors(powder, points)
    assert np.median(points.chi2) > 10
    assert abs(np.median(strain)) < 1e-3 and np.median(np.abs(strain / sigma)) < 5


@pytest.mark.parametrize("factor", [1e-4, 0.02, 30.0])
def test_units_of_the_counts_hardly_matter(flat: tuple[PowderSet, PowderImage], factor: float) -> None:
    powder, image = flat
    points = seen(powder, replace(image, counts=image.counts * factor)).points
    strain, sigma = errors(powder, points)
    assert len(points) > 800 and 0.85 < np.sqrt(np.mean((strain / sigma) ** 2)) < 1.15
    assert np.median(points.height) == pytest.approx(factor * np.median(seen(powder, image).points.height), rel=0.01)


def test_photons_of_an_image(flat: tuple[PowderSet, PowderImage]) -> None:
    _, image = flat
    assert quantum_of(image) == quantum_of(replace(image, counts=image.counts * 5)) == 1.0
    assert quantum_of(replace(image, counts=image.counts / 8)) == pytest.approx(1 / 8, rel=0.15)
    rare = np.random.default_rng(2).poisson(0.01, image.counts.shape) * 0.25
    assert quantum_of(replace(image, counts=rare)) == 0.25
    assert quantum_of(replace(image, masked=np.ones_like(image.masked))) == 1.0


def test_an_image_of_nothing_has_no_points(flat: tuple[PowderSet, PowderImage]) -> None:
    powder, image = flat
    counts = np.random.default_rng(0).poisson(50.0, image.counts.shape).astype(float)
    noise = seen(powder, replace(image, counts=counts))
    assert len(noise.points) < 0.01 * noise.looked_for.sum()
    dark = seen(powder, replace(image, masked=np.ones_like(image.masked)))
    assert len(dark.points) == 0 and dark.looked_for.sum() == 0


def test_threads_change_no_byte(flat: tuple[PowderSet, PowderImage]) -> None:
    powder, image = flat

    def columns(threads: int) -> list[bytes]:
        points = extract_all(
            image, powder.detector, rings_of(powder), NO_PANELS, ExtractSettings(threads=threads)
        ).points
        return [getattr(points, field.name).tobytes() for field in fields(Points)]

    assert columns(1) == columns(2) == columns(3)
