"""The fit of a geometry to points on rings, against numbers of docs/theory/calibration.md."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ring_points import (
    FLAT,
    FLAT_START,
    MODULES,
    MORE_RINGS,
    WAVELENGTH,
    corrected_radius,
    modules,
    points_on,
    ring_points,
)

from midas.experiment.ring_fit import GEOMETRY, RingFitSettings, RingSolution, solve
from midas.experiment.ring_gauge import solve_anchored
from midas.experiment.ring_model import INSTRUMENT, OF_PANEL, RingModel, RingPoints, Setting, taken_apart
from midas.runtime.errors import StageError

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


def test_slopes_of_panels_are_those_of_the_definitions() -> None:
    shifts = np.random.default_rng(1).normal(0, [2.0, 2.0, 3.0], (48, 3))
    points = points_on(modules(shifts), ring_points(MODULES, MORE_RINGS))
    setting = Setting.of(replace(MODULES, tx=3.0), modules(shifts))
    names = [f"{kind}{panel}" for panel in (0, 20, 40) for kind in OF_PANEL]
    model = RingModel(points, setting, names)
    tangents = np.tan(2 * np.arcsin(WAVELENGTH / (2 * points.d_spacing)))

    def strain_at(panel: int, moved: np.ndarray) -> np.ndarray:
        y0, y1, z0, z1 = modules()[panel, :4]
        turn = np.radians(moved[panel, 2])
        u, v = points.y_px - (y0 + y1) / 2, points.z_px - (z0 + z1) / 2
        y = (y0 + y1) / 2 + u * np.cos(turn) - v * np.sin(turn) + moved[panel, 0]
        z = (z0 + z1) / 2 + u * np.sin(turn) + v * np.cos(turn) + moved[panel, 1]
        return corrected_radius(setting.detector, y, z) / (setting.detector.lsd * tangents) - 1

    strain, slopes = model.strains(setting)
    for name, column in zip(names, slopes.T, strict=True):
        kind, panel = taken_apart(name)
        of_panel = points.panel == panel
        assert np.allclose(strain[of_panel], strain_at(panel, shifts)[of_panel], atol=1e-13)
        step = np.zeros((48, 3))
        step[panel, OF_PANEL.index(kind)] = 1e-2
        difference = (strain_at(panel, shifts + step) - strain_at(panel, shifts - step)) / 2e-2
        assert np.abs(difference - column)[of_panel].max() < 1e-6 * np.abs(column).max(), name
        assert not column[~of_panel].any()


@pytest.fixture(scope="module")
def shifted() -> tuple[RingPoints, Setting]:
    """Noisy points on shifted panels, and the truth in the gauge of the fit."""
    random = np.random.default_rng(7)
    shifts = random.normal(0, [0.2, 0.2, 0.02], (48, 3))
    others = np.arange(48) != 20  # in which the beam goes through
    shifts = np.where(others[:, None], shifts - shifts[others].mean(axis=0), 0.0)
    points = points_on(modules(shifts), ring_points(MODULES, MORE_RINGS, sigma=0.005, noise=random))
    return points, Setting.of(MODULES, modules(shifts))


PANELS = RingFitSettings(panels=True, floor=0.0, fewest_points=10)


@pytest.fixture(scope="module")
def panel_fit(shifted: tuple[RingPoints, Setting]) -> RingSolution:
    start = replace(MODULES, lsd=658400, y_bc=687.0, z_bc=919.5, ty=0, tz=0, p0=0, p1=0, p2=0, p3=0)
    return solve(shifted[0], Setting.of(start, modules()), PANELS)


def difference_of_maps(one: Setting, other: Setting) -> np.ndarray:
    """Relative, of tan two_theta, at pixels of all panels."""
    y, z = (a.ravel().astype(float) for a in np.meshgrid(np.arange(2, 1475, 31), np.arange(2, 1679, 31)))
    panel = np.full(len(y), -1)
    for number, (y0, y1, z0, z1, *_) in enumerate(modules()):
        panel[(y >= y0) & (y <= y1) & (z >= z0) & (z <= z1)] = number
    points = RingPoints.of(y, z, np.ones(len(y)), panel=panel)
    tangents = [1 + RingModel(points, setting, ()).strains(setting)[0] for setting in (one, other)]
    far = (panel >= 0) & (np.hypot(y - MODULES.y_bc, z - MODULES.z_bc) * MODULES.px > 20000)
    return (tangents[0] / tangents[1] - 1)[far]


def test_panels_find_the_true_map(shifted: tuple[RingPoints, Setting], panel_fit: RingSolution) -> None:
    assert panel_fit.converged and len(panel_fit.names) == len(GEOMETRY) + 3 * 47
    assert np.abs(panel_fit.shifts.mean(axis=0)).max() < 1e-12
    assert panel_fit.scale == pytest.approx(1, abs=0.06)
    assert np.abs(difference_of_maps(panel_fit.setting, shifted[1])).mean() < 3e-6
    truth = np.array([shifted[1].value(name) for name in panel_fit.names])
    pulls = (panel_fit.value - truth) / panel_fit.sigma
    assert np.mean(np.abs(pulls) < 3) >= 0.9


def test_a_held_panel_gives_the_same_map(shifted: tuple[RingPoints, Setting], panel_fit: RingSolution) -> None:
    held = solve_anchored(shifted[0], panel_fit, PANELS, 12)
    assert held.converged and held.shifts[12].tolist() == [0, 0, 0]
    assert np.abs(held.shifts - panel_fit.shifts).max() > 0.05
    assert np.abs(difference_of_maps(held.setting, panel_fit.setting)).max() < 0.05e-6


def test_a_panel_without_points_has_no_shift(shifted: tuple[RingPoints, Setting]) -> None:
    points, truth = shifted
    few = points.panel != 12
    few[np.flatnonzero(~few)[:9]] = True
    points = RingPoints.of(points.y_px[few], points.z_px[few], points.d_spacing[few], 0.005, points.panel[few])
    fit = solve(points, truth, PANELS)
    assert fit.shifts[12].tolist() == [0, 0, 0] and not {"dY12", "dZ12", "dTheta12"} & set(fit.names)
    with pytest.raises(StageError, match="FixPanelID: panel 12 has too few points"):
        solve_anchored(points, fit, PANELS, 12)


def test_an_earlier_shift_file_is_a_start(shifted: tuple[RingPoints, Setting], panel_fit: RingSolution) -> None:
    """Also one in which another panel stays: its mean goes into the beam centre."""
    held = solve_anchored(shifted[0], panel_fit, PANELS, 12)
    again = solve(shifted[0], held.setting, PANELS)
    assert again.steps <= panel_fit.steps
    assert np.abs(difference_of_maps(again.setting, panel_fit.setting)).max() < 0.05e-6
    few = replace(PANELS, free=("Lsd", "ty", "tz"))
    kept = solve(shifted[0], held.setting, few)
    assert kept.setting.detector.y_bc == held.setting.detector.y_bc
    np.testing.assert_allclose(np.delete(kept.shifts, 20, 0).mean(0), np.delete(held.shifts, 20, 0).mean(0), atol=1e-9)
