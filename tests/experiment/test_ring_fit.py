"""The fit of a geometry to points on rings, against numbers of docs/theory/calibration.md."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ring_points import FLAT, FLAT_START, corrected_radius, ring_points

from midas.experiment.ring_fit import GEOMETRY, RingFitSettings, solve
from midas.experiment.ring_model import INSTRUMENT, RingModel, Setting

#: steps of the differences, about the size that the numbers matter with
STEPS = {"Lsd": 30.0, "BCy": 0.02, "BCz": 0.02, "Wavelength": 1e-6, "p0": 1e-5, "p1c": 1e-5, "p1s": 1e-5, "p2": 1e-5}


def test_slopes_are_those_of_the_definitions() -> None:
    detector = replace(FLAT, tx=7.0, ty=3.0, tz=-2.0, y_bc=-300.0)
    points = ring_points()
    setting = Setting.of(detector)
    model = RingModel(points, setting, INSTRUMENT)
    tangents = np.tan(2 * np.arcsin(FLAT.wavelength / (2 * points.d_spacing)))
    radius = corrected_radius(detector, points.y_px, points.z_px)
    strain, slopes = model.strains(setting)
    np.testing.assert_allclose(strain, radius / (detector.lsd * tangents) - 1, atol=1e-13)

    def strain_at(name: str, step: float) -> np.ndarray:
        moved = setting.moved({name: setting.value(name) + step}).detector
        tangents = np.tan(2 * np.arcsin(moved.wavelength / (2 * points.d_spacing)))
        return corrected_radius(moved, points.y_px, points.z_px) / (moved.lsd * tangents) - 1

    for name, column in zip(INSTRUMENT, slopes.T, strict=True):
        step = STEPS.get(name, 1e-3)
        difference = (strain_at(name, step) - strain_at(name, -step)) / (2 * step)
        assert np.abs(difference - column).max() < 1e-6 * np.abs(column).max(), name


def test_finds_the_flat_detector() -> None:
    fit = solve(ring_points(), Setting.of(FLAT_START))
    assert fit.converged
    for name in GEOMETRY:
        assert fit.setting.value(name) == pytest.approx(Setting.of(FLAT).value(name), rel=1e-8, abs=1e-9)
    assert fit.setting.detector.p1 == pytest.approx(1.5e-4) and fit.setting.detector.p3 == pytest.approx(-150)


def test_bounds_hold_and_are_told() -> None:
    fit = solve(ring_points(), Setting.of(FLAT_START), RingFitSettings(tolerances={"Lsd": 500.0, "ty": 0.0}))
    assert fit.setting.detector.lsd == FLAT_START.lsd - 500.0
    assert fit.on_bound == ("Lsd",)
    assert fit.setting.detector.ty == 0.0 and "ty" not in fit.names
