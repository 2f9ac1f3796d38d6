"""How far spots may lie from their predictions, and how sure a fit makes of them.

Spots of one kind share a scale: the radial and the tangential residuals of a ring, omega of spots in one frame and in
several. See docs/theory/geometry_from_grains.md#scales and #variances of the same page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas.experiment.noise import PER_MAD

Array = NDArray[np.float64]
Whole = NDArray[np.int64]

#: classes with fewer spots than this are joined with the other small ones
SMALL = 40
#: of Cauchy's loss, in scales
TUNING = 3.0
#: spots whose weight is less tell nothing of the variance and get none
INLIER = 0.2
#: smallest scales: px, degrees
FLOOR_PX, FLOOR_OMEGA = 0.005, 1e-3


@dataclass(frozen=True)
class Classes:
    """Which spots share a scale.

    Parameters
    ----------
    spot : (n,) class of the radial and tangential residuals of each spot
    omega : (n,) class of its omega residual
    names : of the classes: a detector, rings or kinds of frames
    floor : (3, n) smallest scales, µm, µm, degrees
    """

    spot: Whole
    omega: Whole
    spot_names: tuple[str, ...]
    omega_names: tuple[str, ...]
    floor: Array

    @classmethod
    def of(
        cls,
        ring: Whole,
        frames: Whole,
        detector: Whole | None = None,
        px: float | Sequence[float] = 0.0,
    ) -> Classes:
        """Classes of spots.

        Parameters
        ----------
        ring : (n,) ring number
        frames : (n,) frames of each spot; one counts as a kind of its own
        detector : (n,) number of its detector; by default there is one
        px : pixel size of each detector, µm
        """
        detector = np.zeros(len(ring), np.int64) if detector is None else detector.astype(np.int64)
        sizes = np.atleast_1d(np.asarray(px, np.float64))
        floor = np.stack([FLOOR_PX * sizes[detector]] * 2 + [np.full(len(ring), FLOOR_OMEGA)])
        spot, spot_names = _pooled(detector, ring.astype(np.int64), "ring")
        omega, omega_names = _pooled(detector, (frames > 1).astype(np.int64), "frames")
        return cls(spot, omega, spot_names, omega_names, floor)

    def take(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> Classes:
        """The same classes of some spots."""
        return Classes(
            self.spot[rows],
            self.omega[rows],
            self.spot_names,
            self.omega_names,
            np.ascontiguousarray(self.floor[:, rows]),
        )

    def rows(self) -> tuple[tuple[Whole, int], ...]:
        """Class and number of classes of each of the three residuals."""
        spot, omega = (self.spot, len(self.spot_names)), (self.omega, len(self.omega_names))
        return spot, spot, omega

    def scales(self, residuals: Array, excess: float = 1.0) -> Array:
        """(3, n) scale of each residual: the robust standard deviation in its class.

        Parameters
        ----------
        residuals : (3, n): radial, tangential (µm), omega (degrees)
        excess : n / (n - parameters) of the fit that left them
        """
        return self.spread(self.table(residuals, excess))

    def table(self, residuals: Array, excess: float = 1.0) -> list[Array]:
        """Scale of each class of each of the three residuals, without the floor; see `scales`."""
        out = []
        for row, (kind, count) in enumerate(self.rows()):
            size = np.abs(residuals[row])
            median = [np.median(size[kind == k]) if np.any(kind == k) else 0.0 for k in range(count)]
            out.append(PER_MAD * np.sqrt(excess) * np.array(median))
        return out

    def spread(self, table: Sequence[Array]) -> Array:
        """(3, n) scales of a `table`, which may be that of other spots of the same classes."""
        return np.stack(
            [
                np.maximum(scale[kind], floor)
                for scale, (kind, _), floor in zip(table, self.rows(), self.floor, strict=True)
            ]
        )

    def variances(self, residuals: Array, scales: Array, excess: float = 1.0) -> tuple[Array, NDArray[np.bool_]]:
        """Variance of each residual as an M-estimator sees it, and which residuals are inliers.

        Parameters
        ----------
        residuals, scales : (3, n)
        excess : n / (n - parameters)

        Returns
        -------
        variance : (3, n), pooled over the class
        inlier : (3, n) bool; the first two rows are equal
        """
        u = residuals / scales
        weights = weights_of(u)
        inlier = weights > INLIER
        psi = weights * u
        bent = np.empty_like(u)
        bent[:2] = weights[:2] - (weights[:2] * u[:2] / TUNING) ** 2
        bent[2] = weights[2] - 2 * (weights[2] * u[2] / TUNING) ** 2
        variance = np.empty_like(u)
        for row, (kind, count) in enumerate(self.rows()):
            used = np.where(inlier[row], 1.0, 0.0)
            total = np.maximum(np.bincount(kind, used, count), 1.0)
            square = np.bincount(kind, used * psi[row] ** 2, count) / total
            slope = np.bincount(kind, used * bent[row], count) / total
            # A class without a spread has the variance of its floor.
            factor = np.where(square > 0, square / np.where(slope > 0, slope, 1.0) ** 2, 1.0)
            variance[row] = np.maximum(scales[row] ** 2 * factor[kind] * excess, self.floor[row] ** 2)
        return variance, inlier


def weights_of(u: Array) -> Array:
    """Weights of Cauchy's loss of (3, n) residuals in scales; radial and tangential have one in common."""
    out = np.empty_like(u)
    out[0] = out[1] = 1.0 / (1.0 + (u[0] ** 2 + u[1] ** 2) / (2 * TUNING**2))
    out[2] = 1.0 / (1.0 + (u[2] / TUNING) ** 2)
    return out


def loss_of(u: Array) -> Array:
    """(n,) Cauchy's loss of each spot: half the sum of squares where the residuals are small."""
    spot = TUNING**2 * np.log1p((u[0] ** 2 + u[1] ** 2) / (2 * TUNING**2))
    omega = 0.5 * TUNING**2 * np.log1p((u[2] / TUNING) ** 2)
    return np.asarray(spot + omega, np.float64)


def _pooled(detector: Whole, kind: Whole, word: str) -> tuple[Whole, tuple[str, ...]]:
    """A class per detector and kind, small ones of a detector joined; if these are still few, with its smallest."""
    out = np.empty(len(kind), np.int64)
    names: list[str] = []
    for d in np.unique(detector):
        on = np.flatnonzero(detector == d)
        kinds, at, count = np.unique(kind[on], return_inverse=True, return_counts=True)
        group = np.arange(len(kinds))
        small = count < SMALL
        if small.any() and not small.all() and count[small].sum() < SMALL:
            small[np.flatnonzero(~small)[np.argmin(count[~small])]] = True
        group[small] = group[small][0] if small.any() else 0
        kept, group = np.unique(group, return_inverse=True)
        out[on] = len(names) + group[at]
        names += [f"{d + 1}: {word} {' '.join(map(str, kinds[group == k]))}" for k in range(len(kept))]
    return out, tuple(names)
