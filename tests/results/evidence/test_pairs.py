"""Predicted and observed places, paired."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from midas.experiment.angles import wrapped
from midas.results.evidence.pairs import Places, nearest, pairs


def places(y: object, z: object, omega: object, ring: object = 1) -> Places:
    y, z, omega = (np.asarray(values, float) for values in (y, z, omega))
    return Places(y, z, omega, np.broadcast_to(np.asarray(ring, np.int64), y.shape))


def test_omega_goes_round() -> None:
    of, spot = pairs(places([5], [5], [179.9]), places([5], [5], [-179.9]), 1.0, 0.5)
    assert (of.tolist(), spot.tolist()) == ([0], [0])


def test_rings_are_kept_apart() -> None:
    of, _ = pairs(places([5], [5], [10], 1), places([5], [5], [10], 2), 1.0, 0.5)
    assert len(of) == 0


def test_a_place_is_taken_once() -> None:
    predicted, observed = places([0, 0.4], [0, 0], [0, 0]), places([0.3, 1.2], [0, 0], [0, 0])
    of, spot = pairs(predicted, observed, 1.0, 0.5)
    assert dict(zip(of.tolist(), spot.tolist(), strict=True)) == {1: 0}  # 0 could have 0 only, and 1 is nearer
    of, spot = nearest(predicted, observed, 1.0, 0.5)
    assert dict(zip(of.tolist(), spot.tolist(), strict=True)) == {0: 0, 1: 0}


def test_nothing_to_pair() -> None:
    nothing = places([], [], [])
    for a, b in ((nothing, places([1], [1], [1])), (places([1], [1], [1]), nothing), (places([np.nan], [1], [1]),) * 2):
        of, spot = pairs(a, b, 1.0, 1.0)
        assert len(of) == len(spot) == 0


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31))
def test_pairs_are_those_of_a_greedy_search(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, m = rng.integers(1, 12, 2)
    predicted, observed = (
        places(*rng.uniform(0, 3, (2, k)), rng.uniform(-2, 2, k), rng.integers(1, 3, k)) for k in (n, m)
    )
    distance = np.sqrt(
        (predicted.y[:, None] - observed.y) ** 2
        + (predicted.z[:, None] - observed.z) ** 2
        + (wrapped((predicted.omega[:, None] - observed.omega).ravel()).reshape(n, m) / 0.5) ** 2
    )
    distance[predicted.ring[:, None] != observed.ring] = np.inf
    expected = {}
    while (distance < 0.999).any():
        i, j = np.unravel_index(np.argmin(distance), distance.shape)
        expected[int(i)] = int(j)
        distance[i], distance[:, j] = np.inf, np.inf
    found = dict(zip(*(rows.tolist() for rows in pairs(predicted, observed, 1.0, 0.5)), strict=True))
    near = distance[np.isfinite(distance)]
    assert found == expected or (near.size and abs(near - 1).min() < 2e-3)
