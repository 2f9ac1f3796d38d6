"""The geometry of the instrument, from powder rings and from grains, and how well it and the grains are known.

``from midas.calibration import geometry_from_grains`` and the like; each name is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas.runtime.lazy import names_of

if TYPE_CHECKING:
    from midas.calibration.grains.geometry import geometry_from_grains
    from midas.calibration.grains.result import GeometryResult
    from midas.calibration.grains.sigma import sigma_of_grains
    from midas.calibration.powder.calibrants import calibrants_of, rings_of
    from midas.calibration.powder.calibrate import calibrate
    from midas.calibration.powder.image import PowderImage
    from midas.calibration.powder.result import Calibration
    from midas.calibration.powder.settings import CalibrationSettings
    from midas.formats.uncertainty import GrainSigmas

__all__ = [
    "Calibration",
    "CalibrationSettings",
    "GeometryResult",
    "GrainSigmas",
    "PowderImage",
    "calibrants_of",
    "calibrate",
    "geometry_from_grains",
    "rings_of",
    "sigma_of_grains",
]

#: where they are
_HOMES = {
    "grains.geometry": "geometry_from_grains",
    "grains.result": "GeometryResult",
    "grains.sigma": "GrainSigmas sigma_of_grains",
    "powder.calibrants": "calibrants_of rings_of",
    "powder.calibrate": "calibrate",
    "powder.image": "PowderImage",
    "powder.result": "Calibration",
    "powder.settings": "CalibrationSettings",
}
__getattr__, __dir__ = names_of(__name__, _HOMES)
