"""The harness of memory with small counts."""

from __future__ import annotations

import pytest

from . import memory


@pytest.mark.long
def test_steps_of_a_scan() -> None:
    """A scan of twice the frames takes as much; Python and NumPy are most of it."""
    few, many = (memory.peaks_of_steps(frames, 256, 2) for frames in (180, 360))
    assert {"ZipOut", "peaksearch", "merge_overlaps", "indexing", "consolidation"} <= few.keys() & many.keys()
    assert 20 < max(few.values()) < memory.LIMIT
    assert max(many.values()) < 1.2 * max(few.values())


@pytest.mark.long
@pytest.mark.parametrize("way", ["ff-midas", "midas.run"])
def test_layers_leave_nothing_behind(way: str) -> None:
    states = memory.states_of_layers(way, 6, report=False)
    assert len(states) == 6
    assert memory.stays_the_same(states, 3)
