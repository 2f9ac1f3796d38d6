"""Results of the indexer: ``IndexBest.bin`` and ``IndexBestFull.bin`` (spec chapter 05 §5)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas.errors import FormatError
from midas.formats.binary import read_records
from midas.layer import Layer

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


@dataclass(frozen=True)
class IndexedSeeds:
    """What the indexer found for some seeds.

    Parameters
    ----------
    best : (n, 15) float64, the columns of `BEST`; zeros for a seed without result
    offsets : (n + 1,) int64; row r was assigned ``ids[offsets[r] : offsets[r + 1]]``
    ids, radii : spot ids (int64) and grain radii (float64, µm)
    """

    best: NDArray[np.float64]
    offsets: NDArray[np.int64]
    ids: NDArray[np.int64]
    radii: NDArray[np.float64]


def read_indexed(layer: Layer, rows: range) -> IndexedSeeds:
    """The indexer's results of these rows; rows beyond the end of ``IndexBest.bin`` have none.

    A row with more spots than fit into a slot keeps its count in `best`, and has no spots here.

    Raises
    ------
    FormatError
        when a file is missing or cut off, or holds no spots where ``IndexBest.bin`` counts some
    """
    best = np.zeros((len(rows), len(BEST)))
    records = read_records(layer.index_best, "<f8", (len(BEST),), written_by="ff-index", mapped=True)
    found = records[rows.start : rows.stop]
    best[: len(found)] = found
    matched = best[:, -1]
    if (bad := np.flatnonzero(~((matched >= 0) & (matched == np.trunc(matched))))).size:
        reason = f"row {rows.start + bad[0]}: is not a number of spots"
        raise FormatError(reason, file=layer.index_best, value=matched[bad[0]])
    counts = np.where(matched > SLOT, 0, matched).astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    pairs = np.empty((offsets[-1], 2))
    slots = read_records(layer.index_best_full, "<f8", (SLOT, 2), written_by="ff-index", mapped=True)
    for row in np.flatnonzero(counts):
        if rows.start + row >= len(slots):
            reason = f"has {len(slots)} slots; row {rows.start + row} of {layer.index_best.name} has spots"
            raise FormatError(reason, file=layer.index_best_full)
        pairs[offsets[row] : offsets[row + 1]] = slots[rows.start + row, : counts[row]]
    ids = np.where(np.isfinite(pairs[:, 0]), pairs[:, 0], 0).astype(np.int64)
    return IndexedSeeds(best, offsets, ids, np.ascontiguousarray(pairs[:, 1]))
