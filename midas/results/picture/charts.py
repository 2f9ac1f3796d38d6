"""Histograms and ranges of a summary picture."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import ImageDraw

from midas.runtime.drawing import AXIS, PALETTE, Axes, Box, font, ticks

Array = NDArray[np.float64]

_BINS = 30
_COMPONENTS = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
#: percentiles that a chart of residuals holds
_SHOWN = (0.5, 99.5)


def draw_histogram(draw: ImageDraw.ImageDraw, box: Box, title: str, values: Array, upper: float | None = None) -> None:
    """Numbers of grains against a value, and the median as a line.

    Parameters
    ----------
    upper : right end, if it is not the largest value
    """
    values = values[np.isfinite(values)]
    low, high = _range(values, upper)
    counts, edges = np.histogram(values, _BINS, (low, high))
    axes = Axes(draw, box, (low, high), (0.0, max(int(counts.max()), 1) * 1.08))
    for count, left, right in zip(counts.tolist(), edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        axes.bar(left, right, count, PALETTE[0])
    most = max(int(counts.max()), 1)
    whole = np.unique(np.rint(ticks(0, most * 1.08)))
    if len(values):
        middle = float(np.median(values))
        draw.line([axes.at(middle, 0), axes.at(middle, most)], fill=PALETTE[3], width=2)
        title += f", median {middle:.4g}"
    axes.frame(title, ticks(low, high), whole)


def _range(values: Array, upper: float | None) -> tuple[float, float]:
    if not len(values):
        return 0.0, 1.0 if upper is None else upper
    low, high = float(values.min()), float(values.max()) if upper is None else max(upper, float(values.max()))
    margin = max((high - low) * 0.03, abs(high) * 0.02, 1e-9)
    return low - margin, high + (margin if upper is None else 0.0)


def draw_components(draw: ImageDraw.ImageDraw, box: Box, title: str, tensors: Array) -> None:
    """The median, the middle half and 95 % of the six components of symmetric tensors."""
    rows = [np.nanpercentile(tensors[:, i, j], [2.5, 25, 50, 75, 97.5]).tolist() for i, j in _COMPONENTS]
    reach = max(max(abs(row[0]), abs(row[-1])) for row in rows) * 1.15 + 1e-9
    axes = Axes(draw, box, (-reach, reach), (-0.6, len(rows) - 0.4))
    draw.line([axes.at(0, -0.6), axes.at(0, len(rows) - 0.4)], fill=(210, 210, 210))
    for number, (least, first, middle, third, most) in enumerate(rows):
        height = len(rows) - 1 - number
        draw.line([axes.at(least, height), axes.at(most, height)], fill=AXIS)
        (x0, y0), (x1, y1) = axes.at(first, height + 0.25), axes.at(third, height - 0.25)
        draw.rectangle([x0, y0, max(x1, x0 + 1), y1], fill=PALETTE[0])
        draw.line([axes.at(middle, height - 0.25), axes.at(middle, height + 0.25)], fill=PALETTE[3], width=2)
    names = {float(len(rows) - 1 - k): f"{i + 1}{j + 1}" for k, (i, j) in enumerate(_COMPONENTS)}
    axes.frame(title, ticks(-reach, reach), np.arange(len(rows), dtype=float), names.__getitem__)


def draw_residuals(draw: ImageDraw.ImageDraw, box: Box, title: str, columns: Mapping[str, Array]) -> None:
    """Numbers of spots against what they are off by, one line a column."""
    known = {name: values[np.isfinite(values)] for name, values in columns.items()}
    every = np.concatenate(list(known.values()))
    if not len(every):
        return
    reach = float(np.abs(np.percentile(every, _SHOWN)).max()) * 1.1 + 1e-9
    counts = {name: np.histogram(values, 2 * _BINS, (-reach, reach))[0] for name, values in known.items()}
    most = max(int(count.max()) for count in counts.values()) or 1
    axes = Axes(draw, box, (-reach, reach), (0.0, 1.08 * most))
    draw.line([axes.at(0, 0), axes.at(0, 1.08 * most)], fill=(210, 210, 210))
    edges = np.linspace(-reach, reach, 2 * _BINS + 1)
    for number, (name, count) in enumerate(counts.items()):
        heights = np.repeat(count, 2).tolist()
        line = [axes.at(x, y) for x, y in zip(np.repeat(edges, 2)[1:-1].tolist(), heights, strict=True)]
        draw.line(line, fill=PALETTE[number], width=2)
        draw.text((box[0] + 8, box[1] + 6 + 18 * number), name, PALETTE[number], font=font(14))
    axes.frame(title, ticks(-reach, reach), np.unique(np.rint(ticks(0, 1.08 * most))))
