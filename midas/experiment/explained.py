"""How much of what is on the frames the grains explain (docs/theory/diagnosis.md#few-grains)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas.formats.table import Table

#: of the accepted spots of every ring this share, the strongest, is strong
_STRONG = 0.25
#: grains that explain less than this share of the strong spots are few, unless there are hardly any spots
_MUCH = 0.5
_FEWEST = 8


@dataclass(frozen=True)
class Explained:
    """The strong spots.

    Parameters
    ----------
    strong : their number
    alone : (k,) ids of those that belong to no grain
    """

    strong: int
    alone: NDArray[np.int64]

    @property
    def share(self) -> float:
        """Of the strong spots that belong to grains."""
        return 1 - len(self.alone) / self.strong if self.strong else 1.0

    @property
    def is_little(self) -> bool:
        """Whether something is wrong, or the sample holds something else."""
        return self.strong >= _FEWEST and self.share < _MUCH


def explained_spots(extra_info: Table, of_grains: NDArray[np.int64]) -> Explained:
    """Compare the spots of the setup stage with those of the grains.

    Parameters
    ----------
    extra_info : the table of InputAllExtraInfoFittingAll.csv; rejected spots have ring 0
    of_grains : ids of the spots of grains
    """
    ring, intensity = extra_info.integers("ring"), extra_info["intensity"]
    strong = np.zeros(len(ring), bool)
    for number in np.unique(ring[ring > 0]):
        own = ring == number
        strong |= own & (intensity >= np.quantile(intensity[own], 1 - _STRONG))
    ids = extra_info.integers("spot_id")
    alone = strong & ~np.isin(ids, of_grains)
    return Explained(int(strong.sum()), ids[alone])
