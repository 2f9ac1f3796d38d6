"""The geometry from the grains of finished layers, and the layers once more with it (docs/verified_geometry.md)."""

from midas.pipeline.geometry.run import run

__all__ = ["run"]
