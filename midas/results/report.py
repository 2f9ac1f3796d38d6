"""One page about the grains of a layer that opens in any browser, without a network."""

from __future__ import annotations

import html
import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from midas.formats.grains import SPOT_MATRIX, read_crystal, read_grains
from midas.formats.layer import Layer
from midas.formats.resolved import GRAIN_QUALITY
from midas.formats.table import Table
from midas.results.colours import pole_figure_colours
from midas.runtime.files import readable, write_atomic
from midas.runtime.pages import document, drawings

log = logging.getLogger(__name__)

#: titles and columns of ``Grains.csv`` of the histograms
_HISTOGRAMS = (
    ("Completeness", "Confidence"),
    ("Grain radius (µm)", "GrainRadius"),
    ("Mean position error (µm)", "DiffPos"),
    ("Mean omega error (°)", "DiffOme"),
    ("Mean internal angle (°)", "DiffAngle"),
    ("RMS of the strain fit (10⁻⁶)", "RMSErrorStrain"),
)
_STRAINS = ("eKen11", "eKen22", "eKen33", "eKen12", "eKen13", "eKen23")
_AXES = {"X (beam)": (1, 0, 0), "Y": (0, 1, 0), "Z (rotation axis)": (0, 0, 1)}
#: size of the marker of the largest grain, px
_LARGEST = 28.0


def write(layer: Layer) -> Path:
    """Write `layer.report` into the layer folder, from its ``Grains.csv`` and ``SpotMatrix.csv``.

    Returns
    -------
    the file
    """
    grains = read_grains(layer.grains, through="Eul2")
    space_group, cell = read_crystal(layer.grains)
    spots = SPOT_MATRIX.read(layer.spot_matrix) if layer.spot_matrix.exists() else None
    quality = GRAIN_QUALITY.read(layer.grain_quality) if layer.grain_quality.exists() else None
    path = layer.report
    figures = [_map(grains, space_group, cell), _histograms(grains), _strains(grains)] if len(grains) else []
    if spots is not None and len(spots):
        figures.append(_spots(spots))
    title = f"{len(grains)} grains in {layer.folder.absolute()}"
    facts = {
        "Grains": len(grains),
        "Spots": "–" if spots is None else len(spots),
        "Space group": space_group,
        "Reference cell (Å, °)": " ".join(f"{x:g}" for x in cell),
        "Median completeness": _median(grains, "Confidence"),
        **_sharp(quality),
        "Median position error (µm)": _median(grains, "DiffPos"),
        "Median internal angle (°)": _median(grains, "DiffAngle"),
    }
    write_atomic(path, readable(_page(title, facts, drawings(figures))).encode())
    log.info("Report: %s", path)
    return path


def _sharp(quality: Table | None) -> dict[str, str]:
    """What ownership says of the grains, where spots have owners."""
    if quality is None:
        return {}
    return {
        "Median sharp completeness": _median(quality, "SharpCompleteness"),
        "Median part of the reflections owned alone": _median(quality, "UniqueCompleteness"),
        "Least significance": f"{quality['Significance'].min():.4g}" if len(quality) else "–",
    }


def _median(grains: Table, column: str) -> str:
    return f"{np.median(grains[column]):.4g}" if len(grains) else "–"


def _page(title: str, facts: Mapping[str, object], figures: str) -> str:
    rows = "".join(f"<tr><th>{html.escape(k)}</th><td>{html.escape(str(v))}</td></tr>" for k, v in facts.items())
    return document(title, "th{text-align:left;padding-right:2em}", f"<table>{rows}</table>\n{figures}")


def _matrices(grains: Table) -> NDArray[np.float64]:
    names = [f"O{i}{j}" for i in (1, 2, 3) for j in (1, 2, 3)]
    return np.stack([grains[name] for name in names], axis=1).reshape(-1, 3, 3)


def _von_mises(grains: Table) -> NDArray[np.float64]:
    """Equivalent strain: sqrt(2/3 e':e') of the deviatoric tensor."""
    e = np.stack([grains[f"eKen{i}{j}"] for i in (1, 2, 3) for j in (1, 2, 3)], axis=1).reshape(-1, 3, 3)
    deviatoric = e - np.trace(e, axis1=1, axis2=2)[:, None, None] / 3 * np.eye(3)
    equivalent: NDArray[np.float64] = np.sqrt(2 / 3 * (deviatoric**2).sum(axis=(1, 2)))
    return equivalent


