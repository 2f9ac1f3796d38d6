"""A calibration that nothing was fitted for: points on true rings, in closed form, with strains that are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from midas.calibration.powder.image import PowderImage
from midas.calibration.powder.points import Points
from midas.calibration.powder.result import FIXED, OK, UNDETERMINED, Calibration
from midas.calibration.powder.rings import Rings
from midas.experiment.detector import DetectorGeometry

TRUTH = DetectorGeometry(
    lsd=400350.0, y_bc=254.37, z_bc=258.81, px=200.0, rho_d=60000.0, ty=0.31, tz=-0.24, p0=2e-4, p1=1.5e-4, p2=8e-4,
    p3=30.0, wavelength=0.172973,
)  # fmt: skip
START = replace(TRUTH, lsd=400800.0, y_bc=253.0, z_bc=260.0, ty=0.0, tz=0.0, p0=0.0, p1=0.0, p2=0.0, p3=0.0)
#: of all points, alternating in sign
STRAIN = 20e-6
FREE = ("Lsd", "BCy", "BCz", "ty", "tz", "p0", "p1c", "p1s")


def rings() -> Rings:
    """The first rings of CeO2."""
    squares = np.array([3, 4, 8, 11, 12, 16, 19])
    return Rings(np.arange(1, 8), 5.4116 / np.sqrt(squares), np.array([8, 6, 12, 24, 8, 6, 24]))


def numbers(detector: DetectorGeometry) -> dict[str, float]:
    """By the names of a calibration."""
    p3 = np.radians(detector.p3)
    return {
        "Lsd": detector.lsd, "BCy": detector.y_bc, "BCz": detector.z_bc, "tx": detector.tx, "ty": detector.ty,
        "tz": detector.tz, "p0": detector.p0, "p1c": detector.p1 * np.cos(p3), "p1s": detector.p1 * np.sin(p3),
        "p2": detector.p2, "Wavelength": detector.wavelength or 0.0,
    }  # fmt: skip


def calibration(panels: bool = False) -> Calibration:
    """The result of a fit that went well; with panels, four of them, of which the last has no points."""
    detector, lines = TRUTH, rings()
    assert detector.wavelength is not None
    two_theta = lines.two_theta(detector.wavelength)
    eta = np.arange(-178.0, 180.0, 4.0)
    ring = np.repeat(np.arange(len(lines)), len(eta))
    sign = np.where(np.arange(len(ring)) % 2, 1.0, -1.0)
    radius = detector.lsd * np.tan(np.radians(two_theta))[ring] * (1 + STRAIN * sign)
    around = np.tile(eta, len(lines))
    y_px, z_px = detector.pixel(np.degrees(np.arctan(radius / detector.lsd)), around)
    panel = np.full(len(ring), -1)
    if panels:
        panel = 2 * (y_px > 255.5).astype(int) + (z_px > 255.5)
    one = np.ones(len(ring))
    points = Points(y_px, z_px, 0.02 * one, ring, around, panel, one, 1000 * one, 50 * one)
    if panels:
        keep = panel != 3
        points, sign = points.take(keep), sign[keep]
    value, start = numbers(TRUTH), numbers(START)
    shifts = np.zeros((4, 3)) if panels else np.empty((0, 3))
    for number, row in enumerate(shifts):
        for name, x in zip(("dY", "dZ", "dTheta"), row.tolist(), strict=True):
            value[f"{name}{number}"], start[f"{name}{number}"] = x, 0.0
    sigma = {name: 1e-4 if name in FREE else np.nan for name in value}
    verdict = {name: OK if name in FREE else FIXED for name in value} | {"p2": UNDETERMINED}
    return Calibration(
        detector=detector, panels=shifts, names=tuple(value), value=value, start=start, sigma=sigma, verdict=verdict,
        correlation=np.eye(len(FREE)), free=FREE, points=points, rings=lines, strain=STRAIN * sign,
        sigma_strain=np.full(len(points), 1e-5), outlier=np.zeros(len(points), bool), scale=1.0, condition=30.0,
    )  # fmt: skip


def panel_boxes() -> NDArray[np.float64]:
    """Four panels without shifts, as `midas.experiment.panels.panels_of` gives them."""
    ends = [(0, 255), (256, 511)]
    return np.array([[*y, *z, 1.0, 0.0, 0.0, 0.0] for y in ends for z in ends], float)


def image() -> PowderImage:
    """An image with the rings in it."""
    z, y = np.mgrid[0:512, 0:512].astype(float)
    two_theta, _, _ = TRUTH.ideal(y, z)
    assert TRUTH.wavelength is not None
    counts = np.full(two_theta.shape, 60.0)
    for centre in rings().two_theta(TRUTH.wavelength):
        counts += 1000 * np.exp(-0.5 * ((two_theta - centre) / 0.03) ** 2)
    masked = np.zeros(counts.shape, bool)
    masked[250:256] = True
    return PowderImage(counts, masked, 1, np.inf, counts.shape)
