"""How far a spot may lie from its prediction, to be its spot (docs/theory/resolving.md#scales)."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas._ext.grains.matches import SharpMatcher
from midas.parameters import Parameters

log = logging.getLogger(__name__)

#: factors of the lower quartile, and the limits of the result in pixels and steps of omega
SPOT_FACTOR, SPOT_LIMITS = 1.2, (0.25, 1.5)
OMEGA_FACTOR, OMEGA_LIMITS = 1.5, (0.2, 1.0)
#: of fewer solutions than this the median counts
_FEW = 4
#: no scale is smaller, µm and degrees: spots of a simulation without noise are exact
_LEAST = (1.0, 0.001)


@dataclass(frozen=True)
class Scales:
    """Scales of a sharp match: µm on the detector, degrees of omega, and the window in units of both."""

    spot: float
    omega: float
    window: float

    @classmethod
    def of(cls, parameters: Parameters, medians: NDArray[np.float64] | None, px: float, step: float) -> Scales:
        """The scales that are given, else those of the data.

        Parameters
        ----------
        medians : (2, n) float64, median distance of the spots of each solution from their predictions, µm and degrees
        px, step : size of a pixel (µm) and step of omega (degrees); 0 where it is not known, and then limits nothing
        """
        window: float = parameters["OwnWindow"]
        if medians is None:
            spot, omega = parameters["OwnSigma"]
            source = "as given"
        else:
            spot = _limited(SPOT_FACTOR * _low(medians[0]), px, SPOT_LIMITS, _LEAST[0])
            omega = _limited(OMEGA_FACTOR * _low(medians[1]), abs(step), OMEGA_LIMITS, _LEAST[1])
            source = "from the data"
        log.info("Sharp matches: sigma %.1f um and %.3f degrees (%s), window %g sigma", spot, omega, source, window)
        return cls(float(spot), float(omega), window)


def matcher_of(
    places: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    ring: NDArray[np.int32],
    rings: NDArray[np.int32],
    scales: Scales,
) -> SharpMatcher:
    """What finds the sharp matches of crystals with spots at these places (y and z, µm, and omega, degrees)."""
    return SharpMatcher(*places, ring, rings, scales.spot, scales.omega, scales.window)


def skips_explained_seeds(parameters: Parameters) -> bool:
    """Whether seeds are left out whose spots a grain explains; the pieces of a broken one need all of theirs."""
    return bool(parameters["SkipExplainedSeeds"]) and parameters["GrainMerging"] == "spots"


def _low(medians: NDArray[np.float64]) -> float:
    """The lower quartile, since most solutions of a bad set are mixtures of crystals."""
    known = medians[np.isfinite(medians)]
    if not known.size:
        return 0.0
    return float(np.median(known) if known.size < _FEW else np.quantile(known, 0.25))


def _limited(value: float, unit: float, limits: tuple[float, float], least: float) -> float:
    return max(float(np.clip(value, limits[0] * unit, limits[1] * unit)) if unit > 0 else value, least)
