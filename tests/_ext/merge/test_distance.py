"""Linking by distance against brute force (docs/theory/merge.md#distance-mode)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from midas._ext.merge.chains import merge_map
from midas._ext.merge.distance import link_by_distance

COORDINATES = st.lists(
    st.tuples(st.floats(-1e4, 1e4, allow_subnormal=False), st.floats(-50, 50, allow_subnormal=False)),
    min_size=0,
    max_size=25,
)


def brute_force(frames: list[np.ndarray], limit: float) -> list[list[int]]:
    """Chains of peaks, counted over all frames, the newest first, in the order of emission; no grid."""
    first = np.append(0, np.cumsum([len(frame) for frame in frames]))
    chains = [[i] for i in range(len(frames[0]))]
    ended: list[list[int]] = []
    everything = np.concatenate(frames)
    for f in range(1, len(frames)):
        d = np.array([
            [math.sqrt((q[0] - everything[c[0]][0]) ** 2 + (q[1] - everything[c[0]][1]) ** 2) for q in frames[f]]
            for c in chains
        ]).reshape(len(chains), len(frames[f]))  # fmt: skip
        partner: dict[int, int] = {}
        for i in range(len(chains)):
            free = [(d[i, j], j) for j in range(len(frames[f])) if d[i, j] < limit and j not in partner.values()]
            if free and not any(d[k, min(free)[1]] < min(free)[0] for k in range(len(chains)) if k not in partner):
                partner[i] = min(free)[1]
        ended += [chain for i, chain in enumerate(chains) if i not in partner]
        opened = [[first[f] + j] for j in range(len(frames[f])) if j not in partner.values()]
        chains = [[first[f] + partner[i], *chains[i]] for i in range(len(chains)) if i in partner] + opened
    return [[int(i) for i in chain] for chain in ended + chains]


def linked(frames: list[np.ndarray], limit: float, threads: int = 2) -> list[list[int]]:
    first = np.append(0, np.cumsum([len(frame) for frame in frames])).astype(np.int64)
    y, z = np.ascontiguousarray(np.concatenate(frames).T)
    chain_first, peaks = merge_map(*link_by_distance(first, y, z, limit, threads))
    return [peaks[a:b].tolist() for a, b in zip(chain_first[:-1], chain_first[1:], strict=True)]


@settings(deadline=None)
@given(st.lists(COORDINATES, min_size=1, max_size=4), st.sampled_from([0.0, 1e-9, 0.5, 3.0, 80.0, 1e5, -1.0]))
def test_grid_finds_what_brute_force_finds(scan, limit: float) -> None:
    frames = [np.array(frame, np.float64).reshape(-1, 2) for frame in scan]
    assert linked(frames, limit) == brute_force(frames, limit)


@pytest.mark.parametrize("spread", [(0.0, 0.0), (0.0, 40.0), (40.0, 0.0), (1e-150, 1e150), (5.0, 5.0)])
def test_grid_of_any_extent(spread: tuple[float, float]) -> None:
    rng = np.random.default_rng(1)
    frames = [rng.uniform(0, 1, (30, 2)) * spread for _ in range(3)]
    for limit in (0.3, 2.0, 1e160):
        assert linked(frames, limit) == brute_force(frames, limit)


@pytest.mark.parametrize(
    "shift", [(1.9, 0.0), (0.0, 2.0), (0.0, -2.0), (1.0, 1.0), (1.4, 1.4), (-1.4142135, 1.4142136)]
)
def test_peaks_a_cell_apart(shift: tuple[float, float]) -> None:
    """Peaks on a lattice of the length itself, where rounding decides the cell."""
    for origin in (0.0, 0.1, 1000.3):
        lattice = np.array([(2.0 * i, 2.0 * j) for i in range(8) for j in range(8)]) + origin
        assert linked([lattice, lattice + shift], 2.0) == brute_force([lattice, lattice + shift], 2.0)


def test_pairs_of_many_frames_exceed_one_batch() -> None:
    rng = np.random.default_rng(2)
    frames = [rng.uniform(0, 10, (1200, 2)) for _ in range(5)]  # every pair of peaks is a candidate
    by_one = linked(frames, 100.0, threads=1)
    assert by_one == linked(frames, 100.0, threads=2)
    assert sorted(i for chain in by_one for i in chain) == list(range(6000))
    alone = [linked(frames[f : f + 2], 100.0) for f in range(4)]
    assert [len(chains) for chains in alone] == [1200 + sum(len(c) == 1 for c in chains) // 2 for chains in alone]
