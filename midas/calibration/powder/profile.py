"""How wide rings are, and how much of a Lorentzian they have (docs/theory/calibration.md#points-on-rings)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from midas._ext.calibrate.pooled import pixel_profile
from midas._ext.numerics.elementwise import cos, hypot, sin

Array = NDArray[np.float64]

#: px, of a bin of a pooled profile, and how far it goes
BIN, EXTENT = 0.125, 15.0
#: px; narrower rings cannot be told from each other
NARROWEST = 0.3
#: rings of which a width is asked for its change with the radius, and for the curvature of that
FEWEST_FOR_SLOPE, FEWEST_FOR_CURVE = 3, 6
#: parts of a width and of the mixing by which rings may differ from a smooth curve
ROUGHNESS = 0.05, 0.1


@dataclass(frozen=True)
class RingShape:
    """Width (px) and part of the Lorentzian of a ring as polynomials of its radius (px)."""

    width: tuple[float, ...] = (2.0,)
    mixing: tuple[float, ...] = (0.5,)
    narrowest: float = NARROWEST
    widest: float = 20.0

    def fwhm_at(self, radius: Array) -> Array:
        """px; of the shape of `radius`."""
        return np.clip(np.polyval(self.width, radius), self.narrowest, self.widest)

    def mixing_at(self, radius: Array) -> Array:
        """Between 0 and 1."""
        return np.clip(np.polyval(self.mixing, radius), 0.0, 1.0)


def shape_of(pooled: Array, radius: Array, half_widths: Array, before: RingShape) -> RingShape:
    """The shape that pooled profiles have.

    Parameters
    ----------
    pooled : (w, 3, n), of `midas._ext.calibrate.pooled.pooled_profiles`, bins of `BIN` px
    radius : (w,) px, of the rings
    half_widths : (w,) px, how far each profile goes
    before : what the points were found with, and the result where no profile says more
    """
    rows = []
    for ring, (above, heights, variance) in enumerate(pooled):
        middle = (len(above) - 1) // 2
        x = (np.arange(len(above)) - middle) * BIN
        used = (heights > 0) & (np.abs(x) < half_widths[ring])
        if used.sum() > 12:
            start = float(before.fwhm_at(radius[ring])), float(before.mixing_at(radius[ring]))
            fit = _fit(x[used], above[used] / heights[used], np.sqrt(variance[used]) / heights[used], start)
            if fit is not None:
                rows.append((radius[ring], *fit))
    if not rows:
        return before
    table = np.array(rows)
    seen = table[:, 1]
    return RingShape(
        width=_smooth(table[:, 0], seen, hypot(table[:, 3], ROUGHNESS[0] * seen)),
        mixing=_smooth(table[:, 0], table[:, 2], hypot(table[:, 4], ROUGHNESS[1])),
        narrowest=max(0.8 * float(seen.min()), NARROWEST),
        widest=1.25 * float(seen.max()),
    )


def _fit(x: Array, value: Array, sigma: Array, start: tuple[float, float]) -> tuple[float, ...] | None:
    """Width, mixing and their sigma of one profile; None when it has none."""
    # the mean direction of a ring across pixels
    slopes = cos(np.pi / 8), sin(np.pi / 8)

    def rest(p: Array) -> Array:
        return np.asarray((p[0] * pixel_profile(x, p[1], p[2], *slopes) + p[3] - value) / sigma)

    bounds = ([0.0, NARROWEST, 0.0, -1.0], [10.0, 2 * EXTENT, 1.0, 1.0])
    first = np.clip([1.0, *start, 0.0], *bounds)
    fit = least_squares(rest, first, bounds=bounds, x_scale=[0.1, 0.1, 0.1, 0.01], xtol=1e-5, max_nfev=30)
    normal = fit.jac.T @ fit.jac
    if not np.linalg.cond(normal) < 1e12:
        return None
    # what the model leaves over widens both sigmas
    chi2 = max(2 * fit.cost / max(len(x) - 4, 1), 1.0)
    sigmas = np.sqrt(np.diag(np.linalg.inv(normal)) * chi2)
    return float(fit.x[1]), float(fit.x[2]), float(sigmas[1]), float(sigmas[2])


def _smooth(radius: Array, value: Array, sigma: Array) -> tuple[float, ...]:
    """Coefficients of the smoothest curve through what rings say, for `numpy.polyval`; rings that differ count less."""
    degree = int(len(radius) >= FEWEST_FOR_SLOPE) + int(len(radius) >= FEWEST_FOR_CURVE)
    scale = 1.0 / 10.0 ** np.arange(3 * degree, -1, -3)

    def rest(p: Array) -> Array:
        return np.asarray((np.polyval(p * scale, radius) - value) / sigma)

    first = np.zeros(degree + 1)
    first[-1] = np.median(value)
    return tuple(float(c) for c in least_squares(rest, first, loss="soft_l1").x * scale)
