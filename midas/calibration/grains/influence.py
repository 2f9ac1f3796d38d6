"""What a spot does to the fit of its grain, and how far spots scatter (docs/theory/uncertainty.md#influence)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from midas.calibration.grains.classes import Classes
from midas.calibration.grains.fitted import SEVERAL, UNKNOWN, FittedSpots
from midas.formats.uncertainty import NoiseClass
from midas.runtime.ragged import middles_of

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
Kinds = tuple[NoiseClass, ...]

#: numbers of a grain
NUMBERS = 12
#: half width of a uniform distribution over its median absolute deviation, and a bit (the core of the omega loss)
_CORE = 2.4


@dataclass(frozen=True)
class Loss:
    """The robust loss of the refinement (docs/theory/refinement.md#robust-loss).

    Parameters
    ----------
    sigma_spot, sigma_omega : its scales, µm and degrees
    epsilon : half width of its core, in scales
    """

    sigma_spot: float
    sigma_omega: float
    epsilon: float

    def influence(self, residual: Array, spots: FittedSpots) -> tuple[Array, Array]:
        """Derivative of the loss by each residual, and the second one; both (3, n).

        Parameters
        ----------
        residual : (3, n) float64: radial, tangential (µm), omega (degrees)
        """
        middle = middles_of(np.abs(residual[2]), spots.offsets).mean(axis=0)
        core = np.maximum(self.epsilon, _CORE * middle / self.sigma_omega)[spots.grain]
        on_detector = spots.certainty / self.sigma_spot
        scale = np.stack([on_detector, on_detector, np.full(len(core), 1 / self.sigma_omega)])
        u = scale * residual
        spot = np.sqrt(u[0] ** 2 + u[1] ** 2 + self.epsilon**2)
        terms = np.stack([spot, spot, np.sqrt(u[2] ** 2 + core**2)])
        return scale * u / terms, scale**2 / terms * (1 - (u / terms) ** 2)


@dataclass(frozen=True)
class Noise:
    """How far spots are from the predictions of their grains.

    Parameters
    ----------
    members : (3, n) int64, class of the radial, the tangential and the omega residual of each spot
    classes : radial, tangential, omega: the noise of each class, of inliers
    variance : (3, n) float64, of the class of each residual
    inlier : (3, n) bool, those that are no outliers of their class
    counted : (n,) bool, spots that say something about their class
    excess : n / (n - parameters) of all residuals
    """

    members: Integers
    classes: tuple[Kinds, Kinds, Kinds]
    variance: Array
    inlier: NDArray[np.bool_]
    counted: NDArray[np.bool_]
    excess: float

    @classmethod
    def of(cls, residual: Array, spots: FittedSpots, counted: NDArray[np.bool_], px: float, floor: float) -> Noise:
        """The noise of every class of spots, by an M-estimator.

        Parameters
        ----------
        residual : (3, n) float64: radial, tangential (µm), omega (degrees)
        counted : (n,) bool, spots that say something about the noise
        px : pixel size, µm
        floor : least scale on the detector, px
        """
        classes = Classes.of(spots.ring, np.where(spots.kind == SEVERAL, 2, 1), px=px)
        on_detector = np.full((2, len(spots)), floor * px)
        classes = replace(classes, floor=np.concatenate([on_detector, classes.floor[2:]]))
        members = np.stack([classes.spot, classes.spot, classes.omega])
        excess = _excess(spots, counted)
        if counted.all():
            scales = classes.scales(residual, excess)
            variance, inlier = classes.variances(residual, scales, excess)
        else:
            own = classes.take(counted)
            scales = _of_class(members, counted, own.scales(residual[:, counted], excess), classes.floor)
            _, inlier = classes.variances(residual, scales, excess)
            within, _ = own.variances(residual[:, counted], scales[:, counted], excess)
            variance = _of_class(members, counted, within, scales**2)
        titles = (classes.spot_names, classes.spot_names, _names_of_frames(classes.omega_names, spots))
        found = [_named(*one, counted) for one in zip(titles, members, variance, strict=True)]
        return cls(members, (found[0], found[1], found[2]), variance, inlier, counted, excess)


def _excess(spots: FittedSpots, counted: NDArray[np.bool_]) -> float:
    of = spots.grain[counted]
    residuals = 3 * len(of)
    return residuals / max(residuals - NUMBERS * len(np.unique(of)), 1) if residuals else 1.0


def _of_class(members: Integers, counted: NDArray[np.bool_], values: Array, otherwise: Array) -> Array:
    """(3, n) for all spots what the spots that count, (3, k) `values`, have in their class."""
    result = otherwise.copy()
    for row, of_class in enumerate(members):
        known = np.full(int(of_class.max(initial=-1)) + 1, np.nan)
        known[of_class[counted]] = values[row]
        result[row] = np.where(np.isnan(known[of_class]), result[row], known[of_class])
    return result


def _names_of_frames(names: tuple[str, ...], spots: FittedSpots) -> tuple[str, ...]:
    """``single`` and ``several``; ``all`` where they are one class, or nothing is known of frames."""
    if len(names) < 2 or (spots.kind == UNKNOWN).any():
        return ("all",) * len(names)
    return ("single", "several")


def _named(names: tuple[str, ...], member: Integers, variance: Array, counted: NDArray[np.bool_]) -> Kinds:
    found = []
    for number, name in enumerate(names):
        own = member == number
        if own.any():
            title = "+".join(name.partition(": ")[2].split()).replace("ring+", "ring", 1) or name
            found.append(NoiseClass(title, float(np.sqrt(variance[own][0])), int((own & counted).sum())))
    return tuple(found)
