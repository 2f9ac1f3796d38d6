"""Spread of the orientations in a grain, from the widths of its measured spots.

See docs/theory/measured_spots.md#spread-of-orientations.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from midas._ext.numerics.elementwise import cos, hypot, sin
from midas._ext.physics.spots import scattering_vectors
from midas.experiment.vectors import products, unit
from midas.formats.measured import SUMMED
from midas.stages.grains.orientation_spread import spread_of
from midas.stages.grains.pull.instrument import PullSetting
from midas.stages.grains.pull.rounds import Measured

Array = NDArray[np.float64]

#: steps of eta and omega for derivatives, degrees
_STEP = 0.01
#: six numbers need two spots; with fewer than this nothing would average
_FEWEST = 6


def spreads(setting: PullSetting, measured: Measured, grains: int) -> Array:
    """(n, 4): square root of the trace of the covariance of the rotations in a grain, and its principal full widths.

    Degrees; NaN for a grain with too few spots.
    """
    out = np.full((grains, 4), np.nan)
    alone = measured.take(measured.source == SUMMED)
    if not len(alone.sums):
        return out
    design, values = _equations(setting, alone)
    for grain in range(grains):
        own = np.flatnonzero(alone.predicted.crystal == grain)
        if len(own) < _FEWEST:
            continue
        out[grain] = np.degrees(spread_of(design[own], values[own]))
    return out


def _equations(setting: PullSetting, spots: Measured) -> tuple[Array, Array]:
    """Three equations per spot for the six numbers of the covariance, radians²: (m, 3, 6) and (m, 3).

    What a spot is wide along the ring and in omega, without the width of a point (that in radius) and of a frame, is
    the covariance of the directions of its scattering vectors; a rotation by r turns a direction g by r x g.
    """
    g, along_eta, along_omega = _directions(setting, spots)
    across = np.stack([unit(along_eta), np.cross(g, unit(along_eta))], axis=1)
    jacobian = np.einsum("nki,nij->nkj", across, np.stack([along_eta, along_omega], axis=2))
    sums, radius = spots.sums, hypot(spots.y, spots.z)
    observed = np.zeros((len(sums), 2, 2))
    observed[:, 0, 0] = (sums["arc_variance"] - sums["radial_variance"]) / radius**2
    observed[:, 1, 1] = np.radians(1) ** 2 * (sums["omega_variance"] - setting.reader.step**2 / 12)
    observed[:, 0, 1] = observed[:, 1, 0] = np.radians(1) * sums["arc_omega"] / radius
    directions = jacobian @ observed @ jacobian.transpose(0, 2, 1)
    turned = np.stack([np.cross(np.eye(3)[i], g) for i in range(3)], axis=1)  # (m, rotation, direction)
    slopes = np.einsum("nki,nri->nkr", across, turned)
    places = ((0, 0), (1, 1), (0, 1))
    design = np.stack([products(slopes[:, a], slopes[:, b]) for a, b in places], axis=1)
    return design, np.stack([directions[:, a, b] for a, b in places], axis=1)


def _directions(setting: PullSetting, spots: Measured) -> tuple[Array, Array, Array]:
    """(m, 3): unit scattering vectors of spots in the sample, and their derivatives by eta and omega, per radian."""
    radius = hypot(spots.y, spots.z)
    detector = setting.detector

    def direction(eta: Array, omega: Array) -> Array:
        turn = np.radians(eta)
        g = scattering_vectors(
            -radius * sin(turn), radius * cos(turn), omega, np.zeros((len(radius), 3)), detector.lsd, 1.0,
            detector.wedge, detector.exact_wedge, detector.surface,
        )  # fmt: skip
        return unit(g)

    width = 2 * np.radians(_STEP)
    along_eta = (direction(spots.eta + _STEP, spots.omega) - direction(spots.eta - _STEP, spots.omega)) / width
    along_omega = (direction(spots.eta, spots.omega + _STEP) - direction(spots.eta, spots.omega - _STEP)) / width
    return direction(spots.eta, spots.omega), along_eta, along_omega
