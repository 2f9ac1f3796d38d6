"""A calibration as one page that opens in any browser, without a network (docs/calibrating.md#the-page)."""

from __future__ import annotations

import html

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from midas._ext.numerics.elementwise import tan
from midas.calibration.powder.cake import Cake, brightness
from midas.calibration.powder.curves import Curves, arrows, curves
from midas.calibration.powder.result import Calibration
from midas.calibration.powder.summary import number_rows, panel_rows, statistics
from midas.runtime.pages import document, drawings, table

Array = NDArray[np.float64]

_STYLE = "th,td{text-align:right;padding:0 1em}th:first-child,td:first-child{text-align:left}"


def page(calibration: Calibration, caked: Cake, panels: Array, name: str) -> str:
    """The page.

    Parameters
    ----------
    panels : (p, 8), see `midas.experiment.panels.panels_of`
    name : of the image
    """
    shown = curves(calibration)
    figures = [_cake(calibration, caked, shown), _residuals(shown), _by_angle(shown), _rings(shown)]
    if len(panels):
        figures.append(_panels(panels))
    warnings = "".join(f"<li>{html.escape(text)}</li>" for text in calibration.warnings)
    found = statistics(calibration)
    facts = (
        f"{found.points} points; strain (10<sup>-6</sup>): mean {found.mean:.2f}, median {found.median:.2f}, mean of "
        f"all points {found.untrimmed:.2f}, robust rms {found.robust_rms:.2f}; uncertainties scaled by "
        f"{calibration.scale:.3g}; condition {calibration.condition:.3g}"
    )
    end = _panel_table(calibration) if len(panels) else ""
    body = f"<ul>{warnings}</ul><p>{facts}</p>{_numbers(calibration)}\n{drawings(figures)}{end}"
    return document(f"Geometry from powder rings: {name}", _STYLE, body)


def _numbers(calibration: Calibration) -> str:
    """Value, uncertainty, change and verdict of every number of the instrument."""
    rows = [
        (row.name, f"{row.value:.10g}", _text(row.sigma), _text(row.change), row.verdict)
        for row in number_rows(calibration)
    ]
    return table(("number", "value", "sigma", "change from the start", "verdict"), rows)


def _panel_table(calibration: Calibration) -> str:
    rows = []
    for row in panel_rows(calibration):
        both = zip(row.shift, row.shift_sigma, strict=True)
        cells = (f"{value:.4f} ± {_text(sigma)}" for value, sigma in both)
        rows.append((str(row.number), str(row.points), *cells, f"{_text(row.mean)} ± {_text(row.sigma)}"))
    heads = ("panel", "points", "dY (px)", "dZ (px)", "dTheta (degrees)", "mean strain (10⁻⁶)")
    return f"<h2>Panels</h2>{table(heads, rows)}"


def _text(value: float) -> str:
    return f"{value:.3g}" if np.isfinite(value) else "–"


def _cake(calibration: Calibration, caked: Cake, shown: Curves) -> go.Figure:
    """The image over radius and azimuth, with rings and points."""
    detector = calibration.detector
    step = float(caked.radius[1] - caked.radius[0]) / 1000 if len(caked.radius) > 1 else 1.0
    figure = go.Figure(
        go.Heatmap(
            z=brightness(caked.counts), x0=float(caked.radius[0]) / 1000, dx=step, y0=float(caked.eta[0]),
            dy=float(caked.eta[1] - caked.eta[0]), colorscale="Greys_r", showscale=False, hoverinfo="x+y",
        )
    )  # fmt: skip
    # All rings are one trace: a line of the layout each would take seconds.
    radii = [float(detector.lsd * tan(np.radians(row.two_theta)) / 1000) for row in shown.rows]
    across = [x for radius in radii for x in (radius, radius, None)]
    figure.add_trace(
        go.Scatter(
            x=across,
            y=[-180.0, 180.0, None] * len(radii),
            mode="lines",
            name="rings",
            line={"color": "orange", "width": 1},
        )
    )
    numbers = [f"{row.number}" for row in shown.rows]
    figure.add_trace(
        go.Scatter(
            x=radii, y=[180.0] * len(radii), text=numbers, mode="text", textposition="top center", name="numbers"
        )
    )
    radius = detector.lsd * tan(np.radians(calibration.two_theta())) * (1 + calibration.strain) / 1000
    figure.add_trace(
        go.Scattergl(
            x=radius.round(5).tolist(), y=calibration.points.eta.round(3).tolist(), mode="markers", name="points",
            marker={"size": 3, "color": "#20c060"},
        )
    )  # fmt: skip
    figure.update_layout(
        title="The image over radius and azimuth: rings of a right geometry are straight lines",
        height=700, xaxis_title="radius (mm)", yaxis_title="eta (degrees)",
    )  # fmt: skip
    return figure


