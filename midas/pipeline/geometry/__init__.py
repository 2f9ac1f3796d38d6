"""The geometry from the grains of finished layers, and the layers once more with it (docs/verified_geometry.md)."""

from midas.pipeline.geometry.run import of_driver, run

__all__ = ["of_driver", "run"]
