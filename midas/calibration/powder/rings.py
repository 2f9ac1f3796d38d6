"""The rings of a calibrant."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas._ext.numerics.elementwise import arcsin


@dataclass(frozen=True)
class Rings:
    """Rings of one or several powders, by rising two_theta; rings of equal spacing are one.

    Parameters
    ----------
    number : (r,) int64, as in hkls.csv, from 1
    d_spacing : (r,) float64, Å
    multiplicity : (r,) int64
    """

    number: NDArray[np.int64]
    d_spacing: NDArray[np.float64]
    multiplicity: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.number)

    def two_theta(self, wavelength: float) -> NDArray[np.float64]:
        """(r,) degrees; NaN for what is too small to diffract."""
        sine = wavelength / (2 * self.d_spacing)
        return np.asarray(2 * np.degrees(arcsin(np.where(sine <= 1, sine, np.nan))), np.float64)
