"""What a calibration found."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from midas.calibration.powder.points import Points
from midas.calibration.powder.rings import Rings
from midas.experiment.detector import DetectorGeometry

Array = NDArray[np.float64]

#: of a number: fitted, fitted and at the end of its tolerance, left as it was by the user's wish, left as it
#: was since the image cannot tell
OK, ON_BOUND, FIXED, UNDETERMINED = "ok", "on bound", "fixed", "fixed: undetermined"


@dataclass(frozen=True)
class Calibration:
    """A geometry, how well it is known, and the points that it rests on.

    Parameters
    ----------
    detector : the geometry; its wavelength is the fitted one where that was free
    panels : (p, 3) float64, shift in y and z (px) and turn (degrees) of each panel; no rows without panels
    names : of the numbers, as in the parameter file: Lsd BCy BCz tx ty tz p0 p1c p1s p2 Wavelength, then of every panel
        dY0 dZ0 dTheta0 ...
    value, start, sigma : of each name; sigma is NaN where the number was not free
    verdict : of each name, one of the words above
    correlation : (f, f) float64, of the free numbers, in the order of `free`
    free : names of the free numbers
    points : what was seen
    rings : of the calibrant
    strain : (n,) float64, of each point, R / (Lsd tan two_theta) - 1: positive outside the ring
    sigma_strain : (n,) float64, of each point, expected
    outlier : (n,) bool, points beyond `MultFactor` times the mean
    scale : robust width of strain / sigma_strain: 1 when the image is as the model says
    condition : of the normal matrix with columns of unit length
    warnings : sentences for the user
    image : (n,) int64, which of several images each point is on; empty with one
    """

    detector: DetectorGeometry
    panels: Array
    names: tuple[str, ...]
    value: dict[str, float]
    start: dict[str, float]
    sigma: dict[str, float]
    verdict: dict[str, str]
    correlation: Array
    free: tuple[str, ...]
    points: Points
    rings: Rings
    strain: Array
    sigma_strain: Array
    outlier: NDArray[np.bool_]
    scale: float
    condition: float
    warnings: list[str] = field(default_factory=list)
    image: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))

    def two_theta(self, detector: DetectorGeometry | None = None) -> Array:
        """(n,) degrees, of the ring of each point, with the wavelength of another geometry if there is one."""
        return self.rings.two_theta((detector or self.detector).known_wavelength())[self.points.ring]
