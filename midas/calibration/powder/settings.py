"""How a calibration goes about its work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from midas.calibration.powder.extract import ExtractSettings
from midas.experiment.ring_fit import FEWEST_POINTS_OF_PANEL, FLOOR, GEOMETRY, RingFitSettings


@dataclass(frozen=True)
class CalibrationSettings:
    """How a calibration goes about its work.

    Parameters
    ----------
    free : numbers that are fitted, as far as the image tells them
    demanded : those of them that may not be left as they are
    search : Lsd and beam centre are sought; what the start has of them only helps
    tolerances : half widths of bounds about the start by name; see `midas.experiment.ring_fit.RingFitSettings`
    panels : (p, 8) float64, `midas.experiment.panels.panels_of`, with the shifts to start from; no rows without panels
    fit_panels : whether their shifts are fitted
    fewest_points : of a panel whose shift is fitted
    anchor : panel without a shift; without one the mean of all shifts is zero
    half_width : px, of the window that a ring is measured in
    eta_bin : degrees
    floor : px, systematic error of a point
    outlier_factor, outlier_rounds : points beyond the factor times the mean size of the strain are outliers, it taken
        again so many times; 0: none are
    threads : the result does not depend on it
    """

    free: tuple[str, ...] = GEOMETRY
    demanded: tuple[str, ...] = ()
    search: bool = False
    tolerances: Mapping[str, float] = field(default_factory=dict)
    panels: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 8)))
    fit_panels: bool = True
    fewest_points: int = FEWEST_POINTS_OF_PANEL
    anchor: int | None = None
    half_width: float = 9.0
    eta_bin: float = 2.0
    floor: float = FLOOR
    outlier_factor: float = 0.0
    outlier_rounds: int = 1
    threads: int = 1

    def extraction(self, half_width: float, rounds: int) -> ExtractSettings:
        """For one pass over an image."""
        return ExtractSettings(half_width, self.eta_bin, rounds=rounds, threads=self.threads)

    def fit(self, names: tuple[str, ...], panels: bool) -> RingFitSettings:
        """For a fit of those of the names that are free."""
        return RingFitSettings(
            free=tuple(name for name in self.free if name in names),
            tolerances=self.tolerances,
            panels=panels and self.fit_panels and len(self.panels) > 0,
            fewest_points=self.fewest_points,
            floor=self.floor,
        )
