"""Figures of a series: how grains strain, turn and move from step to step (docs/tracking.md#page)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from midas.formats.tracks import COMPONENTS, INDICES
from midas.results.figures.style import styled
from midas.results.matching.tracking import LINKED, LOST, NEW, RETURNED, UNDECIDED
from midas.runtime.pages import document, drawings, table

if TYPE_CHECKING:
    from midas.results.matching.tracks import Tracks

Floats = NDArray[np.float64]

_GRAIN, _BAND, _MEDIAN = "rgba(90,110,140,0.25)", "rgba(31,119,180,0.25)", "rgb(214,39,40)"
#: grains that are named in one cell of a table
_NAMED = 30


def strain_paths(tracks: Tracks, quantity: str = "strain", most: int = 200) -> go.Figure:
    """How the tensor of every grain changes, component by component: grains, their quartiles and their median.

    Parameters
    ----------
    tracks : of the series
    quantity : "strain" (1e-6) or "stress" (MPa), both in the sample frame
    most : lines of single grains that are drawn, those with the most steps; the quartiles are of all
    """
    tensors, unit = {"strain": (tracks.strains, "10⁻⁶"), "stress": (tracks.stresses, "MPa")}[quantity]
    letter = {"strain": "ε", "stress": "σ"}[quantity]
    titles = [f"{letter}{name} ({unit})" for name in COMPONENTS]
    values = np.stack([tensors[..., i, j] for i, j in INDICES])
    return _paths(values, titles, tracks, f"{quantity.capitalize()} of the grains, sample frame", most)


def motion_paths(tracks: Tracks, most: int = 200) -> go.Figure:
    """How every grain turned and moved since it was seen first: x, y and z of either."""
    titles, values = [], []
    for k, (small, large) in enumerate(zip("xyz", "XYZ", strict=True)):
        titles += [f"rotation {small} (°)", f"displacement {large} (µm)"]
        values += [tracks.rotations[..., k], tracks.displacements[..., k]]
    return _paths(np.array(values), titles, tracks, "Rotation and displacement of the grains", most)


def _paths(values: Floats, titles: Sequence[str], tracks: Tracks, title: str, most: int) -> go.Figure:
    """Six panels of (6, t, s) values against the steps, two in a row."""
    figure = make_subplots(rows=3, cols=2, subplot_titles=titles, shared_xaxes=True, vertical_spacing=0.07)
    steps = list(range(1, values.shape[2] + 1))
    length = np.isfinite(values[0]).sum(axis=1)
    drawn = np.sort(np.argsort(-length, kind="stable")[:most])
    drawn = drawn[length[drawn] > 1]
    for k, panel in enumerate(values):
        place = {"row": k // 2 + 1, "col": k % 2 + 1}
        figure.add_trace(_grains(panel[drawn], drawn, steps), **place)
        marks = np.full((3, len(steps)), np.nan)
        for step in range(len(steps)):
            seen = panel[np.isfinite(panel[:, step]), step]
            if len(seen):
                marks[:, step] = np.percentile(seen, [25, 50, 75])
        band = go.Scatter(
            x=[*steps, *steps[::-1]], y=[*marks[0].tolist(), *marks[2, ::-1].tolist()], fill="toself", fillcolor=_BAND,
            mode="lines", line={"width": 0}, hoverinfo="skip", name="quartiles", showlegend=k == 0,
            legendgroup="quartiles",
        )  # fmt: skip
        median = go.Scatter(
            x=steps, y=marks[1].tolist(), mode="lines+markers", line={"color": _MEDIAN, "width": 2}, name="median",
            showlegend=k == 0, legendgroup="median", hovertemplate="step %{x}: median %{y:.4g}<extra></extra>",
        )  # fmt: skip
        figure.add_trace(band, **place)
        figure.add_trace(median, **place)
    figure.update_xaxes(dtick=1 if len(steps) < 12 else None, tick0=1)
    figure.update_xaxes(title_text="step", row=3)
    figure.update_annotations(font_size=13)
    margin = {"l": 45, "r": 10, "t": 105, "b": 80}
    return styled(figure, title, 845, margin=margin, legend={"orientation": "h", "y": -0.1})


def _grains(panel: Floats, drawn: NDArray[np.intp], steps: list[int]) -> go.Scattergl | go.Scatter:
    """One line for all grains, broken between them; a step in which a grain is missing is a gap that is bridged."""
    x: list[float | None] = []
    y: list[float | None] = []
    text: list[str] = []
    for track, row in zip(drawn.tolist(), panel, strict=True):
        seen = np.flatnonzero(np.isfinite(row)).tolist()
        x += [*(steps[step] for step in seen), None]
        y += [*(round(float(row[step]), 6) for step in seen), None]
        text += [f"track {track + 1}"] * (len(seen) + 1)
    return go.Scatter(
        x=x, y=y, text=text, mode="lines", line={"color": _GRAIN, "width": 1}, name="grains", showlegend=False,
        hovertemplate="%{text}, step %{x}: %{y:.4g}<extra></extra>",
    )  # fmt: skip


def macroscopic(tracks: Tracks) -> go.Figure:
    """The strain of the sample as a whole, from the displacements of its grains."""
    figure = go.Figure()
    total = tracks.deformations
    strain = 0.5 * (total.transpose(0, 2, 1) @ total - np.eye(3))
    steps = list(range(1, len(total) + 1))
    for name, (i, j) in zip(COMPONENTS, INDICES, strict=True):
        figure.add_trace(go.Scatter(x=steps, y=(100 * strain[:, i, j]).tolist(), mode="lines+markers", name=f"E{name}"))
    figure.update_xaxes(title_text="step", dtick=1 if len(steps) < 12 else None, tick0=1)
    title = "Strain of the sample (Green–Lagrange, %)"
    margin = {"l": 45, "r": 10, "t": 75, "b": 80}
    return styled(figure, title, 435, margin=margin, legend={"orientation": "h", "y": -0.2})


def tracks_page(tracks: Tracks) -> str:
    """``Tracks.html``: what became of the grains in every step, and their paths."""
    figures = [macroscopic(tracks)]
    if np.isfinite(tracks.strains).any():
        figures.append(strain_paths(tracks))
    if np.isfinite(tracks.stresses).any():
        figures.append(strain_paths(tracks, "stress"))
    figures.append(motion_paths(tracks))
    whole = int((tracks.grain_ids >= 0).all(axis=1).sum())
    steps = len(tracks.names)
    said = f"<p>{len(tracks)} tracks, of them {whole} through all {steps} steps.</p>"
    body = (
        said
        + '<div class="wide">'
        + _counts(tracks)
        + "</div><h2>Which grains</h2><p>Ids in the list of the step; of lost grains in that of the step before.</p>"
    )
    body += _named(tracks) + drawings(figures)
    style = "body{margin:1em}.wide{overflow-x:auto}td,th{padding:.2em .8em;text-align:left;white-space:nowrap}"
    return document(f"Grains through {steps} steps", style, body)


def _counts(tracks: Tracks) -> str:
    series = tracks.series
    heads = ["step", "list", "grains", "linked", "returned", "new", "undecided", "lost", "rotation (°)",
             "displacement (µm)", "scatter (µm)", "scatter (°)"]  # fmt: skip
    rows = []
    for step, name in enumerate(tracks.names):
        seen = [series.count(step, state) for state in (LINKED, RETURNED, NEW, UNDECIDED)]
        row = [str(step + 1), name, str(int((tracks.grain_ids[:, step] >= 0).sum()))]
        if step == 0:
            rows.append([*row, *["–"] * 9])
            continue
        motion = series.motions[step - 1]
        gone = (tracks.grain_ids[:, step - 1] >= 0) & (series.states[:, step] == LOST)
        numbers = [
            " ".join(f"{value:+.{digits}f}" for value in vector.tolist())
            for vector, digits in ((motion.rotation_vector, 3), (motion.displacement, 1))
        ]
        scatter = [f"{np.sqrt(np.mean(s**2)):.3g}" for s in (motion.sigma_position, motion.sigma_rotation)]
        rows.append([*row, *map(str, [*seen, int(gone.sum())]), *numbers, *scatter])
    return table(heads, rows)


def _named(tracks: Tracks) -> str:
    """Which grains: those of the step before that are lost, and those of the step that return or are new."""
    series, parts = tracks.series, []
    for step in range(1, len(tracks.names)):
        gone = (tracks.grain_ids[:, step - 1] >= 0) & (series.states[:, step] == LOST)
        groups = {"lost": tracks.grain_ids[gone, step - 1]}
        for name, state in (("returned", RETURNED), ("new", NEW), ("undecided", UNDECIDED)):
            groups[name] = tracks.grain_ids[series.states[:, step] == state, step]
        said = "; ".join(f"{name} {_list(ids)}" for name, ids in groups.items() if len(ids))
        parts.append(f"<p><b>Step {step + 1}</b>: {said or 'all grains are those of the step before'}</p>")
    return "".join(parts)


def _list(ids: NDArray[np.int64]) -> str:
    shown = " ".join(map(str, np.sort(ids)[:_NAMED].tolist()))
    return f"({len(ids)}): {shown}{' …' if len(ids) > _NAMED else ''}"