def _map(grains: Table, space_group: int, cell: tuple[float, ...]) -> go.Figure:
    """The grains in the sample, their colour to be chosen."""
    matrices = _matrices(grains)
    choices: dict[str, dict[str, object]] = {}
    for name, axis in _AXES.items():
        colours = pole_figure_colours(matrices, space_group, axis, cell)
        if colours is not None:
            text = [f"rgb({r},{g},{b})" for r, g, b in colours.tolist()]
            choices[f"Orientation along {name}"] = {"color": text, "showscale": False}
    numbers = {
        "Completeness": grains["Confidence"],
        "Grain radius (µm)": grains["GrainRadius"],
        "Position error (µm)": grains["DiffPos"],
        "Internal angle (°)": grains["DiffAngle"],
        "Equivalent strain (10⁻⁶)": _von_mises(grains),
        "Volume strain (10⁻⁶)": grains["eKen11"] + grains["eKen22"] + grains["eKen33"],
    }
    for name, values in numbers.items():
        choices[name] = {"color": values.tolist(), "showscale": True, "colorscale": "Viridis"}
    sizes = _LARGEST * np.clip(grains["GrainRadius"] / max(grains["GrainRadius"].max(), 1e-30), 0.15, 1)
    hover = [
        f"grain {i:.0f}<br>({x:.1f}, {y:.1f}, {z:.1f}) µm<br>radius {r:.1f} µm<br>completeness {c:.3f}"
        for i, x, y, z, r, c in zip(
            *(grains[n] for n in ("GrainID", "X", "Y", "Z", "GrainRadius", "Confidence")), strict=True
        )
    ]
    first = next(iter(choices.values()))
    marker = {"size": sizes.tolist(), "line": {"width": 0}, **first}
    figure = go.Figure(
        go.Scatter3d(
            x=grains["X"].tolist(),
            y=grains["Y"].tolist(),
            z=grains["Z"].tolist(),
            mode="markers",
            marker=marker,
            text=hover,
            hoverinfo="text",
        )  # fmt: skip
    )
    buttons = [
        {"label": name, "method": "restyle", "args": [{f"marker.{key}": [value] for key, value in choice.items()}]}
        for name, choice in choices.items()
    ]
    figure.update_layout(
        title="Grains",
        height=750,
        updatemenus=[{"buttons": buttons, "x": 0.0, "xanchor": "left", "y": 1.08}],
        scene={"xaxis_title": "X (µm)", "yaxis_title": "Y (µm)", "zaxis_title": "Z (µm)", "aspectmode": "data"},
    )
    return figure


def _histograms(grains: Table) -> go.Figure:
    figure = make_subplots(rows=2, cols=3, subplot_titles=[title for title, _ in _HISTOGRAMS])
    for k, (title, column) in enumerate(_HISTOGRAMS):
        trace = go.Histogram(x=grains[column].tolist(), name=title, nbinsx=40)
        figure.add_trace(trace, row=k // 3 + 1, col=k % 3 + 1)
    figure.update_layout(title="Quality", height=650, showlegend=False)
    figure.update_yaxes(title_text="grains", col=1)
    return figure


def _strains(grains: Table) -> go.Figure:
    figure = go.Figure([go.Histogram(x=grains[n].tolist(), name=n[4:], opacity=0.6, nbinsx=60) for n in _STRAINS])
    figure.update_layout(
        title="Strain (sample frame, from the spots)",
        height=450,
        barmode="overlay",
        xaxis_title="component (10⁻⁶)",
        yaxis_title="grains",
    )
    return figure


def _spots(spots: Table) -> go.Figure:
    """Distribution of what the strain tensors leave of the spots, ring by ring."""
    rings = spots.integers("RingNr")
    numbers = np.unique(rings).tolist()
    marks = [np.percentile(1e6 * spots["StrainError"][rings == ring], [2.5, 25, 50, 75, 97.5]) for ring in numbers]
    low, first, median, third, high = np.array(marks).T.tolist()
    names = [f"ring {ring}" for ring in numbers]
    boxes = go.Box(x=names, lowerfence=low, q1=first, median=median, q3=third, upperfence=high)
    figure = go.Figure(boxes)
    figure.update_layout(
        title="Spots: strain that the tensor of the grain leaves (median, quartiles, 95 %)",
        height=450,
        yaxis_title="10⁻⁶",
        showlegend=False,
    )
    return figure
