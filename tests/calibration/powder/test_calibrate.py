"""The order of work, from a start or from none, against images of known truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from powder_images import sets
from powder_images.recipe import PowderSet, powder_image
from powder_images.scoring import map_error
from powder_images.seen import rings_of, unshifted

from midas.calibration.powder.calibrate import PLACEMENT, Series, calibrate, outliers
from midas.calibration.powder.image import PowderImage
from midas.calibration.powder.result import FIXED, OK, ON_BOUND, UNDETERMINED, Calibration
from midas.calibration.powder.settings import CalibrationSettings
from midas.calibration.powder.verdict import robust_rms
from midas.experiment.ring_fit import GEOMETRY
from midas.experiment.ring_model import Setting
from midas.runtime.errors import StageError


@pytest.fixture(scope="module")
def flat() -> tuple[PowderSet, PowderImage]:
    powder = sets.flat(small=True)
    return powder, powder_image(powder)


@pytest.fixture(scope="module")
def found(flat: tuple[PowderSet, PowderImage]) -> Calibration:
    return run(*flat)


def run(powder: PowderSet, image: PowderImage, **settings: object) -> Calibration:
    start = settings.pop("start", powder.start)
    wanted = CalibrationSettings(panels=unshifted(powder), **settings)  # type: ignore[arg-type]
    return calibrate(image, rings_of(powder), start, wanted)  # type: ignore[arg-type]


def pulls(powder: PowderSet, found: Calibration) -> np.ndarray:
    """(fit - truth) / sigma of the free numbers."""
    truth = Setting.of(powder.detector, powder.panels.packed() if powder.panels else None)
    return np.array([(found.value[name] - truth.value(name)) / found.sigma[name] for name in found.free])


def same(one: Calibration, other: Calibration, sigmas: float) -> bool:
    return one.free == other.free and all(
        abs(one.value[name] - other.value[name]) <= sigmas * one.sigma[name] for name in one.free
    )


def test_a_flat_detector(flat: tuple[PowderSet, PowderImage], found: Calibration) -> None:
    powder, _ = flat
    assert found.free == GEOMETRY and not found.warnings
    assert np.abs(pulls(powder, found)).max() < 3.5 and np.sqrt(np.mean(pulls(powder, found) ** 2)) < 1.6
    assert map_error(powder, found.detector).mean < 5
    assert all(found.verdict[name] == (OK if name in GEOMETRY else FIXED) for name in found.names)
    assert found.start["Lsd"] == powder.start.lsd and robust_rms(found) < 50


@pytest.mark.parametrize(("factor", "y", "z"), [(1.01, 10, -10), pytest.param(0.99, 10, 10, marks=pytest.mark.long)])
def test_a_rough_start(
    flat: tuple[PowderSet, PowderImage], found: Calibration, factor: float, y: float, z: float
) -> None:
    powder, image = flat
    truth = powder.detector
    start = replace(powder.start, lsd=truth.lsd * factor, y_bc=truth.y_bc + y, z_bc=truth.z_bc + z)
    assert same(found, run(powder, image, start=start), 0.01)


def test_no_start(flat: tuple[PowderSet, PowderImage], found: Calibration) -> None:
    powder, image = flat
    nowhere = replace(powder.start, lsd=np.nan, y_bc=np.nan, z_bc=np.nan)
    assert same(found, run(powder, image, start=nowhere, search=True), 0.01)


@pytest.mark.long
def test_a_wrong_start(flat: tuple[PowderSet, PowderImage], found: Calibration) -> None:
    powder, image = flat
    wrong = run(powder, image, start=replace(powder.start, lsd=1.08 * powder.detector.lsd))
    assert same(found, wrong, 0.01)
    assert wrong.warnings == ["Lsd is -7.4 % from its start"]


def test_panels() -> None:
    powder = sets.modules(sets.Path(), small=True)
    image = powder_image(powder)
    found = run(powder, image)
    pull = pulls(powder, found)
    assert len(found.free) == 9 + 27 and (np.abs(pull) < 3).mean() > 0.9 and np.abs(pull).max() < 4
    assert map_error(powder, found.detector, found.panels).mean < 4
    assert np.abs(found.panels.mean(axis=0)).max() < 1e-9


@pytest.mark.long
def test_panels_in_another_gauge_or_not_at_all() -> None:
    powder = sets.modules(sets.Path(), small=True)
    image = powder_image(powder)
    found = run(powder, image)
    anchored = run(powder, image, anchor=4)
    assert (anchored.panels[4] == 0).all() and map_error(powder, anchored.detector, anchored.panels).mean < 4
    without = run(powder, image, fit_panels=False)
    assert (without.panels == 0).all() and robust_rms(without) > 4 * robust_rms(found)


def test_a_turned_image_is_the_same_geometry(flat: tuple[PowderSet, PowderImage], found: Calibration) -> None:
    powder, image = flat
    turned = replace(
        image, counts=np.ascontiguousarray(np.rot90(image.counts)), masked=np.ascontiguousarray(np.rot90(image.masked))
    )
    start = replace(powder.start, y_bc=powder.start.z_bc, z_bc=511 - powder.start.y_bc)
    other = run(powder, turned, start=start)
    assert abs(other.value["Lsd"] - found.value["Lsd"]) < 0.5
    assert abs(other.value["BCy"] - found.value["BCz"]) < 1e-3
    assert abs(other.value["BCz"] - (511 - found.value["BCy"])) < 1e-3
    tilts = sorted(abs(other.value[name]) for name in ("ty", "tz"))
    assert np.allclose(tilts, sorted(abs(found.value[name]) for name in ("ty", "tz")), atol=1e-3)


@pytest.mark.long
def test_several_distances_tell_the_wavelength(flat: tuple[PowderSet, PowderImage]) -> None:
    powder, image = flat
    far = sets.moved(small=True)
    series = Series([image, powder_image(far, seed=1)], (0.0, sets.travel(small=True)))
    start = replace(powder.start, wavelength=powder.start.wavelength * 1.001)
    settings = CalibrationSettings(free=(*GEOMETRY, "Wavelength"))
    found = calibrate(series, rings_of(powder), start, settings)
    assert found.verdict["Wavelength"] == OK and found.sigma["Wavelength"] < 2e-5 * sets.WAVELENGTH
    assert abs(found.value["Wavelength"] - sets.WAVELENGTH) < 3.5 * found.sigma["Wavelength"]
    assert abs(found.value["Lsd"] - powder.detector.lsd) < 3.5 * found.sigma["Lsd"]
    assert abs(found.value["BCy1"] - far.detector.y_bc) < 0.02
    assert np.bincount(found.image).min() > 300


def test_what_one_image_cannot_tell(flat: tuple[PowderSet, PowderImage]) -> None:
    powder, image = flat
    everything = (*GEOMETRY, "Wavelength")
    found = run(powder, image, free=everything)
    assert found.verdict["Wavelength"] == UNDETERMINED and found.free == GEOMETRY
    assert found.value["Wavelength"] == powder.start.wavelength and "Wavelength stays" in found.warnings[0]
    with pytest.raises(StageError, match="in one image distortion and wavelength look the same"):
        run(powder, image, free=everything, demanded=("Wavelength",))


def test_bounds_and_fixed_numbers(flat: tuple[PowderSet, PowderImage]) -> None:
    powder, image = flat
    found = run(powder, image, free=PLACEMENT, tolerances={"Lsd": 400.0, "ty": 1.0})
    assert found.verdict["Lsd"] == ON_BOUND and found.value["Lsd"] == powder.start.lsd - 400.0
    assert found.warnings[0] == "Lsd ended on the bound of its tolerance"
    assert found.verdict["p2"] == FIXED and found.value["p2"] == 0.0


def test_a_shadow_is_named(flat: tuple[PowderSet, PowderImage], found: Calibration) -> None:
    powder, image = flat
    z, y = np.indices(image.counts.shape)
    eta = np.degrees(np.arctan2(y - powder.detector.y_bc, z - powder.detector.z_bc))
    counts = np.where((eta > 28) & (eta < 112), 20.0, image.counts)
    dark = run(powder, replace(image, counts=counts))
    assert any("next to no points on rings between eta 30 and 110 degrees" in word for word in dark.warnings)
    assert abs(dark.value["Lsd"] - found.value["Lsd"]) < 4 * dark.sigma["Lsd"]


def test_images_that_tell_no_geometry(flat: tuple[PowderSet, PowderImage]) -> None:
    powder, image = flat
    with pytest.raises(StageError, match="saturated"):
        run(powder, replace(image, full_scale=500.0))
    noise = np.random.default_rng(0).poisson(50.0, image.counts.shape).astype(float)
    with pytest.raises(StageError):
        run(powder, replace(image, counts=noise))
    z, y = np.indices(image.counts.shape)
    eta = np.degrees(np.arctan2(y - powder.detector.y_bc, z - powder.detector.z_bc))
    with pytest.raises(StageError, match="degrees of azimuth"):
        run(powder, replace(image, masked=np.abs(eta) > 20))
    few = replace(powder.start, rho_d=18000.0)
    with pytest.raises(StageError, match="rings of the calibrant are nearer"):
        run(powder, image, start=few)


def test_rings_that_are_elsewhere_come_with_what_to_check(
    flat: tuple[PowderSet, PowderImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    powder, image = flat
    monkeypatch.setattr("midas.calibration.powder.calibrate._astray", lambda *_: "rings are 1.2 px away")
    monkeypatch.setattr("midas.calibration.powder.calibrate.WIDE_PASSES", 1)
    with pytest.raises(
        StageError, match=r"^rings are 1\.2 px away: check the energy, the pixel size, and which powder"
    ):
        run(powder, image, start=replace(powder.start, lsd=np.nan, y_bc=np.nan, z_bc=np.nan), search=True)


def test_outliers_by_a_factor_of_the_mean() -> None:
    strain = np.array([1.0, -1.0, 1.0, -1.0, 9.0, 3.0])
    assert not outliers(strain, 0.0, 1).any()
    assert outliers(strain, 2.0, 1).tolist() == [False] * 4 + [True, False]
    assert outliers(strain, 2.0, 2).tolist() == [False] * 4 + [True, True]


def test_threads_change_no_byte(flat: tuple[PowderSet, PowderImage], found: Calibration) -> None:
    two = run(*flat, threads=2)
    assert two.value == found.value and two.strain.tobytes() == found.strain.tobytes()
