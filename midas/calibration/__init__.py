"""The geometry of the instrument, from powder rings and from grains, and how well it and the grains are known.

``from midas.calibration import geometry_from_grains`` and the like; each name is imported when it is first used.
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
    "grains.geometry": "geometry_from_grains",
    "grains.result": "GeometryResult",
    "grains.sigma": "GrainSigmas sigma_of_grains",
}
_HOME = {name: module for module, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
