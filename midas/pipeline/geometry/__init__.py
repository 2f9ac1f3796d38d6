"""The geometry from the grains of finished layers, and the layers once more with it (docs/verified_geometry.md)."""
