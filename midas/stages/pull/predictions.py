"""Every reflection that crystals should give, as the frames record it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from midas._ext.physics.region import VERDICTS, AcceptedRegion
from midas.experiment.detector import DetectorGeometry
from midas.experiment.crystal import reciprocal_basis
from midas.formats.table import Table
from midas.stages.pull.crystals import Crystals

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Predictions:
    """Reflections of crystals, one per row, crystal after crystal.

    Parameters
    ----------
    crystal : int64, row of the crystal
    reflection : int64, row of the list of reflections
    branch : int64, sign of y of the diffracted beam
    ring : int64
    radius, eta : float64, on the plane without tilt and distortion, µm and degrees
    omega : float64, degrees, as recorded
    lorentz : float64, |sin eta| cos theta of the diffracted beam: how fast the reflection crosses the sphere
    accepted : bool, whether it can be observed
    """

    crystal: NDArray[np.int64]
    reflection: NDArray[np.int64]
    branch: NDArray[np.int64]
    ring: NDArray[np.int64]
    radius: Array
    eta: Array
    omega: Array
    lorentz: Array
    accepted: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.crystal)

    def take(self, rows: NDArray[Any]) -> Predictions:
        """The rows with these numbers, or where this is true."""
        return Predictions(*(getattr(self, field.name)[rows] for field in fields(self)))


def predict(
    crystals: Crystals, hkls: Table, detector: DetectorGeometry, region: AcceptedRegion, threads: int
) -> Predictions:
    """All reflections of crystals that ever fire.

    Parameters
    ----------
    hkls : the reflections, as of hkls.csv
    region : where spots are accepted
    """
    ub = crystals.u @ np.array([reciprocal_basis(cell) for cell in crystals.cell]).reshape(-1, 3, 3)
    spots = detector.spots(ub, np.stack([hkls[name] for name in "hkl"], axis=1), crystals.position)
    fires = np.isfinite(spots.omega)
    crystal, reflection, _ = (index.astype(np.int64) for index in np.nonzero(fires))
    omega, y, z, two_theta, beam_eta = (
        np.ascontiguousarray(values[fires])
        for values in (spots.omega, spots.y_plane, spots.z_plane, spots.two_theta, spots.eta)
    )
    eta = -np.degrees(np.arctan2(y, z))
    lorentz = np.abs(np.sin(np.radians(beam_eta))) * np.cos(np.radians(two_theta / 2))
    return Predictions(
        crystal,
        reflection,
        np.where(beam_eta < 0, 1, -1),
        hkls.integers("ring")[reflection],
        np.hypot(y, z),
        eta,
        omega,
        lorentz,
        region.verdicts(omega, beam_eta, y, z, threads) == VERDICTS["accepted"],
    )
