"""The geometry of the instrument, from powder rings and from grains, and how well it and the grains are known.

``midas.calibration.sigma_of_grains(layer)`` and the like; each name is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from midas.calibration.grains.geometry import geometry_from_grains
    from midas.calibration.grains.result import GeometryResult
    from midas.calibration.grains.sigma import sigma_of_grains
    from midas.formats.uncertainty import GrainSigmas

__all__ = ["GeometryResult", "GrainSigmas", "geometry_from_grains", "sigma_of_grains"]

#: where they are
_HOMES = {
    "GeometryResult": "midas.calibration.grains.result",
    "GrainSigmas": "midas.formats.uncertainty",
    "geometry_from_grains": "midas.calibration.grains.geometry",
    "sigma_of_grains": "midas.calibration.grains.sigma",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
