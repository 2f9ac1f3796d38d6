"""Points on powder rings in closed form, with a geometry of their own: plain numpy, straight from the definitions."""

from __future__ import annotations

import numpy as np
from geometry_model import ideal_plane, rotation
from numpy.typing import NDArray

from midas.experiment.detector import DetectorGeometry
from midas.experiment.ring_model import RingPoints

Array = NDArray[np.float64]

WAVELENGTH = 0.172973
CERIA = 5.4116
#: sums of squares of the indices of ceria's rings
CERIA_RINGS = (3, 4, 8, 11, 12, 16, 19, 20, 24, 27, 32, 35, 36)
#: and those farther out
MORE_RINGS = (*CERIA_RINGS, 40, 43, 44, 48, 51, 52, 56, 59, 64, 67, 68, 72, 75, 76, 80, 83, 84, 88, 91, 96, 99, 100)
FLAT = DetectorGeometry(
    1000350,
    1022.37,
    1027.81,
    200,
    200000,
    ty=0.31,
    tz=-0.24,
    p0=2e-4,
    p1=1.5e-4,
    p2=8e-4,
    p3=-150,
    wavelength=WAVELENGTH,
)
FLAT_START = DetectorGeometry(1001500, 1021, 1029, 200, 200000, wavelength=WAVELENGTH)


def distortion(detector: DetectorGeometry, radius: Array, eta: Array) -> Array:
    """Factor on the radius; eta in radians."""
    rho, turned = radius / detector.rho_d, np.pi / 2 - eta
    four_fold = detector.p1 * rho**4 * np.cos(4 * turned + np.radians(detector.p3))
    return 1 + detector.p0 * rho**2 * np.cos(2 * turned) + four_fold + detector.p2 * rho**2


def corrected_radius(detector: DetectorGeometry, y_px: Array, z_px: Array) -> Array:
    """Radius on the plane, µm."""
    return np.asarray(np.hypot(*ideal_plane(detector, y_px, z_px)))


def pixels(detector: DetectorGeometry, two_theta: Array, eta: Array) -> tuple[Array, Array]:
    """Where rings are, angles in degrees."""
    eta, wanted = np.radians(eta), detector.lsd * np.tan(np.radians(two_theta))
    radius = wanted
    for _ in range(60):
        radius = wanted / distortion(detector, radius, eta)
    ray = np.array([detector.lsd + 0 * radius, -radius * np.sin(eta), radius * np.cos(eta)])
    t = rotation(0, detector.tx) @ rotation(1, detector.ty) @ rotation(2, detector.tz)
    length = detector.lsd * t[0, 0] / (t[:, 0] @ ray)
    _, y, z = t.T @ (length * ray - np.array([[detector.lsd], [0], [0]]))
    return detector.y_bc - y / detector.px, detector.z_bc + z / detector.px


def ring_points(
    detector: DetectorGeometry = FLAT,
    rings: tuple[int, ...] = CERIA_RINGS,
    eta: Array | None = None,
    sigma: float = 0.02,
    noise: np.random.Generator | None = None,
) -> RingPoints:
    """The same azimuths (degrees) on every ring; moved along the radius by the noise."""
    eta = np.arange(-179.0, 180, 2) if eta is None else eta
    assert detector.wavelength is not None
    spacing = np.repeat(CERIA / np.sqrt(np.array(rings, float)), len(eta))
    eta = np.tile(eta, len(rings))
    y, z = pixels(detector, 2 * np.degrees(np.arcsin(detector.wavelength / (2 * spacing))), eta)
    if noise is not None:
        off = noise.normal(0.0, sigma, len(y))
        y, z = y + off * np.sin(np.radians(eta)), z + off * np.cos(np.radians(eta))
    return RingPoints.of(y, z, spacing, sigma)


MODULES = DetectorGeometry(
    657436.9, 685.485, 921.034, 172, 219964.4, 0, 0.2006, 0.4469, 2.6e-4, 5.6e-5, -4.1e-4, 26.15, WAVELENGTH
)


def modules(shifts: Array | None = None) -> Array:
    """Six by eight panels of 243 x 195 pixels; shifts (48, 3) in px, px, degrees."""
    y, z = (
        [i * size + sum(gaps[:i]) for i in range(len(gaps) + 1)]
        for size, gaps in ((243, (1, 7, 1, 7, 1)), (195, [17] * 7))
    )
    shifts = np.zeros((48, 3)) if shifts is None else shifts
    corners = [[a, a + 242, b, b + 194] for a in y for b in z]
    turns = np.radians(shifts[:, 2])
    return np.column_stack([corners, np.cos(turns), np.sin(turns), shifts[:, :2]]).astype(float)


def points_on(panels: Array, points: RingPoints) -> RingPoints:
    """Those that a panel sees, where it sees them."""
    y, z, panel = points.y_px.copy(), points.z_px.copy(), points.panel.copy()
    for number, (y0, y1, z0, z1, c, s, dy, dz) in enumerate(panels):
        middle_y, middle_z = (y0 + y1) / 2, (z0 + z1) / 2
        u, v = points.y_px - middle_y - dy, points.z_px - middle_z - dz
        u, v = c * u + s * v + middle_y, c * v - s * u + middle_z
        seen = (np.abs(u - middle_y) < (y1 - y0) / 2) & (np.abs(v - middle_z) < (z1 - z0) / 2)
        y[seen], z[seen], panel[seen] = u[seen], v[seen], number
    seen = panel >= 0
    return RingPoints.of(y[seen], z[seen], points.d_spacing[seen], points.sigma[seen], panel[seen])
