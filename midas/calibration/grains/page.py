"""A refined geometry as one page that opens in any browser, without a network."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from midas._ext.numerics.elementwise import exp, hypot
from midas.calibration.grains.result import GeometryResult
from midas.calibration.grains.summary import headline, held_out_lines, values_of
from midas.runtime.pages import document, drawings, table

Array = NDArray[np.float64]

#: points of a figure, at most: every so many spots are shown where there are more
_MOST = 10_000
#: arrows of the map, and their lengths in pixels of the page for a median residual
_ARROWS, _LENGTH = 1500, 0.02
_STYLE = "th,td{text-align:left;padding-right:1.5em}td.n{text-align:right}"
_COLOURS = {"before": "#d62728", "after": "#1f77b4"}


def page(result: GeometryResult, name: str, certificates: Sequence[str] = ()) -> str:
    """The page.

    Parameters
    ----------
    name : of the layer
    certificates : which ways to read the image the data exclude, as text
    """
    figures = [_along(result, 0, "Radial"), _along(result, 1, "Tangential"), _rings(result), _widths(result)]
    figures += [_map(result, d) for d in range(len(result.detectors))]
    said = "".join(f"<li>{html.escape(text)}</li>" for text in (*held_out_lines(result), *result.sentences))
    blocks = "".join(f"<h2>How the image lies</h2><pre>{html.escape(text)}</pre>" for text in certificates)
    body = f"<ul>{said}</ul>{_numbers(result)}{_sets(result)}\n{drawings(figures)}"
    return document(headline(result, name), _STYLE, f"{body}{_modes(result)}{_wobble(result)}{blocks}")


def _table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return f"<h2>{html.escape(title)}</h2>{table(heads, rows)}"


def _numbers(result: GeometryResult) -> str:
    heads = ("number", "unit", "start", "refined", "sigma", "change", "moves spots by 1 px", "goes with", "verdict")
    rows = [
        (n.name, n.unit, *values_of(n), f"{n.pixel:.4g}", f"{n.partner} ({n.r:.2f})" if n.partner else "", n.verdict)
        for n in result.numbers
    ]
    return _table("The instrument", heads, rows)


def _sets(result: GeometryResult) -> str:
    """What was asked of the held-out spots."""
    if not result.sets:
        return ""
    rows = []
    for verdict in result.sets:
        asked = np.isfinite(verdict.rise)
        rise = f"{verdict.rise:.4g} ± {verdict.error:.2g} of {verdict.loss:.4g}" if asked else verdict.reason
        rows.append((",".join(verdict.words), "refined" if verdict.kept else "not refined", rise))
    return _table("Do the held-out spots need it?", ("numbers", "", "rise of their loss without it"), rows)


def _modes(result: GeometryResult) -> str:
    """What the spots alone tell, the least known first."""
    modes = result.modes
    rows = []
    for vector, sigma, response in zip(modes.vectors, modes.sigma, modes.response, strict=True):
        large = np.argsort(-np.abs(vector))[:3]
        parts = ", ".join(f"{vector[k]:+.2f} {modes.names[k]}" for k in large if abs(vector[k]) > 0.1)
        moved = [f"{value:.3g}" for value in response]
        rows.append((f"{sigma:.3g}" if sigma < 1e6 else "open", parts, *moved))
    grains = ("X", "Y", "Z (um)", "turn x", "y", "z (deg)", "strain", "E33 - (E11 + E22)/2 (1e-6)")
    heads = ("sigma (px)", "numbers, in units of 1 px", *(f"grains: {name}" for name in grains))
    return _table("What the spots tell without any convention", heads, rows)


def _wobble(result: GeometryResult) -> str:
    if not result.wobble:
        return ""
    rows = [
        (t.axis, str(t.order), "cos" if t.phase == "c" else "sin", f"{t.value:.3f}", f"{t.sigma:.3f}")
        for t in result.wobble
    ]
    return _table("Wobble of the stage, as the residuals want it", ("axis", "order", "", "um", "sigma"), rows)


def _shown(result: GeometryResult) -> NDArray[np.intp]:
    """Rows of the spots in the figures."""
    count = len(result.residuals.spots)
    return np.arange(0, count, max(1, -(-count // _MOST)))


def _pixels(result: GeometryResult) -> Array:
    """Pixel size for every spot."""
    return np.array([detector.px for detector in result.detectors])[result.residuals.spots.detector]


def _radii(result: GeometryResult) -> Array:
    """Distance of every spot from the beam, mm."""
    spots, d = result.residuals.spots, result.residuals.spots.detector
    y, z, px = (np.array([getattr(one, name) for one in result.detectors])[d] for name in ("y_bc", "z_bc", "px"))
    return np.asarray(1e-3 * px * hypot(spots.y_px - y, spots.z_px - z), np.float64)


def _along(result: GeometryResult, row: int, title: str) -> go.Figure:
    """Residuals of one direction before and after, against eta, omega and radius."""
    rows, spots, px = _shown(result), result.residuals.spots, _pixels(result)
    against = {"eta (°)": spots.eta, "omega (°)": spots.omega, "radius (mm)": _radii(result)}
    figure = make_subplots(rows=1, cols=3, shared_yaxes=True)
    for column, (name, x) in enumerate(against.items(), 1):
        for when, values in (("before", result.residuals.before), ("after", result.residuals.after)):
            trace = go.Scattergl(
                x=x[rows].tolist(), y=(values[row] / px)[rows].tolist(), mode="markers", name=when,
                marker={"size": 3, "color": _COLOURS[when]}, showlegend=column == 1, legendgroup=when,
            )  # fmt: skip
            figure.add_trace(trace, row=1, col=column)
        figure.update_xaxes(title_text=name, row=1, col=column)
    figure.update_yaxes(title_text="px", col=1)
    figure.update_layout(title=f"{title} residuals of the assigned spots", height=420)
    return figure


def _rings(result: GeometryResult) -> go.Figure:
    """Median radial residual of every ring."""
    ring, px = result.residuals.spots.ring, _pixels(result)
    numbers = np.unique(ring).tolist()
    figure = go.Figure()
    for when, values in (("before", result.residuals.before), ("after", result.residuals.after)):
        medians = [float(np.median((values[0] / px)[ring == number])) for number in numbers]
        names = [f"ring {number}" for number in numbers]
        figure.add_trace(go.Bar(x=names, y=medians, name=when, marker_color=_COLOURS[when]))
    figure.update_layout(title="Median radial residual of every ring", height=350, yaxis_title="px", barmode="group")
    return figure


def _widths(result: GeometryResult) -> go.Figure:
    """Residuals in units of the width that was assumed for them, and what they should look like."""
    scaled = result.residuals.after / result.residuals.sigma
    figure = make_subplots(rows=1, cols=3, subplot_titles=("radial", "tangential", "omega"))
    u = np.linspace(-5, 5, 101)
    normal = exp(-(u**2) / 2) / np.sqrt(2 * np.pi)
    for column in range(3):
        values = np.clip(scaled[column][np.isfinite(scaled[column])], -5, 5)
        counts, edges = np.histogram(values, bins=60, range=(-5, 5), density=True)
        middle = 0.5 * (edges[1:] + edges[:-1])
        figure.add_trace(go.Bar(x=middle.tolist(), y=counts.tolist(), name="spots"), row=1, col=column + 1)
        figure.add_trace(go.Scatter(x=u.tolist(), y=normal.tolist(), name="assumed"), row=1, col=column + 1)
    figure.update_layout(title="Residuals in standard deviations", height=380, showlegend=False)
    return figure


def _map(result: GeometryResult, detector: int) -> go.Figure:
    """Residual vectors on one detector."""
    on = np.flatnonzero(result.residuals.spots.detector == detector)
    on = on[:: max(1, -(-len(on) // _ARROWS))]
    spots, px = result.residuals.spots.take(on), result.detectors[detector].px
    r, t = result.residuals.after[:2, on] / px
    # Columns run towards -y; the tangential direction is the radial one turned by 90 degrees.
    column, row = -(r * spots.radial_y - t * spots.radial_z), r * spots.radial_z + t * spots.radial_y
    size = float(np.median(hypot(r, t))) if len(on) else 1.0
    extent = float(np.ptp(spots.y_px)) if len(on) else 1.0
    gain = _LENGTH * extent / max(size, 1e-12)
    x = np.column_stack([spots.y_px, spots.y_px + gain * column, np.full(len(on), np.nan)]).ravel()
    y = np.column_stack([spots.z_px, spots.z_px + gain * row, np.full(len(on), np.nan)]).ravel()
    figure = go.Figure(go.Scattergl(x=x.tolist(), y=y.tolist(), mode="lines", line={"width": 1}))
    where = f" of detector {detector + 1}" if len(result.detectors) > 1 else ""
    figure.update_layout(
        title=f"Residuals{where} after the fit, {gain:.3g} times as long", height=750, xaxis_title="Y (px)",
        yaxis={"title": "Z (px)", "scaleanchor": "x"},
    )  # fmt: skip
    return figure
