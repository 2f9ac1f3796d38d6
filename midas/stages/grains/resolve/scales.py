"""How far a spot may lie from its prediction (docs/theory/resolving.md#scales)."""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray

from midas.parameters import Parameters
from midas.runtime.ragged import middles_of, offsets_of
from midas.stages.grains.inputs import GrainInputs, checked_fits
from midas.stages.grains.resolve.scene import Scales

log = logging.getLogger(__name__)

#: factors of the lower quartile, and the limits of the result in pixels and steps of omega
SPOT_FACTOR, SPOT_LIMITS = 1.2, (0.25, 1.5)
OMEGA_FACTOR, OMEGA_LIMITS = 1.5, (0.2, 1.0)
#: of fewer rows than this the median counts
_FEW = 4
#: no scale is smaller, µm and degrees: spots of a simulation without noise are exact
_LEAST = (1.0, 0.001)
#: rows whose fitted spots are in memory at a time
_CHUNK = 4096


def scales_of(inputs: GrainInputs, parameters: Parameters, rows: NDArray[np.int64], px: float, step: float) -> Scales:
    """The scales that are given, else those of the data.

    Parameters
    ----------
    rows : of the solutions
    px, step : size of a pixel (µm) and step of omega (degrees); 0 where it is not known, and then limits nothing
    """
    window: float = parameters["OwnWindow"]
    if "OwnSigma" in parameters:
        spot, omega = parameters["OwnSigma"]
        source = "as given"
    else:
        medians = _medians(inputs, rows)
        spot = _limited(SPOT_FACTOR * _low(medians[0]), px, SPOT_LIMITS, _LEAST[0])
        omega = _limited(OMEGA_FACTOR * _low(medians[1]), abs(step), OMEGA_LIMITS, _LEAST[1])
        source = "from the data"
    log.info("Sharp matches: sigma %.1f um and %.3f degrees (%s), window %g sigma", spot, omega, source, window)
    return Scales(float(spot), float(omega), window)


def _medians(inputs: GrainInputs, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Median distance of the spots of each row from their predictions, µm and degrees; (2, n)."""
    parts = [_medians_of(inputs, rows[start : start + _CHUNK]) for start in range(0, len(rows), _CHUNK)]
    return np.concatenate(parts, axis=1) if parts else np.empty((2, 0))


def _medians_of(inputs: GrainInputs, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    fitted = checked_fits(inputs, rows)
    offsets = offsets_of(np.diff(inputs.refined.offsets)[rows])
    return np.array([middles_of(fitted[name], offsets).sum(axis=0) / 2 for name in ("diff_pos", "diff_ome")])


def _low(medians: NDArray[np.float64]) -> float:
    """The lower quartile, since most rows of a bad set are mixtures of crystals."""
    known = medians[np.isfinite(medians)]
    if not known.size:
        return 0.0
    return float(np.median(known) if known.size < _FEW else np.quantile(known, 0.25))


def _limited(value: float, unit: float, limits: tuple[float, float], least: float) -> float:
    return max(float(np.clip(value, limits[0] * unit, limits[1] * unit)) if unit > 0 else value, least)
