"""The tables that the stages leave of a layer, and how their rows belong together."""
