"""Spots measured on the frames, in boxes around predicted reflections."""
