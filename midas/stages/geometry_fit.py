"""Detector geometry from the rings: the fit of ``DoFit 1`` (docs/theory/fit_setup.md#fit-of-the-geometry)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from midas._ext.numerics.elementwise import sin
from midas.experiment.angles import DEG2RAD
from midas.experiment.detector import DetectorGeometry
from midas.experiment.noise import robust_spread
from midas.experiment.ring_fit import RingFitSettings, solve
from midas.experiment.ring_model import RingModel, RingPoints, Setting

#: the free numbers, as in a parameter file, and the keys of their bounds
FREE = {"Lsd": "tolLsd", "BCy": "tolBC", "BCz": "tolBC", "ty": "tolTilts", "tz": "tolTilts"}


@dataclass(frozen=True)
class GeometryFit:
    """What the fit found.

    Parameters
    ----------
    detector : the fitted geometry
    deviation, initial_deviation : how far the spots are from their rings there and at the start, a strain
    sigma : standard uncertainties of the numbers in `FREE` that were not held
    on_bound : those of them that ended on a bound
    """

    detector: DetectorGeometry
    deviation: float
    initial_deviation: float
    sigma: dict[str, float] = field(default_factory=dict)
    on_bound: tuple[str, ...] = ()


def fit_geometry(
    detector: DetectorGeometry,
    y_px: NDArray[np.float64],
    z_px: NDArray[np.float64],
    two_theta: NDArray[np.float64],
    *,
    tol_lsd: float,
    tol_bc: float,
    tol_tilts: float,
) -> GeometryFit:
    """Distance, beam centre, ty and tz that bring the spots closest to their rings.

    Parameters
    ----------
    detector : start of the fit; tx and the distortion stay
    y_px, z_px : (n,) spot positions
    two_theta : (n,) ideal angle of each spot's ring, degrees
    tol_lsd, tol_bc, tol_tilts : half widths of the bounds, µm, px and degrees; 0 holds a number

    Raises
    ------
    StageError : when there are no more spots than numbers
    """
    reach = {"tolLsd": tol_lsd, "tolBC": tol_bc, "tolTilts": tol_tilts}
    # Spots say nothing of the wavelength: spacings are in units of it. They scatter with the places of the grains,
    # each by about the same on the detector.
    start = Setting.of(replace(detector, wavelength=1.0))
    points = RingPoints.of(y_px, z_px, 0.5 / sin(DEG2RAD * two_theta / 2), 1.0)
    tolerances = {name: reach[key] for name, key in FREE.items()}
    fit = solve(points, start, RingFitSettings(tuple(FREE), tolerances, floor=0.0))
    before, _ = RingModel(points, start, ()).strains(start)
    return GeometryFit(
        detector=replace(fit.setting.detector, wavelength=detector.wavelength),
        deviation=robust_spread(fit.strain, 0.0),
        initial_deviation=robust_spread(before, 0.0),
        sigma=dict(zip(fit.names, map(float, fit.sigma), strict=True)),
        on_bound=fit.on_bound,
    )
