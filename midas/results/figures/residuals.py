"""What is left of the spots when their grains have explained them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray
from plotly.subplots import make_subplots

from midas.results.figures.style import BLUE, GREY, Floats, empty, styled

if TYPE_CHECKING:
    from midas.results.reading import Results

__all__ = ["AGAINST", "residuals"]

#: against what residuals are shown: title, ends and number of the bins (rings have one each)
AGAINST: dict[str, tuple[str, tuple[float, float, int] | None]] = {
    "ring": ("ring number", None),
    "eta": ("eta (°)", (-180.0, 180.0, 36)),
    "omega": ("omega, as recorded (°)", (-180.0, 180.0, 36)),
}
_FIELDS = {"ring": "ring", "eta": "eta", "omega": "omega_recorded"}
#: titles and columns of the residuals of predicted spots
_DISTANCES = {"radial (µm)": "d_radial", "along the ring (µm)": "d_arc", "omega (°)": "d_omega"}
_NO_SPOTS = "There are no spots of grains here."


def residuals(
    results: Results | NDArray[np.void], against: str = "ring", values: Mapping[str, ArrayLike] | None = None
) -> go.Figure:
    """Residuals of the spots of all grains: median and quartiles of each ring, or of each ten degrees.

    Parameters
    ----------
    results : of a layer; or predicted spots, rows of `midas.results.evidence.predicted_spots`, of which the distances
        of the observed ones are shown: along the radius, along the ring, and in omega
    against : "ring", "eta" or "omega"
    values : title with unit and (n,) residual of every row of `results.spots`, a panel for each; without them the
        relative strain that the tensor of the grain leaves of the spot, 1e-6

    Raises
    ------
    ValueError : `against` is something else, or there are more or fewer values than spots
    """
    if against not in AGAINST:
        raise ValueError(f"against must be one of {', '.join(AGAINST)}, not {against!r}")
    if isinstance(results, np.ndarray):
        spots, field = results[results["counted"]], _FIELDS[against].removesuffix("_recorded")
        values = {title: spots[name] for title, name in _DISTANCES.items()} if values is None else values
    else:
        spots, field = results.spots, _FIELDS[against]
    if values is None:
        values = {"strain that the tensor leaves (10⁻⁶)": 1e6 * np.asarray(spots["strain_error"], float)}
    what = {name: np.asarray(one, float) for name, one in values.items()}
    for name, one in what.items():
        if one.shape != (len(spots),):
            raise ValueError(f"{name}: {one.shape} values for {len(spots)} spots")
    title = f"Residuals of {len(spots)} spots against {against}"
    if not len(spots):
        return empty(title, _NO_SPOTS)
    label, bins = AGAINST[against]
    at = np.asarray(spots[field], float)
    figure = make_subplots(rows=len(what), cols=1, shared_xaxes=True, vertical_spacing=0.06)
    for row, (name, one) in enumerate(what.items(), 1):
        _panel(figure, row, at, one, bins)
        figure.update_yaxes(title_text="<br>".join(_broken(name)), row=row, col=1)
    figure.update_xaxes(title_text=label, row=len(what), col=1)
    if bins is None:
        figure.update_xaxes(dtick=max(1, int(np.ptp(at)) // 12))
    else:
        figure.update_xaxes(range=list(_ends(at, bins)))
    note = "points: median; bars: quartiles; shade: 5 to 95 %"
    return styled(figure, f"{title}<br><sub>{note}</sub>", 170 + 210 * len(what), showlegend=False)


def _ends(at: Floats, bins: tuple[float, float, int]) -> tuple[float, float]:
    """What part of the circle is shown: all, if the values are anywhere."""
    low, high, number = bins
    width = (high - low) / number
    return max(low, width * np.floor(at.min() / width)), min(high, width * np.ceil(at.max() / width))


def _panel(figure: go.Figure, row: int, at: Floats, values: Floats, bins: tuple[float, float, int] | None) -> None:
    centres, groups = _grouped(at, bins)
    known = np.isfinite(values) & (groups >= 0)
    used = np.unique(groups[known])
    marks = np.array([np.percentile(values[known & (groups == g)], (5, 25, 50, 75, 95)) for g in used]).reshape(-1, 5)
    counts = [int((known & (groups == g)).sum()) for g in used]
    x = centres[used]
    low, first, median, third, high = marks.T
    shade = {"mode": "lines", "hoverinfo": "skip", "line": {"width": 0}}
    wide = len(x) > 1
    if wide:
        figure.add_trace(go.Scatter(x=x, y=low, **shade), row=row, col=1)
        figure.add_trace(
            go.Scatter(x=x, y=high, fill="tonexty", fillcolor="rgba(42,110,187,0.15)", **shade), row=row, col=1
        )
    bars = {"type": "data", "symmetric": False, "array": third - median, "arrayminus": median - first, "width": 3}
    figure.add_trace(
        go.Scatter(
            x=x, y=median, mode="markers", marker={"color": BLUE, "size": 7}, error_y={**bars, "thickness": 1.5},
            customdata=np.column_stack([counts, first, third]),
            hovertemplate="%{x:.6g}: median %{y:.4g}, quartiles %{customdata[1]:.4g} and %{customdata[2]:.4g}, "
            "%{customdata[0]} spots<extra></extra>",
        ),
        row=row, col=1,
    )  # fmt: skip
    figure.add_hline(y=0, line={"color": GREY, "width": 1}, row=row, col=1)


def _grouped(at: Floats, bins: tuple[float, float, int] | None) -> tuple[Floats, NDArray[np.intp]]:
    """Middles of the groups, and the group of each value; each whole number is one where there are no bins."""
    if bins is None:
        centres, groups = np.unique(at, return_inverse=True)
        return centres, groups.reshape(-1)
    low, high, number = bins
    edges = np.linspace(low, high, number + 1)
    inside = np.clip(np.searchsorted(edges, at, side="right") - 1, 0, number - 1)
    return (edges[1:] + edges[:-1]) / 2, np.where(np.isfinite(at), inside, -1)


def _broken(text: str) -> list[str]:
    """A long title in two lines."""
    words = text.split()
    if len(text) < 26:
        return [text]
    half = next(i for i in range(1, len(words) + 1) if len(" ".join(words[:i])) >= len(text) / 2 - 3)
    return [" ".join(words[:half]), " ".join(words[half:])]
