"""The experiment as Python objects: detector, panels, crystal, orientations, scan, rings."""
