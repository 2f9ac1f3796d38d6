"""Points on powder rings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Points:
    """Where rings were seen; one number of every column per point, in ascending (ring, eta bin, panel).

    Parameters
    ----------
    y_px, z_px : px, after the image transformation, before a panel's shift
    sigma : of the place along the radius, px
    ring : place of the ring in `Rings`
    eta : middle of the bin, degrees
    panel : -1 without panels
    chi2 : of the pixels of the group about the fitted profile
    height, background : of the profile, counts
    """

    y_px: Array
    z_px: Array
    sigma: Array
    ring: NDArray[np.int64]
    eta: Array
    panel: NDArray[np.int64]
    chi2: Array
    height: Array
    background: Array

    def __len__(self) -> int:
        return len(self.y_px)

    @classmethod
    def joined(cls, several: Sequence[Points]) -> Points:
        """One after the other."""
        return cls(*(np.concatenate([getattr(one, field.name) for one in several]) for field in fields(cls)))

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Points:
        """Some of them."""
        return Points(*(getattr(self, field.name)[rows] for field in fields(self)))
