"""How often directions occur, in multiples of what they would without texture (docs/theory/colours.md#density)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

from midas.results.colours.projection import project

__all__ = ["multiples_of_random"]

Floats = NDArray[np.float64]

#: half a side of the square in which directions are counted (the rim is at 1), its cells, and the blur in their units
_HALF, _CELLS = 1.3, 260
#: standard deviation of the blur, degrees
_BLUR = 4.0


def multiples_of_random(poles: Floats, at: Floats, blur: float = _BLUR) -> Floats:
    """Density of directions and their opposites, 1 where it is that of directions without texture.

    Parameters
    ----------
    poles : (n, 3) unit vectors
    at : (m, 3) unit vectors where it is asked for
    blur : standard deviation of what each pole is spread to, degrees

    Returns
    -------
    (m,) float64
    """
    if not len(poles):
        return np.zeros(len(at))
    both = np.concatenate([poles, -poles])
    # Beyond the rim lie the directions below it, so that the blur finds on either side what belongs there.
    places = project(both[both[:, 2] > 1 - _HALF**2], "equal-area")
    edges = np.linspace(-_HALF, _HALF, _CELLS + 1)
    counts, _, _ = np.histogram2d(places[:, 0], places[:, 1], [edges, edges])
    cell = edges[1] - edges[0]
    smooth = gaussian_filter(counts, np.radians(blur) / np.sqrt(2) / cell, mode="constant")
    usual = len(poles) * cell**2 / np.pi
    upper = np.where(at[:, 2:] < 0, -at, at)
    found = (project(upper, "equal-area") + _HALF) / cell - 0.5
    return np.asarray(map_coordinates(smooth, found.T, order=1, mode="nearest") / usual, np.float64)
