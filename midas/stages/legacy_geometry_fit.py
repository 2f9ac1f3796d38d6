"""Detector geometry from the rings: ``DoFit 1`` with ``LegacyDigits 1``.

See docs/theory/fit_setup.md#legacy-ring-misfit.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from midas._ext.fit_setup import ring_misfit
from midas._ext.numerics.elementwise import tan
from midas._ext.numerics.nelder_mead import minimise_function
from midas.experiment.detector import DetectorGeometry
from midas.stages.geometry_fit import GeometryFit

#: a restart that lowers the objective by less than this (relative) ends the fit
CONVERGED = 1e-9
#: of one run of the minimiser, on the objective
_TOLERANCE = 1e-11
_MAX_EVALUATIONS = 5000
_MAX_RESTARTS = 50
#: half widths of the two searches of a restart, in units of the bounds. The objective has edges, and steps where a spot
#: moves to the next azimuth bin: the wide search leaves a dent in which the narrow one would stay.
_REACHES = (1.0, 0.1)


def fit_legacy_geometry(
    detector: DetectorGeometry,
    y_px: NDArray[np.float64],
    z_px: NDArray[np.float64],
    two_theta: NDArray[np.float64],
    *,
    tol_lsd: float,
    tol_bc: float,
    tol_tilts: float,
    threads: int,
) -> GeometryFit:
    """Distance, beam centre, ty and tz with the smallest mean deviation, averaged over azimuths.

    Parameters
    ----------
    detector : start of the fit; tx and the distortion stay
    y_px, z_px : (n,) spot positions
    two_theta : (n,) ideal angle of each spot's ring, degrees
    tol_lsd, tol_bc, tol_tilts : half widths of the bounds, µm, px and degrees
    """
    start = np.array([detector.lsd, detector.y_bc, detector.z_bc, detector.ty, detector.tz])
    widths = np.array([tol_lsd, tol_bc, tol_bc, tol_tilts, tol_tilts], dtype=np.float64)
    tangents = tan(np.radians(two_theta))

    def at(unit: NDArray[np.float64]) -> DetectorGeometry:
        lsd, y_bc, z_bc, ty, tz = map(float, start + unit * widths)
        return replace(detector, lsd=lsd, y_bc=y_bc, z_bc=z_bc, ty=ty, tz=tz)

    def misfit(unit: NDArray[np.float64]) -> float:
        return ring_misfit(y_px, z_px, tangents, at(unit).packed(), threads)[0]

    best = np.zeros(5)
    initial, bins = ring_misfit(y_px, z_px, tangents, detector.packed(), threads)
    lowest = initial
    for _ in range(_MAX_RESTARTS):
        before = lowest
        for reach in _REACHES:
            # In units of the bounds: one step of the search is then a fair step in every coordinate.
            lower = np.where(widths > 0, np.maximum(best - reach, -1.0), 0.0)
            upper = np.where(widths > 0, np.minimum(best + reach, 1.0), 0.0)
            found, value, *_ = minimise_function(misfit, best, lower, upper, _TOLERANCE, 0.0, _MAX_EVALUATIONS)
            if value < lowest:
                best, lowest = found, value
        if before - lowest <= CONVERGED * before:
            break
    return GeometryFit(at(best), lowest / bins, initial / bins)
