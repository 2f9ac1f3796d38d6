"""The first look as one page that opens in any browser, without a network."""

from __future__ import annotations

import base64
import html

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from midas._ext.numerics.elementwise import arctan2
from midas.diagnosis.look import findings
from midas.diagnosis.look.findings import Look, RingLine
from midas.diagnosis.look.picture import display_image, reduced
from midas.diagnosis.look.polar import profile
from midas.runtime.pages import document, drawings

#: longest side of the images in the page, px
_SIDE = 700
#: brightness is 40 log10(1 + counts), a byte a pixel: the page stays small, and 2 million counts are the most
_PER_DECADE = 40.0
_SCALE = {
    "title": "counts",
    "tickvals": [round(_PER_DECADE * d) for d in range(7)],
    "ticktext": ["0", *(f"1e{d}" for d in range(1, 7))],
}


def page(look: Look, text: str, picture: bytes) -> str:
    """The page, with the same as text and as a PNG."""
    found = list(findings.sentences(look)) or ["Nothing looks wrong."]
    figures = drawings([_images(look), _profile(look), _offsets(look)])
    items = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in found)
    encoded = base64.b64encode(picture).decode("ascii")
    body = (
        f"<ul>{items}</ul><pre>{html.escape(text)}</pre>\n{figures}\n<h2>Maximum, as a picture</h2>"
        f'<img alt="maximum of the frames with rings" src="data:image/png;base64,{encoded}">'
    )
    return document(f"First look: {look.name}", "pre{overflow-x:auto}", body)


def _images(look: Look) -> go.Figure:
    """Maximum, mean and median, one at a time, with the predicted rings."""
    figure = go.Figure()
    images = {"maximum": look.seen.maximum, "mean": look.seen.mean, "median": look.seen.median}
    size = max(look.seen.mean.shape)
    for name, image in images.items():
        small, step = reduced(display_image(look, image), _SIDE)
        shown = _PER_DECADE * np.log10(1 + np.clip(np.nan_to_num(small[::-1]), 0, None))
        figure.add_trace(
            go.Heatmap(
                z=np.round(shown).astype(np.uint8),
                x0=(step - 1) / 2,
                dx=step,
                y0=size - 1 - (step * (len(small) - 1) + (step - 1) / 2),
                dy=step,
                colorscale="Greys_r",
                visible=name == "maximum",
                zmin=0,
                colorbar=_SCALE,
                hoverinfo="x+y",
            )
        )
    lines = list(look.ring_lines())
    for ring in lines:
        y, z = (np.round(places, 1).tolist() for places in (ring.y_px, ring.z_px))
        line = {"color": _colour(ring), "width": 1}
        figure.add_trace(go.Scatter(x=y, y=z, mode="lines", line=line, name=f"ring {ring.ring}"))
    buttons = [
        {"label": name, "method": "restyle", "args": [{"visible": [k == i for k in range(3)] + [True] * len(lines)}]}
        for i, name in enumerate(images)
    ]
    figure.update_layout(
        title="Frames, looking downstream; rings of RingThresh orange, others blue",
        height=850,
        updatemenus=[{"buttons": buttons, "x": 0.0, "xanchor": "left", "y": 1.06}],
        xaxis={"title": "column (px), towards -y", "range": [-0.5, size - 0.5]},
        yaxis={"title": "row (px), towards +z", "scaleanchor": "x", "range": [-0.5, size - 0.5]},
    )
    return figure


def _profile(look: Look) -> go.Figure:
    """I(2theta) of mean and maximum, with the predicted rings."""
    along = profile(look.where, look.seen.mean, look.seen.maximum)
    two_theta = np.degrees(arctan2(along.radius, look.detector.lsd)).round(5).tolist()
    figure = go.Figure()
    for name, values in (("mean", along.mean), ("maximum", along.maximum)):
        figure.add_trace(go.Scatter(x=two_theta, y=_gaps(values), mode="lines", name=name))
    for ring in look.ring_lines():
        figure.add_vline(x=ring.two_theta, line_color=_colour(ring), line_width=1, annotation_text=str(ring.ring))
    figure.update_layout(
        title="Mean over the azimuth",
        height=450,
        xaxis_title="2theta (degrees)",
        yaxis_title="counts",
        yaxis_type="log",
    )
    return figure


def _colour(ring: RingLine) -> str:
    return "orange" if ring.is_asked_for else "steelblue"


def _offsets(look: Look) -> go.Figure:
    """Observed minus predicted radius against eta."""
    figure = go.Figure()
    rings = look.observed
    for r, number in enumerate(rings.numbers.tolist()):
        rows = rings.ring == r
        if rows.any():
            figure.add_trace(
                go.Scatter(
                    x=rings.eta[rows].round(2).tolist(),
                    y=(rings.radius[rows] - rings.radii[r]).round(2).tolist(),
                    mode="markers",
                    name=f"ring {number}",
                )
            )
    figure.update_layout(
        title="Observed minus predicted radius, sector by sector: flat = distance, a wave = beam centre or tilt",
        height=450,
        xaxis_title="eta (degrees)",
        yaxis_title="um",
    )
    return figure


def _gaps(values: NDArray[np.float64]) -> list[float | None]:
    return [round(value, 4) if np.isfinite(value) else None for value in values.tolist()]
