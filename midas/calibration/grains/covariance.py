"""Covariance of the twelve numbers of every grain, and halves of its spots that test it.

See docs/theory/uncertainty.md#covariance and docs/theory/uncertainty.md#honesty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas.calibration.grains.fitted import FittedSpots
from midas.calibration.grains.influence import NUMBERS, Loss, Noise

Array = NDArray[np.float64]

#: times that the spots are split at random, and the seed
_SPLITS, _SEED = 10, 1
#: a grain with fewer spots has no halves that would determine it
_FEWEST_TO_SPLIT = 24
#: below this part of the largest curvature, scaled to a unit diagonal, a grain is not determined
_SINGULAR = 1e-12
#: spots whose derivatives are in memory at a time
_PART = 1 << 15
#: position, orientation, strain
GROUPS = (slice(0, 3), slice(3, 6), slice(6, 12))
_UPPER = np.triu_indices(NUMBERS)
#: places of the upper triangle in the whole matrix
_PLACE = np.zeros((NUMBERS, NUMBERS), np.int64)
_PLACE[_UPPER] = _PLACE[_UPPER[::-1]] = np.arange(len(_UPPER[0]))


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
    for row in range(3):
        inlier = noise.inlier[row] & (spots.certainty == 1.0)
        for number in range(int(noise.members[row].max(initial=-1)) + 1):
            own = inlier & (noise.members[row] == number)
            if (known := own & noise.counted).any():
                mean = slope[row, known].mean()
                # Huber: of few spots a loss that is not quadratic makes more of its own curvature than it should.
                sharper = 1 + (1 - 1 / noise.excess) * slope[row, known].var() / mean**2
                power[row, own] = noise.excess * sharper**2 * power[row, known].mean()
                slope[row, own] = mean
    return Curvature(slope, power, push)


def covariances(
    curvature: Curvature, jacobian: Callable[[int, int], Array], spots: FittedSpots, parameters: int
) -> Covariances:
    """The covariance of every grain.

    Parameters
    ----------
    jacobian : of the numbers of a first grain and of the one after a last one: (3, m, 12 + parameters) float64,
        derivatives of the residuals of their spots by the numbers of the grain and the instrument
    spots : of the grains
    """
    offsets, pairs = spots.offsets, friedel_pairs(spots)
    grains = len(offsets) - 1
    found, response = np.full((grains, NUMBERS, NUMBERS), np.nan), np.full((grains, NUMBERS, parameters), np.nan)
    ratios: list[Array] = []
    random = np.random.default_rng(_SEED)
    for first, end in _parts(offsets):
        rows = jacobian(first, end)
        for grain in range(first, end):
            part = slice(offsets[grain] - offsets[first], offsets[grain + 1] - offsets[first])
            own = slice(offsets[grain], offsets[grain + 1])
            sums = _Sums(curvature.of(own), rows[:, part], _chosen(pairs[own], random))
            solved = _solved(sums)
            if not solved.good[0]:
                continue
            shift = solved.shift[0]
            found[grain] = solved.covariance[0] + np.outer(shift, shift)
            response[grain] = -solved.inverse[0] @ sums.geometry
            ratios.append(_ratios(solved))
    return Covariances(found, response, _honesty(ratios))


def _parts(offsets: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Grains of some spots at a time, as first and after the last."""
    first = 0
    while first < len(offsets) - 1:
        end = int(np.searchsorted(offsets, offsets[first] + _PART, side="right")) - 1
        end = max(end, first + 1)
        yield first, end
        first = end


