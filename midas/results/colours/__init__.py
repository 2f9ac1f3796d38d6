"""Colours of orientations: keys of the eleven Laue groups, their sectors, projections (docs/theory/colours.md)."""
