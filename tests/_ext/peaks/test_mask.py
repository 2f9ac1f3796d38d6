"""Ring bands against the formulas of docs/theory/peaks.md#ring-mask, written with whole arrays."""

from __future__ import annotations

import numpy as np
import pytest

from midas._ext.peaks.mask import ring_thresholds
from midas.experiment.detector import DetectorGeometry


def reference(size: int, d: DetectorGeometry, radii: list[float], thresholds: list[float], width: float) -> np.ndarray:
    y, z = np.meshgrid(np.arange(size), np.arange(size), indexing="ij")
    v = np.stack([0 * y, (d.y_bc - y) * d.px, (z - d.z_bc) * d.px])
    (cx, sx), (cy, sy), (cz, sz) = ((np.cos(np.radians(t)), np.sin(np.radians(t))) for t in (d.tx, d.ty, d.tz))
    rx = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    ry = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    rz = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    wx, wy, wz = np.tensordot(rx @ ry @ rz, v, 1)
    radius = d.lsd / (d.lsd + wx) * np.hypot(wy, wz)
    with np.errstate(invalid="ignore"):
        eta = np.where(wy > 0, -1, 1) * np.arccos(wz / np.hypot(wy, wz))
    azimuth, rho = np.pi / 2 - eta, radius / d.rho_d
    factor = 1 + d.p2 * rho**2 + d.p0 * rho**2 * np.cos(2 * azimuth)
    factor += d.p1 * rho**4 * np.cos(4 * azimuth + np.radians(d.p3))
    out = np.zeros((size, size))
    for ring, threshold in zip(radii, thresholds, strict=True):
        out[np.abs(radius * factor / d.px - ring) < width] = threshold
    return out


FLAT = DetectorGeometry(1e6, 51.0, 47.0, 200.0, 20000.0)
TILTED = DetectorGeometry(3e5, 50.3, 47.7, 200.0, 20000.0, 1.0, -3.0, 2.0, 0.02, -0.03, 0.01, 33.0)


@pytest.mark.parametrize("detector", [FLAT, TILTED])
@pytest.mark.parametrize("threads", [1, 2])
def test_bands_of_flat_and_tilted_detectors(detector: DetectorGeometry, threads: int):
    radii, thresholds = [15.0, 30.0, 33.2, 60.1], [10.0, 20.0, 30.0, 0.0]
    found = ring_thresholds(100, detector.packed(), np.array(radii), np.array(thresholds), 2.3, threads)
    expected = reference(100, detector, radii, thresholds, 2.3)
    assert (found == expected).all()
    assert all((found == t).sum() > 50 for t in thresholds[:3])


def test_later_rows_win_and_edges_are_outside():
    radii = np.array([10.0, 12.0])
    found = ring_thresholds(100, FLAT.packed(), radii, np.array([1.0, 2.0]), 2.0)
    assert found[51 + 11, 47] == 2.0  # in both
    assert found[51 + 8, 47] == found[51 + 14, 47] == 0.0  # exactly on the outer edges
    assert found[51 + 9, 47] == 1.0


def test_beam_centre_is_on_no_ring():
    found = ring_thresholds(100, FLAT.packed(), np.array([0.0]), np.array([5.0]), 3.0)
    assert found[51, 47] == 0.0
    assert found[51, 48] == found[50, 47] == 5.0


def test_no_rings_and_unequal_lists():
    assert not ring_thresholds(8, FLAT.packed(), np.empty(0), np.empty(0), 1.0).any()
    with pytest.raises(ValueError, match="thresholds"):
        ring_thresholds(8, FLAT.packed(), np.ones(2), np.ones(1), 1.0)
