"""Which spots are saturated: from the merged spots to their final ids (docs/theory/fit_setup.md#saturated-spots)."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from midas.experiment.rings import Rings, distances_from_beam, rings_of_merged
from midas.formats.layer import Layer
from midas.formats.merged import MERGE_FLAGS, RESULT
from midas.formats.spots import SPOT_FLAGS
from midas.formats.table import Table
from midas.parameters import Parameters
from midas.runtime.errors import FormatError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SpotFlags:
    """What is known of the spots of a layer; spot 1 is the first.

    Parameters
    ----------
    saturated : (n,) bool, whether a peak of the spot is saturated
    unfitted : (n,) bool, whether one of these is the centroid of its region, since its flanks determine no profile
    """

    saturated: NDArray[np.bool_]
    unfitted: NDArray[np.bool_]


def read_spot_flags(layer: Layer, spots: int) -> SpotFlags:
    """``SpotFlags.csv`` of a layer with so many spots; none is flagged where there is no such file."""
    flags = SpotFlags(np.zeros(spots, bool), np.zeros(spots, bool))
    if layer.spot_flags.is_file():
        table = SPOT_FLAGS.read(layer.spot_flags)
        ids = table.integers("spot_id")
        if len(ids) and not 1 <= ids.min() <= ids.max() <= spots:
            raise FormatError(f"names spots that are not among the {spots}; run ff-setup again", file=layer.spot_flags)
        flags.saturated[ids - 1] = True
        flags.unfitted[ids - 1] = table["unfitted"] > 0
    return flags


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


def saturated_of_grains(layer: Layer, grains: NDArray[np.int64], owners: Table) -> NDArray[np.int64]:
    """How many saturated spots each grain has; says how many there are if any.

    Parameters
    ----------
    grains : (g,) ids of the grains
    owners : of each spot of a grain GrainID and SpotID, as in ``SpotMatrix.csv``
    """
    if not layer.spot_flags.is_file():
        return np.zeros(len(grains), np.int64)
    flagged = SPOT_FLAGS.read(layer.spot_flags).integers("spot_id")
    own = owners.integers("GrainID")[np.isin(owners.integers("SpotID"), flagged)]
    counts = np.array([np.count_nonzero(own == grain) for grain in grains.tolist()], np.int64)
    if counts.any():
        grains_concerned = np.count_nonzero(counts)
        log.warning(
            "%d spots of %d of the %d grains are saturated, and taken from their flanks (%s)",
            counts.sum(), grains_concerned, len(counts), layer.spot_flags.name,
        )  # fmt: skip
    return counts
