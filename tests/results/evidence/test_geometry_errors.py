"""Mistakes of the instrument are found with their sizes and signs, and none where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import many_grains
import numpy as np
import pytest

import midas
from midas.experiment.detector import DetectorGeometry
from midas.results.evidence.geometry_errors import geometry_errors, scales_of
from midas.results.evidence.residuals import SpotResiduals, spot_residuals
from midas.results.report.source import PageOptions, Source

#: what is put wrong: field of the detector, amount, name among the numbers of the instrument, tolerance
WRONG = [
    ("y_bc", 0.3, "BCy", 0.03),
    ("y_bc", -0.3, "BCy", 0.03),
    ("tx", 0.1, "tx", 0.01),
    ("ty", 0.25, "ty", 0.03),
    ("tz", -0.25, "tz", 0.03),
    ("wedge", 0.05, "Wedge", 0.005),
    ("wedge", -0.05, "Wedge", 0.005),
]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SpotResiduals]:
    """The residuals of forty grains, without a mistake."""
    folder = tmp_path_factory.mktemp("layer")
    many_grains.write(folder, 40)
    residuals = Source(midas.read_results(Path(folder)), None, PageOptions()).residuals
    assert residuals is not None
    return residuals


def against(found: SpotResiduals, detector: DetectorGeometry) -> SpotResiduals:
    """The same spots and grains, with another detector in between."""
    return spot_residuals(found.spots, found.grains, detector)


def test_noise_is_no_mistake(found: SpotResiduals) -> None:
    assert geometry_errors(found) == []


@pytest.mark.parametrize("seed", range(5))
def test_noise_of_any_size_is_no_mistake(found: SpotResiduals, seed: int) -> None:
    rng = np.random.default_rng(seed)
    spots = replace(
        found.spots,
        y_px=found.spots.y_px + rng.normal(0, 0.2, len(found)),
        z_px=found.spots.z_px + rng.normal(0, 0.2, len(found)),
    )
    assert geometry_errors(spot_residuals(spots, found.grains, found.detector)) == []


@pytest.mark.parametrize(("field", "amount", "name", "tolerance"), WRONG)
def test_one_mistake(found: SpotResiduals, field: str, amount: float, name: str, tolerance: float) -> None:
    """The change takes it back."""
    used = replace(found.detector, **{field: getattr(found.detector, field) + amount})
    errors = geometry_errors(against(found, used))
    assert [error.name for error in errors] == [name]
    assert errors[0].change == pytest.approx(-amount, abs=tolerance)
    assert errors[0].value == pytest.approx(getattr(used, field)) and errors[0].significance > 6


def test_displaced_spots(found: SpotResiduals) -> None:
    """Spots a quarter of a pixel to larger columns are a beam centre at a larger column."""
    spots = replace(found.spots, y_px=found.spots.y_px + 0.25)
    errors = geometry_errors(spot_residuals(spots, found.grains, found.detector))
    assert [error.name for error in errors] == ["BCy"]
    assert errors[0].change == pytest.approx(0.25, abs=0.03)


def test_two_mistakes(found: SpotResiduals) -> None:
    used = replace(found.detector, y_bc=found.detector.y_bc + 0.3, tz=found.detector.tz + 0.3)
    errors = {error.name: error.change for error in geometry_errors(against(found, used))}
    assert set(errors) == {"BCy", "tz"}
    assert errors["BCy"] == pytest.approx(-0.3, abs=0.03) and errors["tz"] == pytest.approx(-0.3, abs=0.05)


def test_the_height_of_the_beam_centre_is_left_open(found: SpotResiduals) -> None:
    """The grains follow it exactly: no spot tells it."""
    used = replace(found.detector, z_bc=found.detector.z_bc + 0.5)
    assert geometry_errors(against(found, used)) == []


def test_few_spots_tell_nothing(found: SpotResiduals) -> None:
    few = found.spots.take(np.arange(len(found)) < 40)
    assert geometry_errors(spot_residuals(few, found.grains, replace(found.detector, y_bc=515.0))) == []


def test_signs_of_residuals(found: SpotResiduals) -> None:
    """Outwards and towards larger eta are positive; eta grows from +z towards -y, larger columns."""
    eta = np.radians(found.eta)
    out = replace(found.spots, y_px=found.spots.y_px + 0.5 * np.sin(eta), z_px=found.spots.z_px + 0.5 * np.cos(eta))
    around = replace(found.spots, y_px=found.spots.y_px + 0.5 * np.cos(eta), z_px=found.spots.z_px - 0.5 * np.sin(eta))
    px = found.detector.px
    for spots, radial, tangential in ((out, 0.5 * px, 0.0), (around, 0.0, 0.5 * px)):
        moved = spot_residuals(spots, found.grains, found.detector)
        assert np.median(moved.radial - found.radial) == pytest.approx(radial, abs=0.02 * px)
        assert np.median(moved.tangential - found.tangential) == pytest.approx(tangential, abs=0.02 * px)


def test_scales_are_those_of_the_noise(found: SpotResiduals) -> None:
    scales = scales_of(found)
    assert scales.shape == (3, len(found)) and (scales > 0).all()
    assert np.std(found.radial) == pytest.approx(scales[0].mean(), rel=0.5)


def test_spacings_are_those_of_the_cells(found: SpotResiduals) -> None:
    """The mean over the spots of a grain is about a third of the trace of its strain."""
    grain = np.bincount(found.spots.grain, found.spacing) / np.bincount(found.spots.grain)
    cells = found.grains.cell[:, :3].mean(axis=1) / found.grains.reference[0] - 1
    assert np.corrcoef(grain, 1e6 * cells)[0, 1] > 0.8
