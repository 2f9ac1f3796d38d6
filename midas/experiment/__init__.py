"""The experiment as Python objects: detector, crystal, orientations, scan, rings; the door to the suite's physics.

``from midas.experiment import DetectorGeometry`` and the like; each name is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from midas.runtime.lazy import names_of

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
__getattr__, __dir__ = names_of(__name__, _HOMES)
