"""How sizes, strains and completeness are distributed over the grains."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from midas.results.figures.choices import COMPONENTS
from midas.results.figures.style import BLUE, RED, Floats, bins_of, empty, styled, title_of

if TYPE_CHECKING:
    from midas.results.reading import Results

__all__ = ["completeness", "sizes", "strains"]

_SIGMAS = {"xx": "sE11", "yy": "sE22", "zz": "sE33", "yz": "sE23", "xz": "sE13", "xy": "sE12"}

#: so few grains in a bar are counted one by one
_FEW = 6
#: numbers below the axis stand clear of those beside it
_TICKS = {"ticks": "outside", "ticklen": 5, "tickcolor": "#c8d0d8"}

#: panels, row by row
_PANELS = (("xx", "yz"), ("yy", "xz"), ("zz", "xy"))


def sizes(results: Results) -> go.Figure:
    """Radii of the grains: how many grains, and how much of the volume of all of them, are of each size.

    The radius is that of the sphere of the grain's volume (docs/theory/radius.md).
    """
    title = title_of(results, "Grain size")
    if not len(results.grains):
        return empty(title)
    radius = np.asarray(results.grains["radius"], float)
    bins = bins_of(radius)
    figure = make_subplots(rows=1, cols=2, horizontal_spacing=0.14, subplot_titles=["of the grains", "of the volume"])
    for column, weights, name in ((1, np.ones(len(radius)), "grains"), (2, radius**3, "volume")):
        counts, edges = _histogram(radius, bins, weights)
        bars = 100 * counts / max(counts.sum(), 1e-300) if name == "volume" else counts
        figure.add_trace(_bars(edges, bars, BLUE, name, "%{y:.3g} %" if name == "volume" else "%{y} grains"),
                         row=1, col=column)  # fmt: skip
        mean = float(np.average(radius, weights=weights)) if weights.sum() > 0 else float(radius.mean())
        figure.add_vline(x=mean, line={"color": RED, "dash": "dot", "width": 1.5}, row=1, col=column)
        figure.layout.annotations[column - 1].text += f"<br><sub>mean {mean:.4g} µm</sub>"
        if name == "grains":
            figure.update_yaxes(dtick=_whole_steps(counts), row=1, col=column)
    figure.update_xaxes(title_text="grain radius (µm)", nticks=6)
    figure.update_yaxes(title_text="grains", rangemode="tozero", row=1, col=1)
    figure.update_yaxes(title_text="volume (%)", rangemode="tozero", row=1, col=2)
    return _roomy(styled(figure, title, 380, showlegend=False, bargap=0.03))


def completeness(results: Results) -> go.Figure:
    """Parts of the expected spots of each grain that were found."""
    title = title_of(results, "Completeness")
    if not len(results.grains):
        return empty(title)
    values = np.asarray(results.grains["completeness"], float)
    bins = bins_of(values, 40)
    if bins is not None:  # the last bar ends at 1, which is part of it
        bars = np.ceil((1 - min(float(values.min()), 1.0)) / bins["size"] + 1e-9) or 1.0
        bins = {"start": 1 - bars * bins["size"], "end": max(1.0, float(values.max())), "size": bins["size"]}
    counts, edges = _histogram(values, bins, np.ones(len(values)))
    figure = go.Figure(_bars(edges, counts, BLUE, "grains", "%{y} grains"))
    figure.update_xaxes(title_text="found spots / expected spots", range=[min(float(edges[0]), 0.9), 1.005])
    figure.update_xaxes(_TICKS)
    figure.update_yaxes(title_text="grains", rangemode="tozero", dtick=_whole_steps(counts))
    below = f"median {np.median(values):.4g}, least {values.min():.4g}"
    return styled(figure, f"{title}<br><sub>{below}</sub>", 340, showlegend=False, bargap=0.03)


def strains(results: Results, tensors: Floats | None = None, unit: str = "10⁻⁶", what: str = "Strain") -> go.Figure:
    """The six components of the strain, a panel for each, in the frame of the sample.

    Where the uncertainties of the grains are known, a red line above the bars reaches as far to either side of the mean
    as the median of them: bars that spread much further are strain, bars that do not are noise.

    Parameters
    ----------
    results : of a layer
    tensors : (n, 3, 3) to show in place of the strains from the spots, for instance stresses (MPa)
    unit, what : of these
    """
    shown = np.asarray(results.grains["strain"] if tensors is None else tensors, float).reshape(-1, 3, 3)
    title = title_of(results, f"{what} in the sample")
    if not len(shown):
        return empty(title)
    sigma = results.sigma if tensors is None else None
    columns = [shown[:, i, j] for i, j in COMPONENTS.values()]
    bins = bins_of(columns)
    figure = make_subplots(rows=3, cols=2, vertical_spacing=0.13, horizontal_spacing=0.12,
                           subplot_titles=[name for pair in _PANELS for name in pair], shared_xaxes="all")  # fmt: skip
    for k, (name, values) in enumerate(zip(COMPONENTS, columns, strict=True)):
        row, column = k % 3 + 1, k // 3 + 1
        counts, edges = _histogram(values, bins, np.ones(len(values)))
        figure.add_trace(_bars(edges, counts, BLUE, name, "%{y} grains"), row=row, col=column)
        figure.update_yaxes(dtick=_whole_steps(counts), row=row, col=column)
        text = f"{name}: {round(float(values.mean())):d} ± {values.std():.0f}"
        if sigma is not None:
            median = float(np.nanmedian(sigma[_SIGMAS[name]]))
            text += f", σ {median:.0f}"
            _noise(figure, row, column, float(values.mean()), median, float(counts.max()))
        figure.layout.annotations[2 * (row - 1) + column - 1].update(text=text, font={"size": 11})
    figure.update_xaxes(title_text=f"{unit}", row=3, showticklabels=True)
    figure.update_xaxes(showticklabels=True, nticks=5, tickangle=0)
    figure.update_yaxes(title_text="grains", col=1, rangemode="tozero")
    notes = f"mean ± standard deviation over grains, {unit}" + (
        "<br>σ and red: median uncertainty of a grain" if sigma is not None else ""
    )
    return _roomy(styled(figure, f"{title}<br><sub>{notes}</sub>", 620, showlegend=False, bargap=0.02))


def _noise(figure: go.Figure, row: int, column: int, mean: float, sigma: float, highest: float) -> None:
    """How wide the uncertainty alone would make the distribution: one sigma to either side of the mean, above it."""
    if not (np.isfinite(sigma) and sigma > 0):
        return
    bar = {"type": "data", "array": [sigma], "color": RED, "thickness": 2, "width": 4}
    point = go.Scatter(
        x=[mean], y=[1.15 * highest], mode="markers", marker={"color": RED, "size": 4}, error_x=bar,
        hovertemplate=f"median uncertainty {sigma:.3g}<extra></extra>",
    )  # fmt: skip
    figure.add_trace(point, row=row, col=column)


def _histogram(values: Floats, bins: dict[str, float] | None, weights: Floats) -> tuple[Floats, Floats]:
    """Sums of the weights between the edges, and the edges."""
    if bins is None:
        return np.zeros(1), np.array([0.0, 1.0])
    number = max(int(round((bins["end"] - bins["start"]) / bins["size"])), 1)
    edges = bins["start"] + bins["size"] * np.arange(number + 1)
    known = np.isfinite(values)
    counts, _ = np.histogram(values[known], edges, weights=weights[known])
    return np.asarray(counts, np.float64), np.asarray(edges, np.float64)


def _bars(edges: Floats, heights: Floats, colour: str, name: str, text: str) -> go.Bar:
    """Bars between the edges."""
    width = edges[1] - edges[0]
    between = [f"{a:.6g} to {b:.6g}" for a, b in zip(edges[:-1], edges[1:], strict=True)]
    return go.Bar(
        x=(edges[1:] + edges[:-1]) / 2, y=heights, width=width, marker={"color": colour}, name=name,
        customdata=between, hovertemplate="%{customdata}<br>" + text + "<extra></extra>",
    )  # fmt: skip


def _roomy(figure: go.Figure) -> go.Figure:
    """Room for the titles of panels below that of the figure."""
    return figure.update_xaxes(_TICKS).update_layout(margin={"t": 115})


def _whole_steps(counts: Floats) -> int | None:
    """Between the ticks of numbers of grains, of which there are no halves; None where there are many."""
    return 1 if counts.max() < _FEW else None
