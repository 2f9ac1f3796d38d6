"""Which distance the radii of the rings of an image tell (docs/theory/calibration.md#start-without-a-guess)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

from midas.calibration.powder.centre import compressed
from midas.calibration.powder.image import PowderImage
from midas.calibration.powder.rings import Rings
from midas.experiment.noise import robust_spread

Array = NDArray[np.float64]
Floating = NDArray[np.floating]

#: heights of a peak above its surroundings, in standard deviations and as a part of the highest, that it must have
SIGNIFICANT, _SMALLEST_PART = 5.0, 0.02
#: part of its circle that must be seen of a radius
_SEEN = 0.02
#: of the scan of distances; two that differ by less than `SAME` are one
_STEP, SAME = 0.001, 0.02
#: how far a peak may lie from its ring: px, and part of the radius
_TOLERANCE, _PART = 1.0, 0.002
#: rings that are looked for at all, and innermost ones that are looked at closely
_MOST_LINES, _INNER = 300, 8


@dataclass(frozen=True)
class Profile:
    """Peaks of the signal over the radius.

    Parameters
    ----------
    radius : (p,) px, of the peaks
    height : (p,) above their surroundings, in standard deviations
    least, most : px, between which radii are seen
    highest : (5,) at most, radii of the highest points in falling order, whether they are peaks or not
    """

    radius: Array
    height: Array
    least: float
    most: float
    highest: Array


@dataclass(frozen=True)
class Distance:
    """A distance and how well it explains the peaks: 1 when all rings are peaks and all peaks are rings."""

    lsd: float
    score: float


class HasRings(Protocol):
    """What tells the ring (its radius in px) that a pixel dy, dz from the beam centre y, z (px) lies on."""

    @property
    def y(self) -> float: ...
    @property
    def z(self) -> float: ...
    def radius(self, dy: Floating, dz: Floating) -> Floating: ...


@dataclass(frozen=True)
class Judgement:
    """How well a distance explains the peaks.

    Parameters
    ----------
    score : product of the parts of all peaks that are rings, and of all rings in sight that are peaks
    explained, found : these parts for the innermost rings in sight
    """

    score: float
    explained: float
    found: float

    @property
    def mark(self) -> float:
        """One number of all three."""
        return (self.score + self.explained * self.found) / 2


def profile_of(image: PowderImage, geometry: HasRings) -> Profile:
    """The peaks of the rings of an image."""
    used = ~image.masked
    z, y = np.nonzero(used)
    dy, dz = y.astype(np.float32) - np.float32(geometry.y), z.astype(np.float32) - np.float32(geometry.z)
    index = np.maximum(geometry.radius(dy, dz), 0).astype(np.int64)
    values = compressed(image.counts, used)[z, y].astype(np.float64)
    number = np.bincount(index)
    mean = np.bincount(index, values) / np.maximum(number, 1)
    variance = np.bincount(index, values * values) / np.maximum(number, 1) - mean * mean
    seen = np.flatnonzero(number >= np.maximum(_SEEN * 2 * np.pi * np.arange(len(number)), 20))
    if len(seen) < 20:
        return Profile(np.empty(0), np.empty(0), 0.0, 0.0, np.empty(0))
    least, most = int(seen[0]), int(seen[-1])
    error = np.sqrt(np.maximum(variance, 0) / np.maximum(number, 1))
    return _peaks(mean[least : most + 1], error[least : most + 1], float(least))


def _peaks(mean: Array, error: Array, first: float) -> Profile:
    above = mean - ndimage.median_filter(mean, max(31, len(mean) // 20))
    spread = robust_spread(np.diff(mean), 0.0) / np.sqrt(2)
    noise = np.maximum(np.maximum(error, spread), 1e-12)
    place, found = signal.find_peaks(above, prominence=_SMALLEST_PART * max(float(above.max()), 1e-12))
    height = found["prominences"] / noise[place]
    place, height = place[height > SIGNIFICANT], height[height > SIGNIFICANT]
    # a parabola through the top and its neighbours
    left, top, right = above[place - 1], above[place], above[place + 1]
    shift = 0.5 * (left - right) / np.minimum(left - 2 * top + right, -1e-12)
    order = np.argsort(-above)[:5]
    radius: Array = first + place + 0.5 + np.clip(shift, -0.5, 0.5)
    highest = np.asarray(first + order + 0.5, np.float64)
    return Profile(radius, height, first, first + len(mean), highest)


@dataclass(frozen=True)
class Lines:
    """Rings at distance 1: the tangents of their angles, rising, and how strong they should be."""

    tangent: Array
    strength: Array

    @classmethod
    def of(cls, rings: Rings, wavelength: float) -> Lines:
        """Rings on a plane across the beam (Å)."""
        tangent = np.tan(np.radians(rings.two_theta(wavelength)))
        on_plane = np.flatnonzero(np.isfinite(tangent) & (tangent > 0))[:_MOST_LINES]
        # strong lines are those of many planes; atoms scatter less at large angles
        strength = np.sqrt(rings.multiplicity.astype(float)) * rings.d_spacing
        return cls(tangent[on_plane], strength[on_plane])


def distances(profile: Profile, lines: Lines, px: float, blur: float = 1.0) -> list[Distance]:
    """Distances that explain the peaks, the best first; none without peaks.

    Parameters
    ----------
    px : µm
    blur : how much farther than usual a peak may lie from its ring
    """
    if not len(profile.radius) or not len(lines.tangent):
        return []
    lowest, highest = profile.radius[0] / lines.tangent[-1], profile.radius[-1] / lines.tangent[0]
    scanned = np.exp(np.arange(np.log(lowest), np.log(highest) + _STEP, _STEP))
    parts = 1 + len(scanned) * len(lines.tangent) // 1000000
    scores = np.concatenate([_scores(profile, lines, part, blur) for part in np.array_split(scanned, parts)])
    found: list[Distance] = []
    for place in np.argsort(-scores, kind="stable"):
        if all(abs(np.log(scanned[place] * px / other.lsd)) > SAME for other in found):
            found.append(Distance(float(scanned[place] * px), float(scores[place])))
        if len(found) == 3:
            break
    return [Distance(_settled(profile, lines.tangent, other.lsd / px) * px, other.score) for other in found]


def judged(profile: Profile, lines: Lines, lsd: float) -> Judgement:
    """How well a distance (px), or one within 1 % of it, explains the peaks."""
    if not len(profile.radius) or not len(lines.tangent):
        return Judgement(0.0, 0.0, 0.0)
    near = lsd * np.exp(np.arange(-10, 11) * _STEP)
    scores = _scores(profile, lines, near)
    best = int(scores.argmax())
    return Judgement(float(scores[best]), *_inner_parts(profile, lines, _settled(profile, lines.tangent, near[best])))


def _inner_parts(profile: Profile, lines: Lines, lsd: float) -> tuple[float, float]:
    """Of the innermost rings that can be seen at a distance (px): the part of peaks that are rings, and the reverse.

    Farther out rings are so dense that there is one near every peak.
    """
    predicted = lines.tangent * lsd
    inside = np.flatnonzero((predicted >= profile.least) & (predicted <= profile.most))[:_INNER]
    if not len(inside):
        return 0.0, 0.0
    reach = predicted[inside[-1]] * (1 + 2 * _PART) + _TOLERANCE
    near = profile.radius <= reach
    weight = np.sqrt(profile.height[near])
    if not near.any():
        return 0.0, 0.0
    explained = _match(profile.radius[near], _nearest(predicted, profile.radius[near])) @ weight / weight.sum()
    found = _match(_nearest(profile.radius, predicted[inside]), predicted[inside]) @ lines.strength[inside]
    return float(explained), float(found / lines.strength[inside].sum())


def _scores(profile: Profile, lines: Lines, lsd: Array, blur: float = 1.0) -> Array:
    """Of distances (px): product of the parts of peaks that are rings, and of seen rings that are peaks."""
    weight, tangent = np.sqrt(profile.height), lines.tangent
    column = lsd[:, None]
    ring = _nearest(tangent, profile.radius / column) * column
    explained = _match(profile.radius, ring, blur) @ weight / weight.sum()
    predicted = tangent * column
    strength = np.where((predicted >= profile.least) & (predicted <= profile.most), lines.strength, 0.0)
    found = (_match(_nearest(profile.radius, predicted), predicted, blur) * strength).sum(axis=1)
    scores: Array = explained * found / np.maximum(strength.sum(axis=1), 1e-300)
    return scores


def _nearest(rising: Array, values: Array) -> Array:
    """Of rising numbers the one next to each value."""
    above = np.clip(np.searchsorted(rising, values), 1, max(len(rising) - 1, 1))
    low, high = rising[above - 1], rising[np.minimum(above, len(rising) - 1)]
    return np.where(values - low <= high - values, low, high)


def _match(radius: Array, predicted: Array, blur: float = 1.0) -> Array:
    """1 for a peak on a ring, less beside it."""
    matched: Array = np.exp(-0.5 * ((radius - predicted) / (blur * (_TOLERANCE + _PART * predicted))) ** 2)
    return matched


def _settled(profile: Profile, tangent: Array, lsd: float) -> float:
    """The median over the peaks of the distance (px) that each tells."""
    ring = _nearest(tangent, profile.radius / lsd)
    peak = _match(profile.radius, ring * lsd) > 0.3
    return float(np.median(profile.radius[peak] / ring[peak])) if peak.any() else lsd
