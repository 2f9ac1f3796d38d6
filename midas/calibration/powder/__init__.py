"""From the image of a powder to the geometry (docs/theory/calibration.md)."""
