"""Which spots are saturated: from the merged spots to their final ids (docs/theory/fit_setup.md#saturated-spots)."""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import ArrayLike

from midas.experiment.rings import Rings, distances_from_beam, rings_of_merged
from midas.formats.layer import Layer
from midas.formats.merged import MERGE_FLAGS, RESULT
from midas.formats.spots import SPOT_FLAGS
from midas.formats.table import Table
from midas.parameters import Parameters
from midas.runtime.errors import FormatError

log = logging.getLogger(__name__)


def write_spot_flags(layer: Layer, parameters: Parameters, hkls: Table, frames: int, peaks: Table) -> int:
    """Write ``SpotFlags.csv`` if there are saturated spots; how many.

    Parameters
    ----------
    frames : of the scan
    peaks : of spot 1 ... n its `spot_id` in the Radius file and its `ring`
    """
    if not layer.merge_flags.is_file():
        return 0
    of_merged = MERGE_FLAGS.read(layer.merge_flags)
    merged = RESULT.read(layer.merged(frames))
    ids = of_merged.integers("merged_id")
    if len(ids) and not 1 <= ids.min() <= ids.max() <= len(merged):
        reason = f"names spots that are not among the {len(merged)} of the Result file; run ff-merge again"
        raise FormatError(reason, file=layer.merge_flags)
    spots, _ = rings_of_merged(distances_from_beam(merged, parameters), Rings.of(parameters, hkls))
    rows = peaks.integers("spot_id") - 1
    if len(rows) and not 0 <= rows.min() <= rows.max() < len(spots):
        reason = f"has other spots than the {len(merged)} merged ones give; run ff-radius again"
        raise FormatError(reason, file=layer.radius(frames))
    place = np.full(len(merged), -1, np.int64)
    place[ids - 1] = np.arange(len(ids))
    place = place[spots[rows]]
    flagged = np.flatnonzero(place >= 0)
    if len(flagged):
        columns: dict[str, ArrayLike] = {
            name: of_merged[name][place[flagged]] for name in ("frames", "saturated", "unfitted")
        }
        columns |= {"spot_id": flagged + 1.0, "ring": peaks["ring"][flagged]}
        SPOT_FLAGS.write(layer.spot_flags, Table.from_columns(SPOT_FLAGS.names, columns))
        log.info("Saturated spots: %d of %d", len(flagged), len(peaks))
    return len(flagged)
