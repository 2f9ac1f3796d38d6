"""Where the rings of the sample are seen, and where they should be (docs/theory/diagnosis.md#observed-rings)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from midas.diagnosis.look.polar import PolarMap
from midas.diagnosis.maxima import strongest, summits
from midas.diagnosis.ring_offsets import RingOffsets, ring_offsets
from midas.diagnosis.ring_search import RingSearch, search_rings, share_on_rings
from midas.experiment.noise import robust_spread

Floats = NDArray[np.float64]

#: sectors of a full turn
SECTORS = 24
#: an excess counts when it is this many times its noise
_CERTAIN = 6.0
#: maxima that are needed to say where the rings are
_FEWEST_MAXIMA = 20
#: of the strongest maxima so many must lie on the rings, and so much more than by chance
_MOSTLY, _ABOVE_CHANCE = 0.4, 0.15
#: the windows follow the rings, so that their edges do not cut what is far from its place
_ROUNDS = 4


@dataclass(frozen=True)
class ObservedRings:
    """The rings in the mean image, sector by sector.

    Parameters
    ----------
    numbers, radii : (r,) of the rings that were looked for; µm
    ring, sector : (k,) index of the ring and number of the sector of each observation
    eta, radius : (k,) degrees and µm, where it is seen
    search : how the strongest maxima lie on the rings, as given and otherwise; None where there are few
    share : of the strongest maxima that lie on the rings where these were seen in the end; NaN without `search`
    offsets : what the observations say together
    """

    numbers: NDArray[np.int64]
    radii: Floats
    ring: NDArray[np.int64]
    sector: NDArray[np.int64]
    eta: Floats
    radius: Floats
    search: RingSearch | None
    share: float
    offsets: RingOffsets

    @property
    def seen(self) -> NDArray[np.int64]:
        """Numbers of the rings of which anything is seen."""
        return np.unique(self.numbers[self.ring])

    @property
    def scale(self) -> float:
        """Factor of the radii by which the rings were found at all."""
        return 1.0 if self.search is None or self.search.better is None else self.search.better.scale

    @property
    def is_certain(self) -> bool:
        """Whether what is seen are these rings, and not some others."""
        return self.search is None or self.share >= max(_MOSTLY, self.search.given.chance + _ABOVE_CHANCE)


class _Start(NamedTuple):
    """Where the rings are looked for: factor of their radii, and their centre, µm."""

    scale: float = 1.0
    centre: tuple[float, float] = (0.0, 0.0)


def observed_rings(
    where: PolarMap,
    mean: NDArray[np.float32],
    maximum: NDArray[np.float32],
    numbers: NDArray[np.int64],
    radii: Floats,
    width: float,
) -> ObservedRings:
    """Look for rings around their predicted radii, or where the strongest maxima say that they are.

    Parameters
    ----------
    mean, maximum : images, raw orientation
    numbers, radii : (r,) rings that lie on the detector; µm
    width : half width of the window around a ring, µm; it is narrowed where rings are close together
    """
    strongest = _maxima(where, maximum)
    search = None
    if len(strongest[0]) >= _FEWEST_MAXIMA and len(radii):
        listed = dict(zip(numbers.tolist(), radii.tolist(), strict=True))
        search = search_rings(*strongest, listed, where.px)
    start = _Start()
    if search is not None and search.better is not None:
        start = _Start(search.better.scale, search.better.centre)
    windows = _windows(radii * start.scale, width, where.px)
    nothing, none = np.empty(0), np.empty(0, np.int64)
    found, offsets = _Places(none, none, nothing, nothing), ring_offsets(none, nothing, nothing, nothing)
    for _ in range(_ROUNDS if len(radii) else 0):
        found = _places(where, mean, radii, windows, start)
        offsets = ring_offsets(numbers[found.ring], radii[found.ring], found.eta, found.radius)
        if np.isfinite(offsets.scale_ppm):
            start = _Start(1 + offsets.scale_ppm * 1e-6, offsets.centre)
    share = float("nan")
    if search is not None:
        y, z = -np.sin(np.radians(strongest[1])), np.cos(np.radians(strongest[1]))
        places = np.hypot(strongest[0] * y - start.centre[0], strongest[0] * z - start.centre[1])
        share = share_on_rings(places / start.scale, np.sort(radii), where.px).share
    return ObservedRings(numbers, radii, *found, search, share, offsets)


def _maxima(where: PolarMap, maximum: NDArray[np.float32]) -> tuple[Floats, Floats]:
    """Radius (µm) and azimuth (degrees) of the strongest maxima of an image."""
    known = maximum[where.valid]
    level = float(np.median(known)) if known.size else 0.0
    noise = robust_spread(known, level) if known.size else 0.0
    kept = strongest(summits(np.where(where.valid, maximum, -np.inf)).ravel(), level, noise)
    return where.radius.ravel()[kept].astype(np.float64), where.eta.ravel()[kept].astype(np.float64)


class _Places(NamedTuple):
    ring: NDArray[np.int64]
    sector: NDArray[np.int64]
    eta: Floats
    radius: Floats


def _places(where: PolarMap, image: NDArray[np.float32], radii: Floats, windows: Floats, start: _Start) -> _Places:
    """What stands out in windows around the rings."""
    turned = np.radians(where.eta)
    y, z = -where.radius * np.sin(turned), where.radius * np.cos(turned)
    centred = np.hypot(y - np.float32(start.centre[0]), z - np.float32(start.centre[1]))
    centred[~where.valid] = np.nan
    found = [
        _in_sectors(where, image, np.flatnonzero(np.abs(centred - radius * start.scale) <= window))
        for radius, window in zip(radii, windows, strict=True)
    ]
    ring = np.concatenate([np.full(len(one[0]), r) for r, one in enumerate(found)])
    sector, eta, radius = (np.concatenate([one[i] for one in found]) for i in range(3))
    return _Places(ring.astype(np.int64), sector.astype(np.int64), eta, radius)


def _windows(radii: Floats, width: float, px: float) -> Floats:
    """Half widths: `width`, but no further than the middle between two rings, and at least two pixels."""
    order = np.argsort(radii)
    gaps = np.diff(radii[order])
    nearest = np.full(len(radii), np.inf)
    nearest[order] = np.minimum(np.concatenate([[np.inf], gaps]), np.concatenate([gaps, [np.inf]]))
    return np.maximum(np.minimum(width, nearest / 2), 2 * px)


def _in_sectors(where: PolarMap, image: NDArray[np.float32], rows: NDArray[np.int64]) -> tuple[Floats, Floats, Floats]:
    """Sector, azimuth and radius of what stands out of the background of a window, whose pixels are `rows`."""
    pixel_radius = where.radius.ravel()[rows].astype(np.float64)
    eta = where.eta.ravel()[rows].astype(np.float64)
    counts = image.ravel()[rows].astype(np.float64)
    sector = np.floor((eta + 180) / 360 * SECTORS).astype(np.int64) % SECTORS
    middle, noise = np.zeros(SECTORS), np.full(SECTORS, np.inf)
    for s in np.unique(sector):
        values = counts[sector == s]
        middle[s] = np.median(values)
        noise[s] = robust_spread(values, middle[s])
    excess = counts - middle[sector]
    excess[excess < 3 * noise[sector]] = 0.0
    weight = np.bincount(sector, excess, SECTORS)
    squares = np.bincount(sector, (excess > 0) * noise[sector] ** 2, SECTORS)
    kept = (weight > 0) & (weight >= _CERTAIN * np.sqrt(squares)) & (np.bincount(sector, excess > 0, SECTORS) >= 3)
    with np.errstate(invalid="ignore", divide="ignore"):
        at_radius = np.bincount(sector, excess * pixel_radius, SECTORS) / weight
        at_eta = np.bincount(sector, excess * eta, SECTORS) / weight
    found = np.flatnonzero(kept)
    return found.astype(np.float64), at_eta[found], at_radius[found]
