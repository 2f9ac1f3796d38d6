"""The instrument: a beam along x, a rotation axis of any direction, a tilted and distorted detector.

The laboratory frame has x along the beam, z up, y to the left looking downstream, its origin where the beam meets the
axis. Pixel numbers grow to the right and upwards, whole numbers are the centres of pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .rotations import X_AXIS, Y_AXIS, Z_AXIS, about

Array = NDArray[np.float64]

_MOST_STEPS = 200


@dataclass(frozen=True)
class Instrument:
    """Where things stand.

    Parameters
    ----------
    lsd : from the origin to the detector along the beam, µm
    beam_centre : y and z of the pixel that the beam hits
    px : pixel size, µm
    rho_d : radius that normalises the distortion, µm
    wavelength : Å
    shape : rows and columns of the detector
    tilts : degrees about x, y and z: the detector is turned by Rx Ry Rz about the beam centre
    distortion : p0, p1, p2 and the phase p3 in degrees
    wedge : lean of the top of the rotation axis against the beam, degrees
    """

    lsd: float = 5e5
    beam_centre: tuple[float, float] = (128.0, 128.0)
    px: float = 800.0
    rho_d: float = 1e5
    wavelength: float = 0.172979
    shape: tuple[int, int] = (256, 256)
    tilts: tuple[float, float, float] = (0.0, 0.0, 0.0)
    distortion: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    wedge: float = 0.0

    @property
    def axis(self) -> Array:
        """(3,) unit vector of the rotation axis in the laboratory."""
        lean = np.radians(self.wedge)
        return np.array([-np.sin(lean), 0.0, np.cos(lean)])

    def to_laboratory(self, omega: Array) -> Array:
        """(..., 3, 3) matrices that carry the sample into the laboratory at angles (degrees).

        At omega 0 the sample's z axis lies along the rotation axis and its y axis across the beam; from there
        everything turns about the axis where it stands.
        """
        mounted = np.column_stack([np.cross(Y_AXIS, self.axis), Y_AXIS, self.axis])
        return about(self.axis, omega) @ mounted

    def detector(self) -> Array:
        """(3, 3): the detector's normal, its y and its z direction in the laboratory, as columns."""
        tx, ty, tz = self.tilts
        return np.asarray(about(X_AXIS, tx) @ about(Y_AXIS, ty) @ about(Z_AXIS, tz), np.float64)

    def pixels(self, origins: Array, directions: Array) -> tuple[Array, Array]:
        """Where rays are seen.

        A ray is stopped by the tilted surface. The distortion is defined between the pixel and the plane across the
        beam at `lsd`, each seen from the origin; so what is stopped at one place of the surface is read out at the
        pixel that lies where the line from the origin, moved by the distortion, meets the surface.

        Parameters
        ----------
        origins, directions : (n, 3), µm and of any length

        Returns
        -------
        y_px, z_px : (n,); NaN for rays that do not meet the detector in front of them
        """
        stopped = self._surface_point(origins, directions)
        y, z = self.lsd * stopped[:, 1] / stopped[:, 0], self.lsd * stopped[:, 2] / stopped[:, 0]
        shrink = self._without_distortion(y, z)
        seen = np.column_stack([np.full(len(y), self.lsd), shrink * y, shrink * z])
        local = (self._surface_point(np.zeros_like(seen), seen) - [self.lsd, 0, 0]) @ self.detector()
        return self.beam_centre[0] - local[:, 1] / self.px, self.beam_centre[1] + local[:, 2] / self.px

    def across_beam(self, origins: Array, directions: Array) -> tuple[Array, Array]:
        """y and z (µm) where rays pass the plane across the beam at `lsd`."""
        reach = (self.lsd - origins[:, 0]) / directions[:, 0]
        point = origins + reach[:, None] * directions
        return point[:, 1], point[:, 2]

    def factor(self, radius: Array, eta: Array) -> Array:
        """By what the distortion multiplies the radius (µm) of a pixel at an azimuth (degrees)."""
        p0, p1, p2, p3 = self.distortion
        rho, angle = radius / self.rho_d, np.radians(90 - eta)
        two_fold, four_fold = np.cos(2 * angle), np.cos(4 * angle + np.radians(p3))
        return np.asarray(1 + p0 * rho**2 * two_fold + p1 * rho**4 * four_fold + p2 * rho**2, np.float64)

    def _surface_point(self, origins: Array, directions: Array) -> Array:
        """(n, 3) where rays meet the detector's surface, µm in the laboratory; NaN behind them."""
        normal = self.detector()[:, 0]
        with np.errstate(divide="ignore", invalid="ignore"):
            reach = ((np.array([self.lsd, 0, 0]) - origins) @ normal) / (directions @ normal)
        return np.asarray(origins + np.where(reach > 0, reach, np.nan)[:, None] * directions, np.float64)

    def _without_distortion(self, y: Array, z: Array) -> Array:
        """Factors that undo the distortion of points of the plane, by repeated substitution."""
        wanted, eta = np.hypot(y, z), np.degrees(np.arctan2(-y, z))
        radius = wanted.copy()
        for _ in range(_MOST_STEPS):
            previous, radius = radius, wanted / self.factor(radius, eta)
            if not np.any(np.abs(radius - previous) > 2e-15 * wanted):
                break
        else:
            raise ValueError("the distortion has no inverse: its factors are too large")
        return np.divide(radius, wanted, out=np.ones_like(wanted), where=wanted > 0)
