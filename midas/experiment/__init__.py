"""The experiment as Python objects: detector, crystal, orientations, scan, rings; the door to the suite's physics.

``from midas.experiment import DetectorGeometry`` and the like; each name is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from midas.experiment.angles import DEG2RAD, RAD2DEG, wrapped
    from midas.experiment.crystal import (
        reciprocal_basis,
        reflections,
        space_group,
    )
    from midas.experiment.detector import (
        DetectorGeometry,
        Ideal,
        PredictedSpots,
    )
    from midas.experiment.orientation import (
        euler_angles,
        matrices_from_euler,
        matrices_from_quaternions,
        misorientation,
        nearest_rotations,
        quaternion_product,
        quaternions_from_matrices,
        symmetry_operators,
    )
    from midas.experiment.panels import panels_of
    from midas.experiment.rings import Rings
    from midas.experiment.scan import Scan

__all__ = [
    "DEG2RAD",
    "DetectorGeometry",
    "Ideal",
    "PredictedSpots",
    "RAD2DEG",
    "Rings",
    "Scan",
    "euler_angles",
    "matrices_from_euler",
    "matrices_from_quaternions",
    "misorientation",
    "nearest_rotations",
    "panels_of",
    "quaternion_product",
    "quaternions_from_matrices",
    "reciprocal_basis",
    "reflections",
    "space_group",
    "symmetry_operators",
    "wrapped",
]

#: where they are
_HOMES = {
    "angles": "DEG2RAD RAD2DEG wrapped",
    "crystal": "reciprocal_basis reflections space_group",
    "detector": "DetectorGeometry Ideal PredictedSpots",
    "orientation": "euler_angles matrices_from_euler matrices_from_quaternions misorientation nearest_rotations "
    "quaternion_product quaternions_from_matrices symmetry_operators",
    "panels": "panels_of",
    "rings": "Rings",
    "scan": "Scan",
}
_HOME = {name: module for module, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
