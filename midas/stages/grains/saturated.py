"""The saturated spots of grains (docs/theory/fit_setup.md#saturated-spots)."""

from __future__ import annotations

import logging

import numpy as np

from midas.formats.layer import Layer
from midas.formats.spots import SPOT_FLAGS
from midas.formats.table import Table

log = logging.getLogger(__name__)


def warn_of_saturated(layer: Layer, spot_matrix: Table) -> None:
    """Say how many spots of how many grains are saturated, if any.

    Parameters
    ----------
    spot_matrix : of each spot of a grain GrainID and SpotID, as in ``SpotMatrix.csv``
    """
    if not layer.spot_flags.is_file():
        return
    flagged = np.isin(spot_matrix.integers("SpotID"), SPOT_FLAGS.read(layer.spot_flags).integers("spot_id"))
    grains = spot_matrix.integers("GrainID")
    if flagged.any():
        log.warning(
            "%d spots of %d of the %d grains are saturated, and taken from their flanks (%s)",
            np.count_nonzero(flagged), len(np.unique(grains[flagged])), len(np.unique(grains)), layer.spot_flags.name,
        )  # fmt: skip
