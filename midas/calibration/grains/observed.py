"""Spots of grains as columns (docs/theory/geometry_from_grains.md#spots)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from midas._ext.calibrate.joint import Joint
from midas._ext.numerics.elementwise import arctan2
from midas.calibration.grains.classes import Classes
from midas.experiment.angles import RAD2DEG
from midas.experiment.detector import DetectorGeometry

Array = NDArray[np.float64]
Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Spots:
    """Spots that are assigned to grains; each column has the shape (n,), grain by grain.

    Parameters
    ----------
    grain : row of the grain
    spot_id : in the tables of its layer
    detector : row of its layer or detector
    y_px, z_px : px, as recorded
    omega : degrees, as recorded
    ring, frames : number of its ring, frames that it is on
    h, k, l, branch : the reflection
    radial_y, radial_z : unit vector along the radius, at the geometry of the start
    panel : number among the panels of all detectors; -1 for none
    """

    grain: Whole
    spot_id: Whole
    detector: Whole
    y_px: Array
    z_px: Array
    omega: Array
    ring: Whole
    frames: Whole
    h: Array
    k: Array
    l: Array  # noqa: E741  the third Miller index
    branch: Array
    radial_y: Array
    radial_z: Array
    panel: Whole

    def __len__(self) -> int:
        return len(self.omega)

    @property
    def eta(self) -> Array:
        """(n,) degrees, of the unit vector along the radius."""
        return np.asarray(RAD2DEG * arctan2(-self.radial_y, self.radial_z), np.float64)

    def take(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> Spots:
        """Some of them."""
        return Spots(**{column.name: getattr(self, column.name)[rows] for column in fields(self)})

    @classmethod
    def joined(cls, parts: Sequence[Spots]) -> Spots:
        """Those of several detectors, grain by grain; spots that move with the same numbers stand side by side."""
        every = cls(**{c.name: np.concatenate([getattr(part, c.name) for part in parts]) for c in fields(cls)})
        return every.sorted()

    def sorted(self) -> Spots:
        """Grain by grain, in each by detector and panel."""
        return self.take(np.lexsort((self.spot_id, self.panel, self.detector, self.grain)))

    def of_grains(self, kept: NDArray[np.bool_]) -> Spots:
        """The spots of some grains, whose rows are counted anew."""
        chosen = self.take(kept[self.grain])
        return replace(chosen, grain=(np.cumsum(kept) - 1)[chosen.grain])

    def kernel(self, grains: int) -> Joint:
        """As the joint fit takes them."""
        return Joint(
            np.searchsorted(self.grain, np.arange(grains + 1)).astype(np.int64),
            np.stack([self.y_px, self.z_px]),
            np.ascontiguousarray(self.omega),
            np.stack([self.h, self.k, self.l]),
            np.ascontiguousarray(self.branch),
            np.stack([self.radial_y, self.radial_z]),
            self.detector.astype(np.int32),
            self.panel.astype(np.int32),
        )

    def classes(self, detectors: Sequence[DetectorGeometry]) -> Classes:
        """Which share a scale."""
        return Classes.of(self.ring, self.frames, self.detector, [d.px for d in detectors])
