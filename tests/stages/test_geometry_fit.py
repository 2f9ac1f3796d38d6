"""The fit of DoFit 1 against the numbers of docs/theory/fit_setup.md#fit-of-the-geometry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ring_points import FLAT, pixels

from midas.experiment.detector import DetectorGeometry
from midas.formats import hkls, radius
from midas.runtime.errors import StageError
from midas.stages.geometry_fit import fit_geometry

START = DetectorGeometry(1e6, 1022, 1022, 200, 204800)
#: mean of the three grains of which the spots are, over that of the parameter file: rings cannot tell it from Lsd
LENGTHS = (4.081838, 4.080082, 4.081172, 4.083518, 4.081822, 4.080661, 4.084036, 4.082091, 4.078819)
MEAN_LATTICE = np.mean(LENGTHS) / 4.08


@pytest.mark.golden
@pytest.mark.parametrize(
    "start",
    [START, replace(START, lsd=1000900, y_bc=1022.3, z_bc=1021.8, ty=-0.15, tz=0.1)],
    ids=["as given", "displaced"],
)
def test_converges_to_the_truth_from_anywhere(golden: Callable[[str], Path], start: DetectorGeometry) -> None:
    """292 spots of three grains; the legacy objective ends 120 µm, 0.08 px and 0.035 degrees away."""
    folder = golden("au3")
    peaks = radius.LAYOUT.read(folder / "Radius_StartNr_1_EndNr_1440.csv")
    reflections = hkls.LAYOUT.read(folder / "hkls.csv")
    theta = dict(zip(reflections["ring"], reflections["theta"], strict=True))
    two_theta = np.array([2 * theta[ring] for ring in peaks["ring"]])
    fit = fit_geometry(start, peaks["y_recorded"], peaks["z_recorded"], two_theta, tol_lsd=5000, tol_bc=1, tol_tilts=1)
    found = fit.detector
    assert found.lsd == pytest.approx(1e6 / MEAN_LATTICE, abs=20)
    assert [found.y_bc, found.z_bc] == pytest.approx([1022, 1022], abs=0.01)
    assert [found.ty, found.tz] == pytest.approx([0, 0], abs=0.003)
    assert found.lsd == pytest.approx(1e6 - 390.035, abs=0.02), "the same from both starts"
    assert fit.deviation < fit.initial_deviation and fit.on_bound == ()
    assert fit.sigma["Lsd"] == pytest.approx(27.5, rel=0.01)


def test_tilts_and_distortion_of_the_start_count() -> None:
    """Spots of grains a few hundred µm beside the axis, on a tilted and distorted detector."""
    random = np.random.default_rng(5)
    two_theta = random.choice([3.2, 5.3, 6.5, 8.0, 9.2, 10.6], 1547)
    y_px, z_px = pixels(FLAT, two_theta, random.uniform(-180, 180, 1547))
    y_px, z_px = y_px + random.normal(0, 1, 1547), z_px + random.normal(0, 1, 1547)
    start = replace(FLAT, lsd=FLAT.lsd + 1500, y_bc=FLAT.y_bc - 0.8, z_bc=FLAT.z_bc + 0.6, ty=0.0, tz=0.0)
    fit = fit_geometry(start, y_px, z_px, two_theta, tol_lsd=5000, tol_bc=1, tol_tilts=1)
    truth = {"Lsd": FLAT.lsd, "BCy": FLAT.y_bc, "BCz": FLAT.z_bc, "ty": FLAT.ty, "tz": FLAT.tz}
    found = (fit.detector.lsd, fit.detector.y_bc, fit.detector.z_bc, fit.detector.ty, fit.detector.tz)
    for (name, true), value in zip(truth.items(), found, strict=True):
        assert value == pytest.approx(true, abs=3 * fit.sigma[name])
    assert fit.sigma["ty"] < 0.06 and fit.detector.p0 == FLAT.p0


def test_stays_within_its_bounds() -> None:
    eta = np.arange(-180.0, 180, 4)
    y_px, z_px = pixels(replace(START, lsd=1_010_000), np.full(90, 6.0), eta)
    fit = fit_geometry(START, y_px, z_px, np.full(90, 6.0), tol_lsd=2000, tol_bc=0, tol_tilts=0)
    assert fit.detector == replace(START, lsd=1_002_000)
    assert fit.on_bound == ("Lsd",) and set(fit.sigma) == {"Lsd"}


def test_too_few_spots() -> None:
    few = np.array([1100.0, 1000.0, 1050.0])
    with pytest.raises(StageError, match="3 points on rings are too few for 5 numbers"):
        fit_geometry(START, few, few[::-1].copy(), np.full(3, 6.0), tol_lsd=2000, tol_bc=1, tol_tilts=1)
