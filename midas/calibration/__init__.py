"""The geometry of the instrument, from powder rings and from grains, and how well it and the grains are known."""
