"""Which peaks and which sizes belong to a spot: the joins through the four id spaces (docs/theory/grains.md#joins).

A spot id is a radius id sorted anew (``IDRings.csv``); a radius id is a merged spot on one of its rings (the ring test
repeated); a merged spot is its constituent peaks (``MergeMap.csv``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas.experiment.rings import Rings, distances_from_beam, rings_of_merged
from midas.formats.table import Table
from midas.results.tables.sources import PEAK_NAMES, Sources
from midas.runtime.errors import FormatError


@dataclass(frozen=True)
class SpotLinks:
    """The way from spot ids back to the measurement.

    Parameters
    ----------
    radius_row : row of the radius table of spot id i, at [i]; -1 where there is none
    constituents : (m, 3) int64, merged id, frame, peak id; the peaks of a merged spot stand together
    peaks : (m, 27), their rows of the peak tables; NaN where there is none
    final_spot_id : (m,) int64, the spot that they became, the lowest one if they became two; -1 if none
    first, last : constituents of spot id i are the rows ``first[i] : last[i]``
    """

    radius_row: NDArray[np.int64]
    constituents: NDArray[np.int64]
    peaks: NDArray[np.float64]
    final_spot_id: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]

    @classmethod
    def of(cls, sources: Sources) -> SpotLinks:
        """The links of a layer, as far as it has the tables."""
        radius_row = _radius_rows(sources)
        return cls.joined(radius_row, _merged_ids(sources, radius_row), sources.merge_map, sources.peaks)

    @classmethod
    def joined(
        cls,
        radius_row: NDArray[np.int64],
        merged_ids: NDArray[np.int64],
        merge_map: Table | None,
        peak_table: Table | None,
    ) -> SpotLinks:
        """The links through known rows of the radius table and merged ids of the spot ids; -1 where there is none."""
        constituents = _constituents(merge_map)
        peaks = _peaks_of(constituents, peak_table)
        starts = np.flatnonzero(np.append(True, np.diff(constituents[:, 0]) != 0)[: len(constituents)])
        ends = np.append(starts[1:], len(constituents))
        known = constituents[starts, 0]
        order = np.argsort(known)
        place = np.searchsorted(known[order], merged_ids)
        group = order[np.minimum(place, len(known) - 1)] if len(known) else np.zeros(len(merged_ids), np.int64)
        found = known[group] == merged_ids if len(known) else np.zeros(len(merged_ids), bool)
        first, last = np.zeros((2, len(merged_ids)), np.int64)
        first[found], last[found] = starts[group[found]], ends[group[found]]
        final = np.full(len(starts), -1, np.int64)
        spots = np.flatnonzero(found)[::-1]  # the lowest one is written last and stays
        final[group[spots]] = spots
        return cls(radius_row, constituents, peaks, np.repeat(final, ends - starts), first, last)


def _radius_rows(sources: Sources) -> NDArray[np.int64]:
    if sources.id_rings is None or sources.radius is None:
        return np.full(1, -1, np.int64)
    spot, radius = sources.id_rings.integers("spot_id"), sources.id_rings.integers("radius_id")
    total = int(spot.max(initial=0)) if sources.extra_info is None else len(sources.extra_info)
    count = len(sources.radius)
    if (sources.radius["spot_id"] != np.arange(1, count + 1)).any():
        raise FormatError("SpotIDs do not count the rows of the radius table", file=sources.layer.folder)
    if ((spot < 1) | (spot > total) | (radius < 1) | (radius > count)).any():
        reason = f"names ids beyond the {total} spots or {count} radius rows of this layer; run ff-setup again"
        raise FormatError(reason, file=sources.layer.id_rings)
    rows = np.full(total + 1, -1, np.int64)
    rows[spot] = radius - 1
    return rows


def _merged_ids(sources: Sources, radius_row: NDArray[np.int64]) -> NDArray[np.int64]:
    """Merged id of each spot id; -1 where there is none."""
    ids = np.full(len(radius_row), -1, np.int64)
    if sources.merged is None or sources.radius is None or sources.hkls is None:
        return ids
    p = sources.parameters
    spots, _ = rings_of_merged(distances_from_beam(sources.merged, p), Rings.of(p, sources.hkls))
    if len(spots) != len(sources.radius):
        reason = f"{len(sources.radius)} radius rows where the merged spots give {len(spots)}; run ff-radius again"
        raise FormatError(reason, file=sources.layer.folder)
    known = radius_row >= 0
    ids[known] = sources.merged.integers("spot_id")[spots[radius_row[known]]]
    return ids


def _constituents(merge_map: Table | None) -> NDArray[np.int64]:
    """Rows of the merge map, those of one merged spot together, merged spots in order of first appearance."""
    if merge_map is None:
        return np.empty((0, 3), np.int64)
    rows = np.stack([merge_map.integers(name) for name in ("merged_id", "frame", "peak_id")], axis=1)
    _, first, group = np.unique(rows[:, 0], return_index=True, return_inverse=True)
    return rows[np.argsort(first[group], kind="stable")]


def _peaks_of(constituents: NDArray[np.int64], peaks: Table | None) -> NDArray[np.float64]:
    out = np.full((len(constituents), len(PEAK_NAMES) - 1), np.nan)
    if peaks is None or not len(peaks) or not len(constituents):
        return out
    wanted, have = constituents[:, 1:], np.stack([peaks.integers("frame"), peaks.integers("peak_id")], axis=1)
    span = int(max(wanted[:, 1].max(), have[:, 1].max())) + 1
    keys = have[:, 0] * span + have[:, 1]
    order = np.argsort(keys, kind="stable")
    looked_up = wanted[:, 0] * span + wanted[:, 1]
    row = order[np.minimum(np.searchsorted(keys[order], looked_up), len(keys) - 1)]
    found = keys[row] == looked_up
    out[found] = peaks.columns[1:, row[found]].T
    return out
