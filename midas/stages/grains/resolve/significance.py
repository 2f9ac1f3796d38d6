"""How many crystals this good noise would give (docs/theory/resolving.md#significance)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, gammaln

from midas._ext.numerics.elementwise import log as logarithm
from midas.stages.grains.resolve.scene import Scene

Array = NDArray[np.float64]

#: spots that the twelve fitted numbers of a crystal can take at will
ABSORBED = 4
#: a probability below this is no longer told apart from 0 by the incomplete beta function
_UNDERFLOW = 1e-280
#: least chance of an accidental match, so that the logarithm stays finite
_LEAST_CHANCE = 1e-15


def significances(
    scene: Scene, expected: NDArray[np.int32], matched: NDArray[np.int64], spots: NDArray[np.int64]
) -> Array:
    """Minus the decimal logarithm of the number of crystals as good as each that spots at random would give.

    Parameters
    ----------
    expected : (n, r), reflections of each crystal on each ring
    matched : (n,), spots that it explains and nobody else owns
    spots : (n, r), spots of each ring that could be its own by accident

    Returns
    -------
    (n,) float64
    """
    total = expected.sum(axis=1)
    chance = (expected * _chances(scene, spots)).sum(axis=1) / np.maximum(total, 1)
    chance = np.clip(chance, _LEAST_CHANCE, 1 - 1e-12)
    tail = _log_binomial_tail(np.maximum(total - ABSORBED, 0), matched - ABSORBED, chance)
    found: Array = -(_log_trials(scene) + tail / logarithm(10))
    return found


def ring_counts(scene: Scene, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(r,) how many of the chosen spots lie on each ring."""
    ring = scene.spots.integers("ring")[chosen & scene.used]
    return np.bincount(np.searchsorted(scene.rings, ring), minlength=len(scene.rings))


def _chances(scene: Scene, spots: NDArray[np.int64]) -> Array:
    """Chance that a reflection of each ring has a spot in its window by accident."""
    radius, width = scene.ring_shapes
    scales = scene.scales
    area = 2 * np.pi * radius * scene.open_azimuth * width * scene.omega_range
    window = 4 / 3 * np.pi * scales.window**3 * scales.spot**2 * scales.omega
    return -np.expm1(-spots / area * window)


def _log_trials(scene: Scene) -> float:
    """Decimal logarithm of the number of crystals that could be told apart: orientations times positions."""
    radius, _ = scene.ring_shapes
    reach = np.log10(2 * scene.scales.window * scene.scales.spot)
    orientations = np.log10(8 * np.pi**2 / len(scene.operators)) + 3 * (np.log10(radius.mean()) - reach)
    sample = (2 * scene.r_sample) ** 2 * scene.h_beam
    positions = np.log10(sample) - 3 * reach if sample > 0 else 0.0
    return float(orientations + max(positions, 0.0))


def _log_binomial_tail(n: NDArray[np.int64], k: NDArray[np.int64], p: Array) -> Array:
    """Natural logarithm of the probability of at least k successes in n."""
    inside = (k > 0) & (k <= n)
    m, j = np.where(inside, n, 1), np.where(inside, k, 1)
    tail = betainc(j, m - j + 1, p)
    # Far out the first term is all but all of the sum; the rest is a geometric series.
    first = gammaln(m + 1) - gammaln(j + 1) - gammaln(m - j + 1) + j * logarithm(p) + (m - j) * np.log1p(-p)
    ratio = (m - j) / (j + 1) * p / (1 - p)
    far = first - np.log1p(-np.minimum(ratio, 0.5))
    with np.errstate(divide="ignore"):
        log = np.where(tail > _UNDERFLOW, logarithm(tail), far)
    # More successes than trials: the best that there can be.
    best = np.maximum(n, 1) * logarithm(p)
    return np.where(inside, log, np.where(k > n, best, 0.0))
