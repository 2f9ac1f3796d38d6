"""The detector as one object: distance, beam centre, tilts, distortion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class DetectorGeometry:
    """Where the detector stands (spec chapter 04 §4.0): µm, px and degrees."""

    lsd: float
    y_bc: float
    z_bc: float
    px: float
    rho_d: float
    tx: float = 0.0
    ty: float = 0.0
    tz: float = 0.0
    p0: float = 0.0
    p1: float = 0.0
    p2: float = 0.0
    p3: float = 0.0

    def packed(self) -> NDArray[np.float64]:
        """The (12,) float64 array that `midas._ext.physics.geometry.unpack_detector` takes apart."""
        return np.array(
            [self.lsd, self.y_bc, self.z_bc, self.px, self.rho_d, self.p0, self.p1, self.p2, self.p3]
            + [self.tx, self.ty, self.tz]
        )
