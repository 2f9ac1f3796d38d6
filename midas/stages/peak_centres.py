"""Centres of fitted peaks: from profiles that are bent about the beam to the middle of a spot on the detector.

See docs/theory/peaks.md#bent-profiles.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from midas._ext.numerics.elementwise import cos, sin
from midas._ext.physics.detector import DEG2RAD

#: a part of a profile that is narrower than this (px) falls between the pixels: the fit does not know its widths
_NARROWEST = 0.3


def straighten_profiles(peaks: NDArray[np.void], y_bc: float, z_bc: float) -> None:
    """Move the centres of fitted peaks outwards, by what a fit in radius and eta leaves them too near to the beam.

    Parameters
    ----------
    peaks : (n,) of `midas._ext.peaks.result.FITTED_PEAK`, changed in place; centroids have no widths and stay
    y_bc, z_bc : beam centre, px
    """
    radial, along = _widths(peaks)
    rows = np.flatnonzero((peaks["radius"] > 0) & (radial > 0))
    radius, eta = peaks["radius"][rows], DEG2RAD * peaks["eta"][rows]
    radial, along = radial[rows] ** 2, along[rows] ** 2
    blur = np.minimum(radial, along)
    radius = radius + (radial - blur / 2) / radius * (1 - blur / (2 * along))
    places = {"radius": radius, "y_recorded": y_bc + radius * sin(eta), "z_recorded": z_bc + radius * cos(eta)}
    for name, place in places.items():
        peaks[name][rows] = place
    for axis in "yz":
        peaks[f"diff_{axis}"][rows] = peaks[f"max_{axis}"][rows] - peaks[f"{axis}_recorded"][rows]


def _widths(peaks: NDArray[np.void]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Across and along the ring, px, from the parts of each profile that pixels see; 0 where they see none."""
    total, radial, along = np.zeros((3, len(peaks)))
    for part, share in (("gauss", 1 - peaks["mixing"]), ("lorentz", peaks["mixing"])):
        across, arc = peaks[f"sigma_{part}_r"], DEG2RAD * peaks["radius"] * peaks[f"sigma_{part}_eta"]
        share = np.where(np.minimum(across, arc) >= _NARROWEST, share, 0.0)
        total += share
        radial += share * across
        along += share * arc
    seen = total > 0
    return np.divide(radial, total, out=radial, where=seen), np.divide(along, total, out=along, where=seen)
