"""Numbers of an instrument as the kernel of the joint fit takes them (docs/theory/geometry_from_grains.md#state)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from midas._ext.calibrate.joint import PARAMETERS
from midas._ext.numerics.elementwise import cos, sin
from midas.experiment.angles import DEG2RAD
from midas.experiment.detector import DetectorGeometry

Array = NDArray[np.float64]

#: how many of the parameters, the last ones, are terms of the wobble
_WOBBLE = sum(name.startswith("Wobble") for name in PARAMETERS)


def numbers_of(detector: DetectorGeometry) -> Array:
    """The (27,) numbers of an instrument as the kernel takes them; its wavelength must be known."""
    phase = DEG2RAD * detector.p3
    return np.array(
        [detector.lsd, detector.y_bc, detector.z_bc, detector.tx, detector.ty, detector.tz]
        + [detector.p0, detector.p1 * cos(phase), detector.p1 * sin(phase), detector.p2, detector.wedge]
        + [0.0, detector.wavelength, *np.zeros(_WOBBLE), detector.px, detector.rho_d]
        + [float(detector.exact_wedge), float(detector.exact_tilts)]
    )
