"""Covariance of the twelve numbers of every grain, and halves of its spots that test it.

See docs/theory/uncertainty.md#covariance and docs/theory/uncertainty.md#honesty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas._ext.calibrate.halves import grain_covariances
from midas.calibration.grains.fitted import FittedSpots
from midas.calibration.grains.influence import NUMBERS, Loss, Noise
from midas.experiment.noise import robust_spread
from midas.runtime.ragged import entries_of, offsets_of

Array = NDArray[np.float64]

#: times that the spots are split at random, and the seed
_SPLITS, _SEED = 10, 1
#: a grain with fewer spots has no halves that would determine it
_FEWEST_TO_SPLIT = 24
#: grains that are split, at equal distances in the list
_MOST_SPLIT = 30
#: spots whose derivatives are in memory at a time
_PART = 1 << 15
#: position, orientation, strain
GROUPS = (slice(0, 3), slice(3, 6), slice(6, 12))


@dataclass(frozen=True)
class Curvature:
    """What the loss of a fit expects of each residual, (3, n): `slope` its second derivative, `power` the variance of
    its first one, and `push` that itself.
    """

    slope: Array
    power: Array
    push: Array

    def of(self, rows: slice) -> Curvature:
        """That of some spots."""
        return Curvature(*(np.ascontiguousarray(one[:, rows]) for one in (self.slope, self.power, self.push)))


@dataclass(frozen=True)
class Covariances:
    """Of n grains.

    Parameters
    ----------
    own : (n, 12, 12), of the grains when the geometry is right; NaN where they are not determined
    response : (n, 12, m) change of the numbers with those of the instrument
    honesty : of position, orientation and strain
    """

    own: Array
    response: Array
    honesty: tuple[float, float, float]


def curvature_of(loss: Loss, residual: Array, spots: FittedSpots, noise: Noise) -> Curvature:
    """Of inliers the means of their class, of others what each of them does.

    Parameters
    ----------
    residual : (3, n) float64
    """
    push, slope = loss.influence(residual, spots)
    power = push**2
    for row, member in enumerate(noise.members):
        inlier = noise.inlier[row] & (spots.certainty == 1.0)
        known = inlier & noise.counted
        total = np.bincount(member, known)
        count = np.where(total > 0, total, np.nan)
        mean, square, force = (
            np.bincount(member, np.where(known, one, 0.0)) / count for one in (slope[row], slope[row] ** 2, power[row])
        )
        # Huber: of few spots a loss that is not quadratic makes more of its own curvature than it should.
        sharper = 1 + (1 - 1 / noise.excess) * np.maximum(square / mean**2 - 1, 0.0)
        own = inlier & (total > 0)[member]
        power[row, own] = (noise.excess * sharper**2 * force)[member[own]]
        slope[row, own] = mean[member[own]]
    return Curvature(slope, power, push)


def covariances(
    curvature: Curvature, jacobian: Callable[[int, int], Array], spots: FittedSpots, parameters: int, threads: int
) -> Covariances:
    """The covariance of every grain.

    Parameters
    ----------
    jacobian : of the numbers of a first grain and of the one after a last one: (3, m, 12 + parameters) float64,
        derivatives of the residuals of their spots by the numbers of the grain and the instrument
    spots : of the grains
    """
    offsets, halves = spots.offsets, halves_of(spots)
    found = [
        np.empty((0, NUMBERS, NUMBERS)),
        np.empty((0, NUMBERS, parameters)),
        np.empty((0, NUMBERS)),
        np.empty((0, _SPLITS, NUMBERS)),
    ]
    for first, end in _parts(offsets):
        rows = slice(offsets[first], offsets[end])
        own = curvature.of(rows)
        starts = np.ascontiguousarray(offsets[first : end + 1] - offsets[first])
        more = grain_covariances(
            jacobian(first, end), own.slope, own.power, own.push, np.ascontiguousarray(halves[:, rows]), starts, threads
        )[1:]
        found = [np.concatenate(pair) for pair in zip(found, more, strict=True)]
    covariance, response, shift, ratios = found
    return Covariances(covariance + shift[:, :, None] * shift[:, None, :], response, _honesty(ratios))


def _parts(offsets: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Grains of some spots at a time, as first and after the last."""
    first = 0
    while first < len(offsets) - 1:
        end = int(np.searchsorted(offsets, offsets[first] + _PART, side="right")) - 1
        end = max(end, first + 1)
        yield first, end
        first = end


def halves_of(spots: FittedSpots) -> NDArray[np.uint8]:
    """(splits, n) uint8, 1 where a spot is in the first half of a split; not of grains that are not split.

    The spots (h k l) and (-h -k -l) of one branch stay together: they are half a turn apart, at the same place of a
    frame and of a pixel, so that what is wrong with one is wrong with the other.
    """
    halves = np.zeros((_SPLITS, len(spots)), np.uint8)
    enough = np.flatnonzero(np.diff(spots.offsets) >= _FEWEST_TO_SPLIT)
    if not len(enough):
        return halves
    enough = enough[np.unique(np.linspace(0, len(enough) - 1, _MOST_SPLIT).astype(np.int64))]
    own = entries_of(spots.offsets[enough], np.diff(spots.offsets)[enough])
    pair, grain = _friedel_pairs(spots.grain[own], spots.hkl[own], spots.branch[own])
    pairs = np.bincount(grain)
    start = offsets_of(pairs)[:-1][grain]
    random = np.random.default_rng(_SEED)
    place = np.empty(len(grain), np.int64)
    for split in range(_SPLITS):
        place[np.argsort(grain + random.random(len(grain)))] = np.arange(len(grain))
        halves[split, own] = (place - start < pairs[grain] // 2)[pair]
    return halves


def _friedel_pairs(grain: NDArray[np.int64], hkl: Array, branch: Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number of the pair of every spot, (n,), and the grain of every pair, rising."""
    h, k, l = hkl.T.astype(np.int64)
    first = np.where(h != 0, h, np.where(k != 0, k, l))
    span = 2 * int(np.abs(hkl).max(initial=0)) + 1
    index = np.where(first < 0, -1, 1) * ((h * span + k) * span + l)
    name = 2 * (index - index.min()) + (branch > 0)
    names = grain * (int(name.max()) + 1) + name
    known, pair = np.unique(names, return_inverse=True)
    return np.asarray(pair.ravel(), np.int64), known // (int(name.max()) + 1)


def _honesty(ratios: Array) -> tuple[float, float, float]:
    """1.4826 times the median size of the ratios of each group; 1 where no grain could be split."""
    sizes = np.abs(ratios[np.isfinite(ratios).all(axis=2)])
    if not len(sizes):
        return 1.0, 1.0, 1.0
    position, orientation, strain = (robust_spread(sizes[:, group], 0.0) for group in GROUPS)
    return position, orientation, strain
