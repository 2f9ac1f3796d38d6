"""Which spots are saturated: from the merged spots to their final ids (docs/theory/fit_setup.md#saturated-spots)."""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray

from midas.experiment.rings import Rings, distances_from_beam, rings_of_merged
from midas.formats.layer import Layer
from midas.formats.merged import MERGE_FLAGS, RESULT
from midas.formats.spots import SPOT_FLAGS
from midas.formats.table import Table
from midas.parameters import Parameters
from midas.runtime.errors import FormatError

log = logging.getLogger(__name__)


def write_spot_flags(
    layer: Layer, parameters: Parameters, hkls: Table, frames: int, radius_ids: NDArray[np.int64], rings: NDArray[np.int64]
) -> int:
    """Write ``SpotFlags.csv`` if there are saturated spots; how many.

    Parameters
    ----------
    frames : of the scan
    radius_ids, rings : (n,) of spot 1 ... n its id in the Radius file, and its ring
    """
    if not layer.merge_flags.is_file():
        return 0
    flags = MERGE_FLAGS.read(layer.merge_flags)
    merged = RESULT.read(layer.merged(frames))
    ids = flags.integers("merged_id")
    if len(ids) and not 1 <= ids.min() <= ids.max() <= len(merged):
        reason = f"names spots that are not among the {len(merged)} of the Result file; run ff-merge again"
        raise FormatError(reason, file=layer.merge_flags)
    spots, _ = rings_of_merged(distances_from_beam(merged, parameters), Rings.of(parameters, hkls))
    if len(radius_ids) and radius_ids.max() > len(spots):
        reason = f"has rows that the {len(merged)} merged spots do not give; run ff-radius again"
        raise FormatError(reason, file=layer.radius(frames))
    of_merged = np.zeros((2, len(merged)), np.int64)
    of_merged[:, ids - 1] = flags.integers("frames"), flags.integers("saturated")
    in_frames, saturated = of_merged[:, spots[radius_ids - 1]]
    flagged = np.flatnonzero(saturated)
    if len(flagged):
        columns = {
            "spot_id": flagged + 1,
            "ring": rings[flagged],
            "frames": in_frames[flagged],
            "saturated": saturated[flagged],
        }
        SPOT_FLAGS.write(layer.spot_flags, Table.from_columns(SPOT_FLAGS.names, columns))
        log.info("Saturated spots: %d of %d", len(flagged), len(radius_ids))
    return len(flagged)


def saturated_spots(layer: Layer, spots: int) -> NDArray[np.bool_]:
    """(spots,) whether spot 1 ... n is saturated, by ``SpotFlags.csv``; none where there is no such file."""
    flagged = np.zeros(spots, bool)
    if layer.spot_flags.is_file():
        ids = SPOT_FLAGS.read(layer.spot_flags).integers("spot_id")
        if len(ids) and not 1 <= ids.min() <= ids.max() <= spots:
            raise FormatError(f"names spots that are not among the {spots}; run ff-setup again", file=layer.spot_flags)
        flagged[ids - 1] = True
    return flagged
