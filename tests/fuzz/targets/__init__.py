"""A module a target, or a family of targets; each has a tuple `TARGETS`."""
