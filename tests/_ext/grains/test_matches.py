"""Sharp matches (docs/theory/resolving.md#sharp-matches) against all pairs in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from midas._ext.grains.matches import SharpMatcher, SharpMatches
from midas._ext.grains.reflections import PredictedReflections, ReflectionModel
from midas._ext.physics.region import AcceptedRegion
from midas._ext.refine.settings import Instrument

from .test_reflections import HKL, LSD, RING, WAVELENGTH, crystals

RINGS = np.array([1, 2, 4], np.int32)
SPOT, OMEGA, WINDOW = 50.0, 0.1, 3.5


def model() -> ReflectionModel:
    everywhere = AcceptedRegion(min_eta=6, ranges=np.array([[-180.0, 180]]), boxes=np.array([[-1e9, 1e9, -1e9, 1e9]]))
    return ReflectionModel(HKL, RING, Instrument(LSD, WAVELENGTH, 0.3), everywhere)


def observed(predicted: PredictedReflections, rng: np.random.Generator, spurious: int) -> tuple[np.ndarray, ...]:
    """Spots near the predicted ones, some of them lost, and others at random near these; in any order and turn."""
    kept = rng.random(len(predicted.hkl)) < 0.8
    near = rng.integers(0, len(predicted.hkl), spurious)
    rows = np.concatenate([np.flatnonzero(kept), near])
    spread = np.concatenate([np.full(kept.sum(), 0.7), np.full(spurious, 2.0)])
    y, z = (c[rows] + spread * rng.normal(0, SPOT, len(rows)) for c in (predicted.y_plane, predicted.z_plane))
    omega = predicted.omega_recorded[rows] + spread * rng.normal(0, OMEGA, len(rows))
    order = rng.permutation(len(rows))
    turns = 360 * rng.integers(-1, 2, len(rows))
    return y[order], z[order], (omega + turns)[order], predicted.ring[rows][order]


def by_all_pairs(
    predicted: PredictedReflections, spots: tuple[np.ndarray, ...], crystal: int, scale: float
) -> list[tuple]:
    """(spot, hkl, branch, distance) of one crystal."""
    y, z, omega, ring = spots
    own = np.flatnonzero((predicted.crystal == crystal) & predicted.accepted)
    dy, dz = y[None] - predicted.y_plane[own, None], z[None] - predicted.z_plane[own, None]
    turn = (omega[None] - predicted.omega_recorded[own, None] + 180) % 360 - 180
    distance = np.sqrt((dy**2 + dz**2) / SPOT**2 + (turn / scale) ** 2)
    possible = (distance <= WINDOW) & (ring[None] == predicted.ring[own, None])
    pairs = sorted((distance[p, s], s, p) for p, s in np.argwhere(possible))
    spots_taken, places_taken, found = set(), set(), []
    for d, s, p in pairs:
        if s not in spots_taken and p not in places_taken:
            spots_taken.add(s)
            places_taken.add(p)
            found.append((s, predicted.hkl[own[p]], predicted.branch[own[p]], d))
    return found


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32), spurious=st.integers(0, 60), window=st.sampled_from([1.0, 40.0]))
def test_matches_are_those_of_all_pairs(seed: int, spurious: int, window: float) -> None:
    """Also with scales so wide that a turn has one bin of omega."""
    scale = OMEGA * window
    rng = np.random.default_rng(seed)
    u, position, cell = crystals(4)
    reflections = model()
    predicted = reflections.predicted(u, position, cell)
    spots = observed(predicted, rng, spurious)
    found = SharpMatcher(*spots, RINGS, SPOT, scale, WINDOW).match(reflections, u, position, cell, 2)
    for crystal in range(4):
        own = slice(found.offsets[crystal], found.offsets[crystal + 1])
        expected = by_all_pairs(predicted, spots, crystal, scale)
        names = zip(found.spot[own], found.hkl[own], found.branch[own], strict=True)
        assert list(names) == [pair[:3] for pair in expected]
        np.testing.assert_allclose(found.distance[own], [pair[3] for pair in expected], rtol=1e-9)
        accepted = (predicted.crystal == crystal) & predicted.accepted
        assert found.expected[crystal].tolist() == [np.sum(predicted.ring[accepted] == r) for r in RINGS]


def test_threads_and_chunks_change_nothing() -> None:
    u, position, cell = (np.ascontiguousarray(np.repeat(a, 400, axis=0)) for a in crystals(4))
    reflections = model()
    spots = observed(
        reflections.predicted(u[::400].copy(), position[::400].copy(), cell[::400].copy()), np.random.default_rng(1), 20
    )
    matcher = SharpMatcher(*spots, RINGS, SPOT, OMEGA, WINDOW)

    def match(threads: int) -> SharpMatches:
        return matcher.match(reflections, u, position, cell, threads)

    first = match(1)
    for one, other in zip(first, match(3), strict=True):
        np.testing.assert_array_equal(one, other)
    assert first.spot[: first.offsets[1]].tolist() == first.spot[first.offsets[399] : first.offsets[400]].tolist()


def test_spots_of_other_rings_are_no_spots() -> None:
    u, position, cell = crystals(1)
    reflections = model()
    predicted = reflections.predicted(u, position, cell)
    places = (predicted.y_plane, predicted.z_plane, predicted.omega_recorded)
    matcher = SharpMatcher(*places, np.full(len(places[0]), 7, np.int32), RINGS, SPOT, OMEGA, WINDOW)
    assert len(matcher.match(reflections, u, position, cell).spot) == 0
    matcher = SharpMatcher(*places, predicted.ring, RINGS, SPOT, OMEGA, WINDOW)
    found = matcher.match(reflections, u, position, cell)
    assert len(found.spot) == predicted.accepted.sum()
    assert found.distance.max() == 0
    y = predicted.y_plane + 3.4 * SPOT
    assert matcher.covers(y, predicted.z_plane, predicted.omega_recorded, predicted.ring).all()
    y += 0.2 * SPOT
    assert not matcher.covers(y, predicted.z_plane, predicted.omega_recorded, predicted.ring).any()


def test_what_does_not_fit_is_refused() -> None:
    y = np.zeros(3)
    with pytest.raises(ValueError, match="positive"):
        SharpMatcher(y, y, y, np.ones(3, np.int32), RINGS, 0.0, OMEGA, WINDOW)
    with pytest.raises(ValueError, match="per spot"):
        SharpMatcher(y, y, y[:2], np.ones(3, np.int32), RINGS, SPOT, OMEGA, WINDOW)
    matcher = SharpMatcher(y, y, y, np.ones(3, np.int32), RINGS[:1], SPOT, OMEGA, WINDOW)
    with pytest.raises(ValueError, match="ring"):
        matcher.match(model(), *crystals(1))
