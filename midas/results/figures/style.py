"""What all figures have in common: sizes, colours, what an empty one says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

if TYPE_CHECKING:
    from midas.results.reading import Results

Floats = NDArray[np.float64]

#: one colour for what is observed, one for what is expected of it, one for what stands out
BLUE, GREY, RED = "#2a6ebb", "#8a8f98", "#c8442f"
#: scales of numbers from zero, and of numbers on both sides of it
SEQUENTIAL, DIVERGING = "Viridis", "RdBu_r"
#: from this many points on they are drawn by WebGL, of which a page can hold few
_MANY_POINTS = 1500
#: from this many values on the colour scale leaves out a hundredth at either end
_MANY_VALUES = 100
#: bars of values that spread, about and at least
_FEWEST = 8

NO_GRAINS = "There are no grains here:<br>no candidate had enough spots to be one."


def styled(figure: go.Figure, title: str, height: int, **layout: Any) -> go.Figure:
    """The figure with title, height (px) and the margins, fonts and colours of all of them."""
    figure.update_layout(
        # The title stands below the buttons, which would cover it in a narrow window.
        title={
            "text": title, "x": 0.01, "xanchor": "left", "y": 1, "yanchor": "top", "pad": {"t": 36},
            "font": {"size": 15},
        },
        modebar={"remove": ["lasso2d", "select2d", "autoScale2d"], "orientation": "h"},
        height=height,
        template="plotly_white",
        font={"size": 12},
        margin={"l": 55, "r": 15, "t": 92, "b": 50} | layout.pop("margin", {}),
        **layout,
    )  # fmt: skip
    return figure


def empty(title: str, reason: str = NO_GRAINS) -> go.Figure:
    """A figure that says why there is nothing in it."""
    figure = go.Figure()
    figure.add_annotation(
        text=reason, x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False, font={"size": 14, "color": GREY}
    )
    hidden = {"visible": False}
    return styled(figure, title, 220, xaxis=hidden, yaxis=hidden)


def title_of(results: Results, what: str) -> str:
    """What is shown, and of how many grains."""
    n = len(results.grains)
    return f"{what}, {n} grain{'s' * (n != 1)}"


def points(n: int) -> Any:
    """The kind of trace for so many points."""
    return go.Scattergl if n > _MANY_POINTS else go.Scatter


def limits(values: Floats, symmetric: bool) -> tuple[float, float, bool]:
    """Ends of a colour scale, and whether it leaves out the extremes.

    The numbers that are not finite do not count; `symmetric` scales have zero in the middle.
    """
    known = values[np.isfinite(values)]
    if not len(known):
        return 0.0, 1.0, False
    trimmed = len(known) >= _MANY_VALUES
    low, high = np.percentile(known, (1, 99)) if trimmed else (known.min(), known.max())
    if symmetric:
        high = max(abs(low), abs(high))
        low = -high
    if not high > low:
        width = max(abs(float(high)), 1.0) * 1e-3
        low, high = low - width, high + width
    return float(low), float(high), trimmed


def bins_of(values: Sequence[Floats] | Floats, most: int = 60) -> dict[str, float] | None:
    """Start, end and width of the bars of a histogram, with a width of 1, 2 or 5 times a power of ten.

    By the rule of Freedman and Diaconis where the values spread; a few bars about them where they do not.

    Parameters
    ----------
    values : numbers, or several lists of them that are to be compared
    most : bars
    """
    known = np.concatenate([np.asarray(one, float).ravel() for one in values]) if isinstance(values, list) else values
    known = np.asarray(known, float)
    known = known[np.isfinite(known)]
    if not len(known):
        return None
    low, high = float(known.min()), float(known.max())
    first, third = np.percentile(known, (25, 75))
    width = 2 * (third - first) / len(known) ** (1 / 3)
    spread = high - low
    scale = max(abs(low), abs(high))
    if spread <= 1e-9 * scale or spread == 0:
        width = 0.02 * scale or 0.02
    else:
        width = float(np.clip(width, spread / most, spread / _FEWEST))
    width = nice(width)
    start = np.floor(low / width - 0.5) * width
    return {"start": float(start), "end": float(np.ceil(high / width + 0.5) * width), "size": float(width)}


def nice(width: float) -> float:
    """The next larger one of 1, 2 and 5 times a power of ten."""
    power = 10.0 ** np.floor(np.log10(width))
    return float(power * next(step for step in (1, 2, 5, 10) if step * power >= width * (1 - 1e-9)))
