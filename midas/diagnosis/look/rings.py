"""Where the rings of the sample are seen, and where they should be (docs/theory/diagnosis.md#observed-rings)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from midas.diagnosis.look.polar import PolarMap, Profile
from midas.diagnosis.ring_offsets import RingOffsets, ring_offsets

Floats = NDArray[np.float64]

#: sectors of a full turn
SECTORS = 24
#: an excess counts when it is this many times its noise
_CERTAIN = 6.0
#: distances that are tried when the rings are not where they should be, and how much better another one must be
_SCALES = np.linspace(0.94, 1.06, 1201)
_BETTER = 1.3
#: a window is wider than the slowest change of the background
_BACKGROUND = 41
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
    scale : factor of the radii by which the rings were found at all (1 unless they are far from their places)
    offsets : what they say together
    """

    numbers: NDArray[np.int64]
    radii: Floats
    ring: NDArray[np.int64]
    sector: NDArray[np.int64]
    eta: Floats
    radius: Floats
    scale: float
    offsets: RingOffsets

    @property
    def seen(self) -> NDArray[np.int64]:
        """Numbers of the rings of which anything is seen."""
        return np.unique(self.numbers[self.ring])


def observed_rings(
    where: PolarMap, image: NDArray[np.float32], along: Profile, numbers: NDArray[np.int64], radii: Floats, width: float
) -> ObservedRings:
    """Look for rings around their predicted radii.

    Parameters
    ----------
    image : mean image, raw orientation
    along : its profile
    numbers, radii : (r,) rings that lie on the detector; µm
    width : half width of the window around a ring, µm; it is narrowed where rings are close together
    """
    scale = best_scale(along, radii)
    windows = _windows(radii * scale, width, where.px)
    nothing, none = np.empty(0), np.empty(0, np.int64)
    found, offsets = _Places(none, none, nothing, nothing), ring_offsets(none, nothing, nothing, nothing)
    for _ in range(_ROUNDS if len(radii) else 0):
        found = _places(where, image, radii * (scale if np.isnan(offsets.scale_ppm) else 1.0), windows, offsets)
        offsets = ring_offsets(numbers[found.ring], radii[found.ring], found.eta, found.radius)
    return ObservedRings(numbers, radii, *found, scale, offsets)


class _Places(NamedTuple):
    ring: NDArray[np.int64]
    sector: NDArray[np.int64]
    eta: Floats
    radius: Floats


def _places(
    where: PolarMap, image: NDArray[np.float32], radii: Floats, windows: Floats, offsets: RingOffsets
) -> _Places:
    """What stands out in windows around the rings, which are where the offsets of the round before put them."""
    scale, (y, z) = 1.0, (0.0, 0.0)
    if np.isfinite(offsets.scale_ppm):
        scale, (y, z) = 1 + offsets.scale_ppm * 1e-6, offsets.centre
    turned = np.radians(where.eta)
    centred = where.radius + np.float32(y) * np.sin(turned) - np.float32(z) * np.cos(turned)
    centred[~where.valid] = np.nan
    found = [
        _in_sectors(where, image, np.flatnonzero(np.abs(centred - radius * scale) <= window))
        for radius, window in zip(radii, windows, strict=True)
    ]
    ring = np.concatenate([np.full(len(one[0]), r) for r, one in enumerate(found)])
    sector, eta, radius = (np.concatenate([one[i] for one in found]) for i in range(3))
    return _Places(ring.astype(np.int64), sector.astype(np.int64), eta, radius)


def best_scale(along: Profile, radii: Floats) -> float:
    """By which factor the predicted radii fit the profile best: 1 unless another one is clearly better."""
    if not len(radii):
        return 1.0
    values = np.nan_to_num(along.mean)
    peaks = np.clip(values - median_filter(values, _BACKGROUND, mode="nearest"), 0, None)
    peaks = np.sqrt(peaks)  # so that one strong ring does not decide alone
    score = np.array([np.interp(radii * scale, along.radius, peaks, right=0.0).mean() for scale in _SCALES])
    here = np.interp(1.0, _SCALES, score)
    near = np.abs(_SCALES - 1) * radii.mean() <= 3 * (along.radius[1] - along.radius[0])
    best = int(np.argmax(score))
    if near[best] or score[best] <= _BETTER * max(score[near].max(), here):
        return 1.0
    return float(_SCALES[best])


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
        noise[s] = 1.4826 * np.median(np.abs(values - middle[s]))
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
