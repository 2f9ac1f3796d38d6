"""Which spots of a layer are saturated, and how sure their places are (docs/theory/fit_setup.md#saturated-spots)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas.formats.layer import Layer
from midas.formats.spots import SPOT_FLAGS
from midas.runtime.errors import FormatError

#: factor on the distances on the detector of a saturated spot without a fit
#: (docs/theory/refinement.md#saturated-spots)
UNFITTED_CERTAINTY = 0.1


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

    @property
    def certainty(self) -> NDArray[np.float64]:
        """Factor on the distances of each spot on the detector when a grain is fitted to it."""
        return np.where(self.unfitted, UNFITTED_CERTAINTY, 1.0)


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
