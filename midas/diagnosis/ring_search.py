"""Where the rings would have to be for the strongest pixels to lie on them: another scale, or another centre.

See docs/theory/diagnosis.md#strong-pixels.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas._ext.numerics.elementwise import cos, exp, hypot, log, sin
from midas.diagnosis.ring_offsets import RingOffsets, ring_offsets

Floats = NDArray[np.float64]

#: a maximum lies on a ring when it is closer than this, pixels
_CLOSE = 2.0
#: scales that are tried, and their step: a share of the radius
_LEAST_SCALE, _LARGEST_SCALE, _SCALE_STEP = 0.8, 1.25, 5e-4
#: places of the centre that are tried: so far from the given one, in such steps, pixels
_FARTHEST, _CENTRE_STEP = 60, 2
#: rings found elsewhere must hold this share of the maxima, and so much more than those as given and than chance
_MOST = 0.8
_AHEAD = 0.3


@dataclass(frozen=True)
class RingFit:
    """How the strongest maxima lie on the rings of the list.

    Parameters
    ----------
    share : of the maxima that lie on rings
    chance : share of any places between them that would
    scale, centre : by which the radii are multiplied, and where the centre lies (y, z), µm
    """

    share: float
    chance: float
    scale: float = 1.0
    centre: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class RingSearch:
    """The fit as given, and a better one with what exactly it says; None where there is none.

    Parameters
    ----------
    rings : numbers of the rings of the list that hold maxima, in the better fit if there is one
    """

    given: RingFit
    better: RingFit | None
    offsets: RingOffsets | None
    rings: tuple[int, ...]


def search_rings(radius: Floats, eta: Floats, radii: dict[int, float], px: float) -> RingSearch:
    """Compare maxima with the rings of the list.

    Parameters
    ----------
    radius, eta : (k,) of the maxima, µm and degrees
    radii : ring -> radius, µm
    px : size of a pixel, µm
    """
    angle = np.radians(eta)
    y, z = -radius * sin(angle), radius * cos(angle)
    table = _Table(np.array(sorted(radii.values())), px, float(radius.max()) * 1.3 + 2 * _FARTHEST * px)
    given = table.fit(radius, RingFit(0.0, 0.0))
    tried = [_best(table.fit(radius / each.scale, each) for each in _scales())]
    tried += [_best(table.fit(hypot(y - each.centre[0], z - each.centre[1]), each) for each in _centres(px))]
    better = max(tried, key=lambda fit: fit.share)
    if better.share < least_share(given, better):
        rings, _ = _assigned(radius, eta, radii, px, given)
        return RingSearch(given, None, None, tuple(np.unique(rings).tolist()))
    rings, rows = _assigned(radius, eta, radii, px, better)
    predicted = np.array([radii[ring] for ring in rings.tolist()])
    offsets = ring_offsets(rings, predicted, eta[rows], radius[rows])
    return RingSearch(given, better, offsets, tuple(np.unique(rings).tolist()))


def share_on_rings(radius: Floats, radii: Floats, px: float) -> RingFit:
    """How maxima at these radii (µm) lie on rings of ascending radii."""
    return _Table(radii, px, float(radius.max())).fit(radius, RingFit(0.0, 0.0))


def least_share(given: RingFit, other: RingFit) -> float:
    """What another fit must reach to be better than the given one, and than chance."""
    return max(_MOST, given.share + _AHEAD, other.chance + _AHEAD)


class _Table:
    """Which radii are close to a ring, in half pixels."""

    def __init__(self, radii: Floats, px: float, largest: float):
        self._bin = px / 2
        places = np.arange(int(largest / self._bin) + 2, dtype=np.float64) * self._bin
        above = np.clip(np.searchsorted(radii, places), 1, max(len(radii) - 1, 1)) if len(radii) > 1 else None
        nearest = np.full(len(places), radii[0]) if above is None else _nearer(radii, above, places)
        self._close = np.abs(places - nearest) < _CLOSE * px

    def fit(self, radius: Floats, candidate: RingFit) -> RingFit:
        """The candidate with its share."""
        places = (radius / self._bin + 0.5).astype(np.int64)
        low, high = int(places.min()), int(places.max()) + 1
        chance = float(self._close[low:high].mean())
        return RingFit(float(self._close[places].mean()), chance, candidate.scale, candidate.centre)


def _nearer(radii: Floats, above: NDArray[np.int64], places: Floats) -> Floats:
    """Of the rings below and above each place the nearer one."""
    low, high = radii[above - 1], radii[above]
    return np.where(places - low < high - places, low, high)


def _scales() -> Iterator[RingFit]:
    steps = int(log(_LARGEST_SCALE / _LEAST_SCALE) / _SCALE_STEP)
    return (RingFit(0.0, 0.0, scale=float(s)) for s in _LEAST_SCALE * exp(_SCALE_STEP * np.arange(steps + 1)))


def _centres(px: float) -> Iterator[RingFit]:
    steps = range(-_FARTHEST, _FARTHEST + 1, _CENTRE_STEP)
    return (RingFit(0.0, 0.0, centre=(y * px, z * px)) for y, z in itertools.product(steps, steps))


def _best(fits: Iterable[RingFit]) -> RingFit:
    """The fit with the largest share; of several the one in their middle."""
    listed = list(fits)
    largest = max(fit.share for fit in listed)
    top = [fit for fit in listed if fit.share >= largest - 1e-9]
    return top[len(top) // 2]


def _assigned(
    radius: Floats, eta: Floats, radii: dict[int, float], px: float, fit: RingFit
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rings on which maxima lie, and which maxima these are."""
    angle = np.radians(eta)
    y, z = -radius * sin(angle) - fit.centre[0], radius * cos(angle) - fit.centre[1]
    numbers, values = np.array(list(radii)), np.array(list(radii.values()))
    distance = np.abs(hypot(y, z)[:, None] / fit.scale - values)
    nearest = distance.argmin(axis=1)
    rows = np.flatnonzero(distance.min(axis=1) < _CLOSE * px)
    return numbers[nearest[rows]].astype(np.int64), rows
