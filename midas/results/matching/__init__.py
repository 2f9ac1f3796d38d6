"""Which grains of two or more lists are the same crystal: one engine to match, stitch, compare and track."""
