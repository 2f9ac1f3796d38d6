"""Figures of two grain lists: every panel shows what its title says."""

from __future__ import annotations

import numpy as np

from midas.results.figures.comparison import comparison_page, differences, where
from midas.results.matching.compare import Comparison


def comparison(count: int) -> Comparison:
    """Partners that are 1, 2, 3 µm and 0.1, 0.2, 0.3 degrees apart along x, y, z; component ij of the strain is ij."""
    rows = np.arange(count)
    strain = 1e-6 * np.array([[11.0, 12.0, 13.0], [12.0, 22.0, 23.0], [13.0, 23.0, 33.0]])
    true = np.zeros((count, 3))
    return Comparison(
        count + 1, count, rows, rows, 10 + rows, true, true + [1.0, 2.0, 3.0], np.tile([0.1, 0.2, 0.3], (count, 1)),
        np.tile(strain, (count, 1, 1)), None, None, np.full(count, np.nan), rows, np.array([77]),
    )  # fmt: skip


def test_panels() -> None:
    boxes = {
        trace.name: (trace.xaxis, list(trace.y)) for trace in differences(comparison(3)).data if trace.type == "box"
    }
    for k, axis in enumerate("XYZ"):
        assert boxes[axis] == ("x", [k + 1.0] * 3)
    for k, axis in enumerate("xyz"):
        assert boxes[axis] == ("x2", [round(0.1 * (k + 1), 5)] * 3)
    for name in ("11", "22", "33", "12", "13", "23"):
        assert boxes[name] == ("x3", [float(name)] * 3)
    titles = [note.text for note in differences(comparison(3)).layout.annotations]
    assert titles[:3] == ["position (µm)", "rotation (°)", "strain (10⁻⁶)"]
    np.testing.assert_allclose(where(comparison(3)).data[0].marker.color, 14**0.5)


def test_page_with_and_without_pairs() -> None:
    page = comparison_page(comparison(3), ("a.csv", "b.csv"), "within the tolerance")
    assert "77" in page and "within the tolerance" in page and "smallest confidence" not in page
    page = comparison_page(comparison(0), ("a.csv", "b.csv"), "")
    assert "1 true, 0 of them found" in page and "plotly" not in page
