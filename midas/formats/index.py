"""Results of the indexer: ``IndexBest.bin`` and ``IndexBestFull.bin`` (spec chapter 05 §5)."""

from __future__ import annotations

#: spots that fit into the slot of one seed in IndexBestFull, ProcessKey and FitBest: a limit of the file format
SLOT = 5000

#: ``IndexBest.bin``: float64 per seed
BEST = (
    "internal_angle",
    *(f"u{i}{j}" for i in (1, 2, 3) for j in (1, 2, 3)),
    "x",
    "y",
    "z",
    "expected",
    "matched",
)
BEST_BYTES = 8 * len(BEST)

#: ``IndexBestFull.bin``: (spot id, grain radius) float64 pairs, SLOT per seed
FULL_BYTES = 16 * SLOT
