"""The detector and the leaning axis with rotation matrices, written without the kernels: what tests compare with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from midas.experiment.detector import DetectorGeometry

Array = NDArray[np.float64]


def rotation(axis: int, degrees: float) -> Array:
    """Right-handed rotation about x, y or z."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix = np.eye(3)
    i, j = [(1, 2), (2, 0), (0, 1)][axis]
    matrix[i, i] = matrix[j, j] = c
    matrix[i, j], matrix[j, i] = -s, s
    return matrix


def ideal_plane(d: DetectorGeometry, y_px: Array, z_px: Array) -> tuple[Array, Array]:
    """y, z on the ideal plane: the ray through the tilted pixel, then the distortion of its radius."""
    in_plane = np.array([np.zeros_like(y_px), -(y_px - d.y_bc) * d.px, (z_px - d.z_bc) * d.px])
    pixel = rotation(0, d.tx) @ rotation(1, d.ty) @ rotation(2, d.tz) @ in_plane + np.array([[d.lsd], [0], [0]])
    y, z = pixel[1] / pixel[0] * d.lsd, pixel[2] / pixel[0] * d.lsd
    rho = np.hypot(y, z) / d.rho_d
    eta = -np.degrees(np.arctan2(y, z))
    two_fold = np.cos(np.radians(2 * (90 - eta)))
    four_fold = np.cos(np.radians(4 * (90 - eta) + d.p3))
    factor = 1 + d.p0 * rho**2 * two_fold + d.p1 * rho**4 * four_fold + d.p2 * rho**2
    return y * factor, z * factor


def scattering_vectors(lsd: float, wavelength: float, y: Array, z: Array) -> Array:
    """(3, n) k_out - k_in in the laboratory, 1/Å, of spots at (y, z) on the ideal plane."""
    ray = np.array([np.full_like(y, lsd), y, z])
    return ray / np.linalg.norm(ray, axis=0) / wavelength - np.array([[1 / wavelength], [0], [0]])


def without_wedge(lsd: float, wavelength: float, y: Array, z: Array, omega: Array, wedge: float) -> Array:
    """Omega at which the same reflection fires with the rotation axis along z: the nearer of two solutions."""
    k = scattering_vectors(lsd, wavelength, y, z)
    goniometer = rotation(1, wedge) @ k
    c, s = np.cos(np.radians(omega)), np.sin(np.radians(omega))
    g1, g2 = c * goniometer[0] + s * goniometer[1], -s * goniometer[0] + c * goniometer[1]
    length2 = (k * k).sum(axis=0)
    # x_lab = g1 cos - g2 sin = -wavelength |g|²/2
    phase, reach = np.arctan2(g2, g1), np.hypot(g1, g2)
    turn = np.arccos(-wavelength * length2 / 2 / reach)
    shifts = np.degrees(np.array([turn - phase, -turn - phase])) - omega
    shifts = (shifts + 180) % 360 - 180
    return omega + shifts[np.abs(shifts).argmin(axis=0), np.arange(len(omega))]
