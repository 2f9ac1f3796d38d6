"""DoFit 1 with LegacyDigits 1 against the numbers of docs/theory/fit_setup.md#legacy-ring-misfit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from midas._ext.fit_setup import ring_misfit
from midas.experiment.detector import DetectorGeometry
from midas.formats import hkls, radius
from midas.stages.legacy_geometry_fit import fit_legacy_geometry

START = DetectorGeometry(1e6, 1022, 1022, 200, 204800)


@pytest.mark.golden
@pytest.mark.parametrize(
    "start",
    [START, replace(START, lsd=1000900, y_bc=1022.3, z_bc=1021.8, ty=-0.15, tz=0.1)],
    ids=["as given", "displaced"],
)
def test_converges_from_anywhere(golden: Callable[[str], Path], start: DetectorGeometry) -> None:
    folder = golden("au3")
    peaks = radius.LAYOUT.read(folder / "Radius_StartNr_1_EndNr_1440.csv")
    reflections = hkls.LAYOUT.read(folder / "hkls.csv")
    theta = dict(zip(reflections["ring"], reflections["theta"], strict=True))
    two_theta = np.array([2 * theta[ring] for ring in peaks["ring"]])
    fit = fit_legacy_geometry(
        start, peaks["y_recorded"], peaks["z_recorded"], two_theta, tol_lsd=5000, tol_bc=1, tol_tilts=1, threads=1
    )
    assert fit.detector.ty == pytest.approx(-0.0346, abs=1e-4)
    assert fit.deviation < fit.initial_deviation
    tangents = np.tan(np.radians(two_theta))
    misfit, bins = ring_misfit(peaks["y_recorded"], peaks["z_recorded"], tangents, fit.detector.packed(), 2)
    assert misfit == pytest.approx(0.0213914, abs=1e-7)
    assert fit.deviation == misfit / bins


def test_stays_within_its_bounds() -> None:
    eta = np.radians(np.arange(-180.0, 180, 4))
    distance = 1_010_000 * np.tan(np.radians(6.0)) / 200
    y_px, z_px = 1022 + distance * np.sin(eta), 1022 + distance * np.cos(eta)
    fit = fit_legacy_geometry(START, y_px, z_px, np.full(eta.size, 6.0), tol_lsd=2000, tol_bc=0, tol_tilts=0, threads=1)
    assert fit.detector == replace(START, lsd=pytest.approx(1_002_000), y_bc=1022.0, z_bc=1022.0)
