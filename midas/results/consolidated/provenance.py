"""Where each spot came from, kept in the archive beside the frames (docs/formats.md)."""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray

from midas.archive import set_datasets
from midas.formats.layer import Layer
from midas.results.tables.sources import LayerTables, Sources
from midas.runtime.errors import ArchiveError

log = logging.getLogger(__name__)

PROVENANCE = "analysis/provenance"

#: stands for a table without rows: an archive cannot hold an empty array
_NONE = np.array([-1], np.int64)


def append(layer: Layer, *, tables: LayerTables | None = None) -> bool:
    """Write the merge map, the spots of the grains and the ids that join the two into the layer's archive.

    `grain_spots` holds spot ids and `merge_map` merged ids; `id_rings` leads from the first to the radius ids. A table
    without rows is the one number -1.

    Parameters
    ----------
    tables : tables that are in memory; the others come from the files

    Returns
    -------
    whether the archive was changed; when it holds these numbers already it is left alone
    """
    if layer.archive is None:
        raise ArchiveError("has no archive to write the provenance of its spots into", file=layer.folder)
    sources = Sources(layer, tables)
    changed = set_datasets(layer.archive, _datasets(sources))
    if changed:
        log.info("Provenance of %d grain spots: %s", len(sources.spot_matrix), layer.archive)
    return changed


def _datasets(sources: Sources) -> dict[str, NDArray[np.int64]]:
    spots = sources.spot_matrix
    columns = {
        "grain_spots/grain_ids": spots.integers("GrainID"),
        "grain_spots/spot_ids": spots.integers("SpotID"),
    }
    if sources.merge_map is not None:
        for column, name in (("merged_id", "mergedspotid"), ("frame", "framenr"), ("peak_id", "peakid")):
            columns[f"merge_map/{name}"] = sources.merge_map.integers(column)
    if sources.id_rings is not None:
        for column, name in (("ring", "ringnumber"), ("radius_id", "originalid"), ("spot_id", "newid")):
            columns[f"id_rings/{name}"] = sources.id_rings.integers(column)
    return {f"{PROVENANCE}/{name}": column if len(column) else _NONE for name, column in columns.items()}
