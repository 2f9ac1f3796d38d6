"""The geometry of the instrument, from powder rings and from grains, and how well it and the grains are known."""

from midas.calibration.grains.geometry import geometry_from_grains
from midas.calibration.grains.result import GeometryResult

__all__ = ["GeometryResult", "geometry_from_grains"]
