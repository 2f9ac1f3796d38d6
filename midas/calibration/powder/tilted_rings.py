"""Distance, beam and tilts together, from where the rings are in sectors of the image.

See docs/theory/calibration.md#start-without-a-guess.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from midas.calibration.powder.centre import Centre, binned, compressed
from midas.calibration.powder.image import PowderImage
from midas.calibration.powder.rings import Rings
from midas.experiment.noise import robust_spread

Array = NDArray[np.float64]

#: sectors of the image, and pixels along a side of the image that they are taken from
_SECTORS, _SIDE = 36, 1024
#: half widths of the windows around rings in one pass after the other, and the least, px; pixels of a bin; points
_WINDOWS, _NARROWEST, _FEWEST, _FEWEST_POINTS = (10, 7, 5), 3, 3, 30
#: height of a peak in a sector, in standard deviations
_SIGNIFICANT = 5.0
#: sine of the largest tilt: more is the sign of rings that were taken for others
STEEPEST = 0.25
#: residual (px) beyond which a point counts little
_STRAY = 1.0


@dataclass(frozen=True)
class Tilted:
    """A detector without distortion, in units of its pixels.

    Parameters
    ----------
    lsd : px
    y, z : beam centre, px
    lean_y, lean_z : how much farther downstream a pixel stands for each px away from the beam centre along y, z
    """

    lsd: float
    y: float
    z: float
    lean_y: float = 0.0
    lean_z: float = 0.0

    @classmethod
    def of(cls, centre: Centre, lsd: float) -> Tilted:
        """From what the first order tells."""
        leans = np.clip([-centre.lean_y * lsd, -centre.lean_z * lsd], -0.5, 0.5)
        return cls(lsd, centre.y, centre.z, *map(float, leans))

    def radius(self, dy: NDArray[np.floating], dz: NDArray[np.floating]) -> NDArray[np.floating]:
        """Radius (px) on the plane without tilt, of pixels dy, dz from the beam centre."""
        along = self.lean_y * dy + self.lean_z * dz
        across = np.sqrt(np.maximum(dy * dy + dz * dz - along * along, 0))
        radius: NDArray[np.floating] = across / np.maximum(1 + along / self.lsd, 0.1)
        return radius

    def place(self, radius: Array, cosine: Array, sine: Array) -> tuple[Array, Array]:
        """Pixels on a ring in a direction from the beam: the inverse of `radius`."""
        along = self.lean_y * cosine + self.lean_z * sine
        distance = radius / (np.sqrt(1 - along * along) - radius * along / self.lsd)
        return self.y + distance * cosine, self.z + distance * sine

    @property
    def tilts(self) -> tuple[float, float]:
        """`ty` and `tz`, degrees."""
        ty = float(np.arcsin(self.lean_z))
        return float(np.degrees(ty)), float(np.degrees(np.arcsin(np.clip(self.lean_y / np.cos(ty), -1, 1))))


def fitted(image: PowderImage, rings: Rings, wavelength: float, start: Tilted) -> Tilted:
    """The geometry that the places of the rings tell; `start` itself when there are too few places.

    Parameters
    ----------
    wavelength : Å
    start : within some px of the rings

    Returns
    -------
    Tilted
    """
    tangent = np.tan(np.radians(rings.two_theta(wavelength)))
    tangent = tangent[np.isfinite(tangent) & (tangent > 0)]
    pixels = _Pixels.of(image)
    found = start
    for window in _WINDOWS:
        points = pixels.points(found, tangent, window)
        if len(points) < _FEWEST_POINTS:
            return start
        found = _solved(points, found)
    return found


def _solved(points: Array, start: Tilted) -> Tilted:
    """Least squares with little weight on strays; rows of `points`: tangent of the ring, y, z."""
    tangent, y, z = points.T

    def residuals(numbers: Array) -> Array:
        lsd, y_bc, z_bc, lean_y, lean_z = numbers
        model = Tilted(lsd, y_bc, z_bc, lean_y, lean_z)
        found: Array = model.radius(y - y_bc, z - z_bc) - lsd * tangent
        return found

    first = np.array([start.lsd, start.y, start.z, start.lean_y, start.lean_z])
    scale = np.array([start.lsd * 1e-3, 1.0, 1.0, 1e-2, 1e-2])
    best = optimize.least_squares(residuals, first, x_scale=scale, loss="cauchy", f_scale=_STRAY)
    if not np.isfinite(best.x).all() or np.hypot(*best.x[3:]) > STEEPEST:
        return start
    return Tilted(*map(float, best.x))


@dataclass(frozen=True)
class _Pixels:
    """Pixels, or blocks of `step` x `step` of them: their places (px) and signal."""

    y: NDArray[np.float32]
    z: NDArray[np.float32]
    values: NDArray[np.float32]
    step: int

    @classmethod
    def of(cls, image: PowderImage) -> _Pixels:
        counts, used, step = binned(image, _SIDE)
        z, y = np.nonzero(used)
        middle = (step - 1) / 2
        y_px, z_px = ((index * step + middle).astype(np.float32) for index in (y, z))
        return cls(y_px, z_px, compressed(counts, used)[z, y], step)

    def points(self, geometry: Tilted, tangent: Array, window: float) -> Array:
        """(n, 3) tangent of a ring, and y and z of where it is in a sector."""
        mean, number = self._sectors(geometry)
        noise = robust_spread(np.diff(mean, axis=1)[number[:, 1:] > 0], 0.0) / np.sqrt(2)
        direction = 2 * np.pi * (np.arange(_SECTORS) + 0.5) / _SECTORS - np.pi
        predicted = geometry.lsd * tangent
        gaps = np.diff(predicted, prepend=-np.inf, append=np.inf)
        found = []
        for place, half in zip(predicted, np.minimum(gaps[:-1], gaps[1:]) / 2, strict=True):
            bins = int(min(window, half) / self.step)
            first = int(place / self.step) - bins
            if min(window, half) < _NARROWEST or bins < 1 or first < 0 or first + 2 * bins + 1 > mean.shape[1]:
                continue
            part = slice(first, first + 2 * bins + 1)
            sector, at = _tops(mean[:, part], number[:, part], noise)
            radius = (first + at + 0.5) * self.step
            y, z = geometry.place(radius, np.cos(direction[sector]), np.sin(direction[sector]))
            found.append(np.column_stack([np.full(len(sector), place / geometry.lsd), y, z]))
        return np.concatenate(found) if found else np.empty((0, 3))

    def _sectors(self, geometry: Tilted) -> tuple[Array, NDArray[np.int64]]:
        """(sectors, bins of the radius) mean signal and number of pixels."""
        dy, dz = self.y - np.float32(geometry.y), self.z - np.float32(geometry.z)
        radius = (geometry.radius(dy, dz) / self.step).astype(np.int32)
        sector = ((np.arctan2(dz, dy) + np.float32(np.pi)) * np.float32(_SECTORS / (2 * np.pi))).astype(np.int32)
        bins = int(radius.max()) + 1
        index = np.minimum(sector, _SECTORS - 1) * bins + radius
        number = np.bincount(index, minlength=_SECTORS * bins).reshape(_SECTORS, bins)
        total = np.bincount(index, self.values, _SECTORS * bins).reshape(_SECTORS, bins)
        return total / np.maximum(number, 1), number


def _tops(mean: Array, number: NDArray[np.int64], noise: float) -> tuple[NDArray[np.intp], Array]:
    """Sectors in which a ring stands out, and where (bins)."""
    lowest = mean.min(axis=1, keepdims=True)
    height = mean - lowest
    top = height.argmax(axis=1)
    rows = np.arange(len(mean))
    clear = height[rows, top] > np.maximum(_SIGNIFICANT * noise, 2 * np.median(height, axis=1))
    sector = np.flatnonzero(clear & (number.min(axis=1) >= _FEWEST))
    # the centre of the light within two bins around the top, above half of its height
    light = np.maximum(height[sector] - 0.3 * height[sector, top[sector]][:, None], 0)
    columns = np.arange(mean.shape[1])
    light[np.abs(columns - top[sector][:, None]) > 2] = 0
    return sector, (light * columns).sum(axis=1) / light.sum(axis=1)
