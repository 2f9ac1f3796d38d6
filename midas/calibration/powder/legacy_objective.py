"""The objective of the legacy calibration on the points of this one, for comparison (``CalibEngine legacy``).

See docs/theory/calibration.md#legacy-objective.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from midas._ext.numerics.elementwise import cos, sin
from midas._ext.physics.detector import shifted_pixels
from midas.calibration.powder.result import FIXED, OK, Calibration
from midas.calibration.powder.summary import instrument_at, strains_in
from midas.experiment.detector import DetectorGeometry

Array = NDArray[np.float64]

#: half widths of the search about the start where no tolerance is given; px, degrees, relative for Lsd
_WIDTHS = {"BCy": 20.0, "BCz": 20.0, "ty": 3.0, "tz": 3.0, "p0": 2e-3, "p1": 2e-3, "p2": 2e-3, "p3": 45.0}
_LSD = 0.015
#: of the simplex, as the legacy program had them, but without its limit of time
_TOLERANCE, _EVALUATIONS = 1e-5, 5000


@dataclass(frozen=True)
class LegacyWeights:
    """What the legacy program multiplied the strains of points by.

    Parameters
    ----------
    by_ring : the inverse of the number of points of the ring
    by_radius : the radius
    by_signal : signal to noise over its median, 1 at most
    squared : whether squares are summed, or absolute values
    """

    by_ring: bool = False
    by_radius: bool = False
    by_signal: bool = False
    squared: bool = False


def refitted(found: Calibration, panels: Array, weights: LegacyWeights, tolerances: Mapping[str, float]) -> Calibration:
    """The same points with the instrument that the legacy objective prefers; the panels stay.

    Parameters
    ----------
    panels : (p, 8), see `midas.experiment.panels.panels_of`, with the shifts found
    tolerances : half widths of the search by name; those of the legacy driver where there is none
    """
    free = [name for name in ("Lsd", *_WIDTHS) if name in found.free or (name in ("p1", "p3") and "p1c" in found.free)]
    moved, _ = shifted_pixels(found.points.y_px, found.points.z_px, panels)
    at_start = instrument_at(found.detector, found.start)
    start = np.array([_value(at_start, name) for name in free])
    widths = np.array([tolerances.get({"p1": "p1c", "p3": ""}.get(n, n), _width(n, at_start)) for n in free])
    weight = _weights(found, weights, moved)

    def strains(x: Array) -> Array:
        tried = _instrument(at_start, dict(zip(free, x.tolist(), strict=True)))
        return strains_in(found, tried, tried.ideal(moved[0], moved[1]).radius)

    def cost(x: Array) -> float:
        size = np.abs(strains(x))
        return float(np.sum(weight * (size * size if weights.squared else size)))

    limits = {"xatol": _TOLERANCE, "fatol": 0.0, "maxfev": _EVALUATIONS, "adaptive": False}
    simplex = np.vstack([start, start + np.diag(0.25 * np.where(widths > 0, widths, 1e-12))])
    bounds = list(zip(start - widths, start + widths, strict=True))
    best = minimize(cost, start, method="Nelder-Mead", bounds=bounds, options={**limits, "initial_simplex": simplex})
    detector = _instrument(at_start, dict(zip(free, best.x.tolist(), strict=True)))
    return _result(found, detector, strains(best.x))


def _width(name: str, start: DetectorGeometry) -> float:
    return _LSD * start.lsd if name == "Lsd" else _WIDTHS[name]


def _value(detector: DetectorGeometry, name: str) -> float:
    return float(getattr(detector, {"BCy": "y_bc", "BCz": "z_bc"}.get(name, name.lower())))


def _instrument(detector: DetectorGeometry, values: Mapping[str, float]) -> DetectorGeometry:
    plain = {name: value for name, value in values.items() if name not in ("p1", "p3")}
    polar: dict[str, Any] = {name: values[name] for name in ("p1", "p3") if name in values}
    return replace(instrument_at(detector, plain), **polar)


def _weights(found: Calibration, weights: LegacyWeights, moved: Array) -> Array:
    points = found.points
    weight: Array = np.ones(len(points))
    if weights.by_ring:
        weight /= np.bincount(points.ring)[points.ring]
    if weights.by_radius:
        weight *= found.detector.ideal(moved[0], moved[1]).radius
    if weights.by_signal:
        noise = np.sqrt(np.maximum(points.chi2, 1e-12) * np.maximum(points.background, 1.0))
        signal = points.height / noise
        weight *= np.minimum(1.0, signal / np.median(signal))
    return np.asarray(weight / weight.mean(), np.float64)


def _result(found: Calibration, detector: DetectorGeometry, strain: Array) -> Calibration:
    """Without uncertainties, which a simplex does not have."""
    p3 = np.radians(detector.p3)
    of_p1 = {"p1c": detector.p1 * cos(p3), "p1s": detector.p1 * sin(p3)}
    value = {
        name: float(of_p1[name]) if name in of_p1 else found.value[name] if name.startswith("d")
        else _value(detector, name) for name in found.names
    }  # fmt: skip
    remark = "CalibEngine legacy: the instrument minimises the legacy objective; there are no uncertainties"
    return replace(
        found,
        detector=detector,
        value=value,
        sigma=dict.fromkeys(found.names, np.nan),
        verdict={name: OK if name in found.free and name in value else FIXED for name in found.names},
        strain=strain,
        warnings=[*found.warnings, remark],
    )
