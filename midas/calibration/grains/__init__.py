"""From the spots of grains to the geometry, and to the uncertainty of every grain."""