def _residuals(shown: Curves) -> go.Figure:
    """Strain against the azimuth."""
    figure = go.Figure(
        go.Scattergl(
            x=shown.eta.round(3).tolist(), y=shown.strain.round(3).tolist(), mode="markers", name="points",
            marker={"size": 4, "color": shown.ring.tolist(), "colorscale": "Turbo", "colorbar": {"title": "ring"}},
        )
    )  # fmt: skip
    median = [round(y, 4) if np.isfinite(y) else None for y in shown.median.tolist()]
    figure.add_trace(go.Scatter(x=shown.median_eta.tolist(), y=median, name="running median", line={"color": "red"}))
    figure.update_layout(
        title="Strain of the points against eta: a wave would be the beam centre or a tilt",
        height=450, xaxis_title="eta (degrees)", yaxis={"title": "strain (10⁻⁶)", "range": [-shown.limit, shown.limit]},
        legend={"orientation": "h"},
    )  # fmt: skip
    return figure


def _by_angle(shown: Curves) -> go.Figure:
    """Strain against two_theta, with the median of each ring."""
    by_number = {row.number: row.two_theta for row in shown.rows}
    two_theta = np.array([by_number[ring] for ring in shown.ring.tolist()])
    figure = go.Figure(
        go.Scattergl(
            x=two_theta.round(5).tolist(), y=shown.strain.round(3).tolist(), mode="markers", name="points",
            marker={"size": 3, "color": "steelblue"},
        )
    )  # fmt: skip
    order = [row for row in shown.rows if row.points]
    middle = [float(np.median(shown.strain[shown.ring == row.number])) for row in order]
    smooth = [float(np.median(middle[max(0, i - 1) : i + 2])) for i in range(len(middle))]
    figure.add_trace(
        go.Scatter(x=[row.two_theta for row in order], y=smooth, name="running median", line={"color": "red"})
    )
    figure.update_layout(
        title="Strain of the points against 2theta: a slope would be the distortion or a wrong ring",
        height=450, xaxis_title="2theta (degrees)",
        yaxis={"title": "strain (10⁻⁶)", "range": [-shown.limit, shown.limit]}, legend={"orientation": "h"},
    )  # fmt: skip
    return figure


def _rings(shown: Curves) -> go.Figure:
    """Mean and uncertainty of each ring."""
    rows = [row for row in shown.rows if row.points]
    figure = go.Figure(
        go.Scatter(
            x=[row.two_theta for row in rows], y=[row.mean for row in rows], mode="markers",
            error_y={"array": [row.sigma if np.isfinite(row.sigma) else 0.0 for row in rows]},
            text=[f"ring {row.number}, {row.points} points, rms {row.rms:.2f}" for row in rows],
        )
    )  # fmt: skip
    figure.update_layout(
        title="Mean strain of each ring and its sigma",
        height=400, xaxis_title="2theta (degrees)", yaxis_title="strain (10⁻⁶)",
    )  # fmt: skip
    return figure


def _panels(panels: Array) -> go.Figure:
    """Shifts as arrows."""
    shown = arrows(panels)
    boxes = [
        {"type": "rect", "x0": y0 - 0.5, "x1": y1 + 0.5, "y0": z0 - 0.5, "y1": z1 + 0.5, "line": {"color": "lightgrey"}}
        for y0, y1, z0, z1 in shown.boxes.tolist()
    ]
    drawn = [
        {
            "ax": y, "ay": z, "x": y + shown.scale * dy, "y": z + shown.scale * dz, "xref": "x", "yref": "y",
            "axref": "x", "ayref": "y", "arrowhead": 2, "arrowcolor": "red",
        }
        for (y, z), (dy, dz) in zip(shown.middle.tolist(), shown.shift.tolist(), strict=True)
    ]  # fmt: skip
    text = [f"panel {i}: {dy:+.4f}, {dz:+.4f} px" for i, (dy, dz) in enumerate(shown.shift.tolist())]
    y, z = shown.middle.T.tolist()
    figure = go.Figure(go.Scatter(x=y, y=z, mode="markers", text=text, hoverinfo="text", marker={"size": 5}))
    figure.update_layout(
        shapes=boxes,
        annotations=drawn,
        title=f"Shifts of the panels, {shown.scale:.0f} times as long, looking downstream",
        height=800, xaxis_title="column (px)", yaxis={"title": "row (px)", "scaleanchor": "x"},
    )  # fmt: skip
    return figure
