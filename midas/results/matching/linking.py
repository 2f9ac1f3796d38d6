"""Which grains of two steps are the same, and of which that cannot be said (docs/theory/matching.md#links)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas._ext.numerics.elementwise import log
from midas.results.matching.assignment import assign, margins
from midas.results.matching.candidates import Candidates, Finder, Snapshot
from midas.results.matching.motion import Motion

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

#: a link is clear when every other explanation is 10,000 times less likely
CLEAR = 2 * log(1e4)
#: links that may be there by chance, in the whole step
_BY_CHANCE = 0.02
#: 99 %, and 99.99 % of links have less than this sum of squares of seven numbers, in units of their scatter
_CORE, _EDGE = 18.5, 30.0
#: freedom of the distribution of scatters: nearly normal, with a long tail
_FREEDOM, _NUMBERS = 20.0, 7
#: how far candidates are looked for: in standard deviations, and within limits in degrees and spacings
_SIGMAS, _ANGLES, _SPACINGS = 20.0, (1.0, 5.0), (1.0, 5.0)
#: no difference of sizes counts more than this
_LARGEST_SIZE = 25.0


@dataclass(frozen=True)
class Links:
    """What is the same in two steps.

    Parameters
    ----------
    first, second : (k,) rows of grains that are the same
    squares : (k,) sum of squares of what separates them from the motion of all, in units of the scatter
    margin : (k,) by how much the best other explanation is worse (twice the logarithm of the ratio of likelihoods)
    doubtful : (d, 2) rows of candidates between which the data do not decide, those of the best choice first
    """

    first: Indices
    second: Indices
    squares: Floats
    margin: Floats
    doubtful: Indices


def link(
    expected: Snapshot,
    second: Snapshot,
    operators: Floats,
    motion: Motion,
    steps: Floats | None = None,
) -> Links:
    """Find the grains of one step in the next.

    Parameters
    ----------
    expected : the grains of the first step where and as they should be after the motion
    second : the next step
    operators : (s, 4) symmetry
    motion : for its scatter
    steps : (n,) since each grain was seen, by default one: its scatter grows with their square root
    """
    angle = float(np.clip(_SIGMAS * motion.sigma_rotation.max(), *_ANGLES))
    spacing = min(expected.spacing, second.spacing)
    far = _SIGMAS * float(motion.sigma_position.max())
    distance = far if not np.isfinite(spacing) else min(max(far, _SPACINGS[0] * spacing), _SPACINGS[1] * spacing)
    found = Finder(second, operators, angle, distance).candidates(expected)
    squares = _squares(found, expected, second, motion, steps)
    cost = _cost(squares)
    shape = (len(expected), len(second))
    highest = float(cost.max(initial=0.0)) + 1.0
    anyhow = assign(found.first, found.second, cost, shape, highest)
    limit = _limit(squares, anyhow, shape)
    alone = min(float(_cost(limit)), highest)
    pairs = assign(found.first, found.second, cost, shape, alone)
    margin = margins(found.first, found.second, cost, shape, alone, pairs, CLEAR)
    clear = margin > CLEAR
    kept = pairs[clear]
    return Links(
        found.first[kept],
        found.second[kept],
        squares[kept],
        margin[clear],
        _doubtful(found, cost, alone, pairs, clear, anyhow[(squares[anyhow] > limit) & (squares[anyhow] <= _EDGE)]),
    )


def _squares(found: Candidates, expected: Snapshot, second: Snapshot, motion: Motion, steps: Floats | None) -> Floats:
    """(k,) how far candidates are from where they should be, in units of the scatter, squared."""
    grown = (second.log_radii[found.second] - expected.log_radii[found.first]) / motion.sigma_size
    # A grain without a radius says nothing: it counts as one with a usual difference.
    size = np.where(np.isfinite(grown), np.minimum(grown**2, _LARGEST_SIZE), 1.0)
    squares = np.sum((found.rotations / motion.sigma_rotation) ** 2, axis=1)
    squares += np.sum((found.displacements / motion.sigma_position) ** 2, axis=1) + size
    scaled: Floats = squares if steps is None else squares / steps[found.first]
    return scaled


def _cost(squares: Floats | float) -> Floats:
    """Twice the negative logarithm of a likelihood that is nearly normal and has a long tail."""
    cost: Floats = (_FREEDOM + _NUMBERS) * np.log1p(np.asarray(squares) / _FREEDOM)
    return cost


def _limit(squares: Floats, anyhow: Indices, shape: tuple[int, int]) -> float:
    """The sum of squares beyond which a grain is lost rather than linked: where chance links grains, too.

    How often other grains than the partner are so near is counted in the step itself; what has lost its partner can
    only be linked to what has none.

    Parameters
    ----------
    squares : (k,) of all candidates
    anyhow : those that are pairs when there is no limit
    shape : grains of both steps
    """
    other = np.ones(len(squares), bool)
    other[anyhow] = False
    linked = int(np.count_nonzero(squares[anyhow] <= _CORE))
    left = [max(n - linked, 1) / max(n, 1) for n in shape]
    by_chance = np.sort(squares[other])
    allowed = int(_BY_CHANCE / (left[0] * left[1]))
    return np.inf if allowed >= len(by_chance) else max(float(by_chance[allowed]), _CORE)


def _doubtful(
    found: Candidates, cost: Floats, alone: float, pairs: Indices, clear: NDArray[np.bool_], beyond: Indices
) -> Indices:
    """Rows of the candidates of the grains of all links that are not clear, and of pairs just beyond the limit."""
    unclear = pairs[~clear]
    free = ~(np.isin(found.first, found.first[pairs[clear]]) | np.isin(found.second, found.second[pairs[clear]]))
    asked = np.isin(found.first, found.first[unclear]) | np.isin(found.second, found.second[unclear])
    others = np.flatnonzero(asked & free & (cost < alone))
    further = np.concatenate([others, beyond[free[beyond]]])
    chosen = np.concatenate([unclear, np.setdiff1d(further, unclear)])
    return np.column_stack([found.first[chosen], found.second[chosen]]).astype(np.intp)