class _Sums:
    """Sums over all spots of a grain, and over halves of them: the first entry, then two of every split."""

    def __init__(self, curvature: Curvature, jacobian: Array, chosen: Array):
        every = jacobian.reshape(-1, jacobian.shape[2])
        slope, power, push = curvature.slope, curvature.power, curvature.push
        rows_of = np.tile(chosen, 3)
        own = every[:, :NUMBERS]
        products = own[:, _UPPER[0]] * own[:, _UPPER[1]]
        self.slope = ((rows_of * slope.ravel()) @ products)[:, _PLACE]
        self.power = ((rows_of * power.ravel()) @ products)[:, _PLACE]
        self.push = (rows_of * push.ravel()) @ own
        self.geometry = (own * slope.ravel()[:, None]).T @ every[:, NUMBERS:]


def friedel_pairs(spots: FittedSpots) -> NDArray[np.int64]:
    """(n,) int64, the same number for the spots (h k l) and (-h -k -l) of one branch of a grain.

    They are half a turn apart, at the same place of a frame and of a pixel, so that what is wrong with one is wrong
    with the other.
    """
    first = np.argmax(spots.hkl != 0, axis=1)
    sign = np.where(np.take_along_axis(spots.hkl, first[:, None], 1) < 0, -1.0, 1.0)
    names = np.column_stack([spots.grain, spots.branch, sign * spots.hkl + 0.0])
    pairs = np.unique(names, axis=0, return_inverse=True)[1]
    return np.asarray(pairs.ravel(), np.int64)


def _chosen(pairs: NDArray[np.int64], random: np.random.Generator) -> Array:
    """(1 + 2 splits, n): 1 for all spots, then where a spot is in a half; pairs stay together.

    One row for a grain with too few spots.
    """
    n = len(pairs)
    if n < _FEWEST_TO_SPLIT:
        return np.ones((1, n))
    names, member = np.unique(pairs, return_inverse=True)
    rank = random.permuted(np.tile(np.arange(len(names)), (_SPLITS, 1)), axis=1)[:, member.ravel()]
    half = rank < len(names) // 2
    halves = np.stack([half, ~half], axis=1).reshape(-1, n)
    return np.concatenate([np.ones((1, n)), halves])


@dataclass(frozen=True)
class _Solved:
    """Of k sums: whether they determine the grain, inverse curvature, covariance, and the step to the minimum."""

    good: NDArray[np.bool_]
    inverse: Array
    covariance: Array
    shift: Array


def _solved(sums: _Sums) -> _Solved:
    diagonal = np.diagonal(sums.slope, axis1=1, axis2=2)
    good = np.isfinite(sums.slope).all(axis=(1, 2)) & (diagonal > 0).all(axis=1)
    scale = 1 / np.sqrt(np.where(good[:, None], diagonal, 1.0))
    scale = scale[:, :, None] * scale[:, None, :]
    values, vectors = np.linalg.eigh(np.where(good[:, None, None], sums.slope * scale, np.eye(NUMBERS)))
    good &= values[:, 0] > _SINGULAR * values[:, -1]
    values = np.where(good[:, None], values, 1.0)
    inverse = (vectors / values[:, None, :]) @ vectors.transpose(0, 2, 1) * scale
    return _Solved(good, inverse, inverse @ sums.power @ inverse, -(inverse @ sums.push[:, :, None])[:, :, 0])


def _ratios(solved: _Solved) -> Array:
    """(k, 12): of every split the differences of the two halves over what they should be."""
    one, two = slice(1, None, 2), slice(2, None, 2)
    variance = np.diagonal(solved.covariance, axis1=1, axis2=2)
    both = solved.good[one] & solved.good[two]
    ratios: Array = (solved.shift[one] - solved.shift[two]) / np.sqrt(variance[one] + variance[two])
    return ratios[both]


def _honesty(ratios: list[Array]) -> tuple[float, float, float]:
    """1.4826 times the median size of the ratios of each group; 1 where no grain could be split."""
    sizes = np.abs(np.concatenate([np.empty((0, NUMBERS)), *ratios]))
    if not len(sizes):
        return 1.0, 1.0, 1.0
    position, orientation, strain = (1.4826 * float(np.median(sizes[:, group])) for group in GROUPS)
    return position, orientation, strain
