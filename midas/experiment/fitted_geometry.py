"""The geometry for which the spots of a layer were corrected."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from midas.experiment.detector import DetectorGeometry
from midas.parameters import Parameters


def fitted_detector(detector: DetectorGeometry, of_setup: Parameters) -> DetectorGeometry:
    """The detector with the geometry that the setup stage fitted, if it did.

    Parameters
    ----------
    of_setup : of paramstest.txt
    """
    places = {"YBCFit": "y_bc", "ZBCFit": "z_bc"}
    known: dict[str, Any] = {
        own: float(of_setup.unknown[name][0]) for name, own in places.items() if name in of_setup.unknown
    }
    known |= {name: float(of_setup[name]) for name in ("ty", "tz") if name in of_setup}
    return replace(detector, lsd=float(of_setup["Lsd"]), **known)
