"""Figures of a series: every panel shows what its title says."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import pytest

from midas.results.figures import macroscopic, motion_paths, strain_paths
from midas.results.matching.motion import Motion
from midas.results.matching.tracking import Series
from midas.results.matching.tracks import Tracks


@pytest.fixture
def tracks() -> Tracks:
    """Three grains, four steps; the second is missing in the third step; component ij of step s is 100 i + 10 j + s."""
    shape = (3, 4)
    seen = np.ones(shape, bool)
    seen[1, 2] = False
    rows = np.where(seen, 0, -1)
    nan = np.full(shape, np.nan)
    motion = Motion.none(np.zeros(3))
    series = Series(rows, np.where(seen, 3, 5), nan, nan, np.zeros((*shape, 3)), (motion,) * 3, ())
    i, j = np.meshgrid([1, 2, 3], [1, 2, 3], indexing="ij")
    tensors = 100.0 * np.minimum(i, j) + 10.0 * np.maximum(i, j) + np.arange(4.0)[None, :, None, None]
    tensors = np.where(seen[..., None, None], tensors, np.nan)
    vectors = np.where(seen[..., None], np.arange(3.0) + 10 * np.arange(4.0)[:, None], np.nan)
    return Tracks(
        ("a", "b", "c", "d"), series, np.where(seen, 7, -1), vectors, tensors, vectors + 100, vectors, nan, nan,
        tensors, 2 * tensors, np.full((*shape, 12), np.nan),
    )  # fmt: skip


def panels(figure: go.Figure) -> dict[str, list[float]]:
    """The median of every panel, by the title that stands above it."""
    found = {}
    for trace in figure.data:
        if trace.name != "median":
            continue
        across, up = (figure.layout[f"{axis[0]}axis{axis[1:]}"].domain for axis in (trace.xaxis, trace.yaxis))
        middle, top = sum(across) / 2, up[1]
        title = min(figure.layout.annotations, key=lambda a: abs(a.x - middle) + abs(a.y - top))
        assert abs(title.x - middle) + abs(title.y - top) < 1e-6
        found[title.text] = list(trace.y)
    return found


def test_panels_of_tensors(tracks: Tracks) -> None:
    for quantity, letter, unit, factor in (("strain", "ε", "10⁻⁶", 1), ("stress", "σ", "MPa", 2)):
        found = panels(strain_paths(tracks, quantity))
        assert len(found) == 6
        for name in ("11", "22", "33", "12", "13", "23"):
            first = 100 * int(name[0]) + 10 * int(name[1])
            assert found[f"{letter}{name} ({unit})"] == [factor * (first + step) for step in range(4)]


def test_panels_of_the_motion(tracks: Tracks) -> None:
    found = panels(motion_paths(tracks))
    for k, (small, large) in enumerate(zip("xyz", "XYZ", strict=True)):
        assert found[f"rotation {small} (°)"] == [k + 10 * step for step in range(4)]
        assert found[f"displacement {large} (µm)"] == [100 + k + 10 * step for step in range(4)]


def test_a_missing_step_is_bridged(tracks: Tracks) -> None:
    lines = strain_paths(tracks).data[0]
    assert list(lines.x) == [1, 2, 3, 4, None, 1, 2, 4, None, 1, 2, 3, 4, None]
    assert lines.text[5] == "track 2"


def test_most_lines(tracks: Tracks) -> None:
    """Those with the most steps."""
    assert set(strain_paths(tracks, most=2).data[0].text) == {"track 1", "track 3"}


def test_sample_strain(tracks: Tracks) -> None:
    assert len(macroscopic(tracks).data) == 6
