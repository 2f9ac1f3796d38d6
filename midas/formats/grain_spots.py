"""Which rows of ``SpotMatrix.csv`` are whose (docs/theory/grains.md#grain-list)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from midas.formats.layer import Layer
from midas.formats.refined import LEAST_COMPLETENESS, read_refined
from midas.formats.spots import read_seed_ids
from midas.formats.table import Table
from midas.runtime.errors import FormatError
from midas.runtime.ragged import offsets_of


def spot_ranges(layer: Layer, grains: Table, spots: Table, seeds: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    """Rows of the spot matrix of each grain: ``offsets[i] : offsets[i + 1]``.

    Parameters
    ----------
    grains, spots : the tables of ``Grains.csv`` and ``SpotMatrix.csv``
    seeds : one row for each, if they are in memory

    Raises
    ------
    FormatError : where they do not belong together
    """
    ids, owners = grains.integers("GrainID"), spots.integers("GrainID")
    unique, counts = np.unique(owners, return_counts=True)
    of_id = dict(zip(unique.tolist(), counts.tolist(), strict=True))
    if len(np.unique(ids)) == len(ids):
        lengths = [of_id.get(i, 0) for i in ids.tolist()]
    else:
        lengths = _lengths_of_rows(layer, ids, seeds)
    offsets = offsets_of(lengths)
    if offsets[-1] != len(spots) or (np.repeat(ids, lengths) != owners).any():
        raise FormatError("does not list the spots of the grains of Grains.csv", file=layer.spot_matrix)
    return offsets


def _lengths_of_rows(layer: Layer, ids: NDArray[np.int64], seeds: NDArray[np.int64] | None) -> list[int]:
    """Spots of each grain where several have the same id (tracking): only the refinement's rows tell them apart."""
    if seeds is None and layer.spots_to_index.exists():
        seeds = read_seed_ids(layer.spots_to_index)
    refined = read_refined(layer, 0 if seeds is None else len(seeds))
    counts = np.diff(refined.offsets)
    kept = (counts > 0) & (refined.column("completeness") >= LEAST_COMPLETENESS)
    if refined.key[kept, 0].tolist() != ids.tolist():
        raise FormatError("is not the result of the refinement beside it", file=layer.grains)
    lengths: list[int] = counts[kept].tolist()
    return lengths
