"""Broken spots: the crystals of a family as one grain, fitted to what its fragments make (docs/theory/mosaic.md)."""
