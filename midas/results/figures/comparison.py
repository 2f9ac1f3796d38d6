"""Figures of two grain lists that are compared (docs/tracking.md#compare)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from midas.formats.tracks import COMPONENTS, INDICES
from midas.runtime.pages import document, drawings, table

if TYPE_CHECKING:
    from midas.results.matching.compare import Comparison

#: rows of the table on the page: the pairs that differ most
_MOST_ROWS = 500


def differences(found: Comparison) -> go.Figure:
    """How far partners are apart: in position, orientation and strain, each component against the others."""
    titles = ["position (µm)", "rotation (°)", "strain (10⁻⁶)", "distance against misorientation"]
    figure = make_subplots(rows=2, cols=2, subplot_titles=titles, vertical_spacing=0.14)
    strain = 1e6 * found.lattice_strain
    groups = (
        (found.found_position - found.true_position, ("X", "Y", "Z"), 1, 1),
        (found.rotation, ("x", "y", "z"), 1, 2),
        (np.stack([strain[:, i, j] for i, j in INDICES], axis=1), COMPONENTS, 2, 1),
    )
    for values, names, row, col in groups:
        for name, column in zip(names, values.T, strict=True):
            box = go.Box(
                y=column.round(5).tolist(), name=name, boxpoints="outliers", marker={"size": 3}, showlegend=False
            )
            figure.add_trace(box, row=row, col=col)
    pairs = go.Scatter(
        x=found.misorientation.tolist(), y=found.distance.tolist(), mode="markers", marker={"size": 5},
        text=[f"grain {i} is {j}" for i, j in zip(found.true_id.tolist(), found.grain_id.tolist(), strict=True)],
        hovertemplate="%{text}: %{x:.4f}°, %{y:.2f} µm<extra></extra>", showlegend=False,
    )  # fmt: skip
    figure.add_trace(pairs, row=2, col=2)
    figure.update_xaxes(title_text="misorientation (°)", row=2, col=2)
    figure.update_yaxes(title_text="distance (µm)", row=2, col=2)
    figure.update_annotations(font_size=13)
    figure.update_layout(title="Differences", height=820, margin={"l": 50, "r": 10, "t": 90, "b": 50})
    return figure


def where(found: Comparison) -> go.Figure:
    """Where in the sample partners are apart, and by how much."""
    text = [f"grain {i}: {d:.2f} µm" for i, d in zip(found.true_id.tolist(), found.distance.tolist(), strict=True)]
    x, y, z = found.true_position.T.tolist() if found.recovered else ([], [], [])
    marker = {"size": 5, "color": found.distance.tolist(), "colorscale": "Viridis", "showscale": True}
    figure = go.Figure(go.Scatter3d(x=x, y=y, z=z, mode="markers", marker=marker, text=text, hoverinfo="text"))
    figure.update_layout(
        title="Distance of partners (µm)",
        height=560,
        margin={"l": 0, "r": 0, "t": 60, "b": 0},
        scene={
            "xaxis_title": "X (µm)",
            "yaxis_title": "Y (µm)",
            "zaxis_title": "Z (µm)",
            "aspectmode": "data",
            "camera": {"eye": {"x": 1.6, "y": 1.6, "z": 1.3}, "center": {"x": 0, "y": 0, "z": -0.15}},
        },
    )
    return figure


def comparison_page(found: Comparison, names: tuple[str, str], verdict: str) -> str:
    """A page of the comparison: what was asked, how lists differ, the pairs that differ most, who has no partner.

    Parameters
    ----------
    found : the comparison
    names : of both lists
    verdict : about the tolerances; "" without any
    """
    lines = [f"{names[0]} against {names[1]}", *found.table().splitlines(), *([verdict] if verdict else [])]
    facts = table(["comparison"], [[line] for line in lines])
    order = np.argsort(-found.distance, kind="stable")[:_MOST_ROWS]
    strain = 1e6 * np.sqrt(np.mean(found.lattice_strain**2, axis=(1, 2)))
    rows = [
        [str(found.true_id[k]), str(found.grain_id[k]), f"{found.distance[k]:.2f}", f"{found.misorientation[k]:.4f}",
         f"{strain[k]:.0f}"]
        for k in order.tolist()
    ]  # fmt: skip
    pairs = table(["grain", "partner", "distance (µm)", "misorientation (°)", "strain (10⁻⁶)"], rows)
    alone = table(
        ["without a partner", "ids"],
        [
            [name, " ".join(map(str, ids.tolist())) or "–"]
            for name, ids in zip(names, (found.lost, found.surplus), strict=True)
        ],
    )
    figures = drawings([differences(found), where(found)]) if found.recovered else ""
    style = "body{margin:1em}.wide{overflow-x:auto;max-height:30em}td,th{padding:.2em .8em;text-align:left}"
    wide = "".join(f'<div class="wide">{part}</div>' for part in (facts, alone))
    return document("Two grain lists", style, f'{wide}{figures}<h2>Pairs</h2><div class="wide">{pairs}</div>')
