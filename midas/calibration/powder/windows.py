"""Windows of radius in which rings are looked for, alone or as pairs (docs/theory/calibration.md#points-on-rings)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas._ext.numerics.elementwise import tan
from midas.calibration.powder.rings import Rings
from midas.experiment.detector import DetectorGeometry

Array = NDArray[np.float64]

#: rings nearer to each other than this (px) share a window
PAIR = 6.0
#: part of a pair's width that its rings must at least be apart to be told apart
RESOLVED = 1.5
#: part of the half window beyond which a ring is not trusted: half of it would be cut off
REACH = 0.6


@dataclass(frozen=True)
class Windows:
    """Where to look, by rising radius and without overlap.

    Parameters
    ----------
    lowest, highest, middle : (w,) float64, px of radius on the plane
    peaks : (w, 2) float64, px from the middle, where rings are expected; the second is NaN where there is one only
    ring : (w, 2) int64, their places in `Rings`; -1 for none
    bins : (w,) int64, of eta, all around
    """

    lowest: Array
    highest: Array
    middle: Array
    peaks: Array
    ring: NDArray[np.int64]
    bins: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.middle)

    @property
    def reach(self) -> Array:
        """(w,) px that a ring may lie beside where it is expected."""
        outermost = np.where(np.isnan(self.peaks[:, 1]), self.peaks[:, 0], self.peaks[:, 1])
        below = self.middle + self.peaks[:, 0] - self.lowest
        return REACH * np.minimum(below, self.highest - self.middle - outermost)


def ring_radii(rings: Rings, detector: DetectorGeometry, beyond: float = 0.0) -> Array:
    """(r,) px on the plane; NaN more than so many px beyond `rho_d`, and for what does not diffract forwards."""
    two_theta = rings.two_theta(detector.known_wavelength())
    tangent = tan(np.radians(np.where(two_theta < 89.0, two_theta, np.nan)))
    radius = detector.lsd * tangent / detector.px
    return np.where(radius <= detector.rho_d / detector.px + beyond, radius, np.nan)


def windows_of(radii: Array, half_width: float, eta_bin: float, least_arc: float, width: float) -> Windows:
    """Windows for rings.

    Parameters
    ----------
    radii : (r,) px, rising; NaN for rings that are not looked for
    half_width : px, of a window that no neighbour narrows
    eta_bin : degrees; more where that is less than `least_arc` px
    width : of the rings at half their height, px
    """
    seen = np.flatnonzero(np.isfinite(radii))
    rows = []
    chains = list(_chains(radii, seen))
    for i, chain in enumerate(chains):
        inner, outer = radii[chain[0]], radii[chain[-1]]
        below = 0.5 * (inner - radii[chains[i - 1][-1]]) if i else inner
        above = 0.5 * (radii[chains[i + 1][0]] - outer) if i + 1 < len(chains) else half_width
        if len(chain) > 2 or (len(chain) == 2 and outer - inner < RESOLVED * width):
            continue
        middle = 0.5 * (inner + outer)
        second = (outer - middle, chain[1]) if len(chain) == 2 else (np.nan, -1)
        bins = max(int(360.0 // max(eta_bin, np.degrees(least_arc / middle))), 1)
        edges = inner - min(half_width, below), outer + min(half_width, above)
        rows.append((*edges, middle, inner - middle, second[0], chain[0], second[1], bins))
    table = np.array(rows).reshape(-1, 8)
    lowest, highest, middle = np.ascontiguousarray(table[:, :3].T)
    return Windows(
        lowest,
        highest,
        middle,
        np.ascontiguousarray(table[:, 3:5]),
        table[:, 5:7].astype(np.int64),
        table[:, 7].astype(np.int64),
    )


def _chains(radii: Array, seen: NDArray[np.int64]) -> Iterator[list[int]]:
    """Rings of which each is near the one before."""
    chain: list[int] = []
    for ring in seen:
        if chain and radii[ring] - radii[chain[-1]] >= PAIR:
            yield chain
            chain = []
        chain.append(int(ring))
    if chain:
        yield chain
