"""Where the grains are: in space, and seen along the axes of the sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike
from plotly.subplots import make_subplots

from midas.results.figures.choices import Choice, colour_choice
from midas.results.figures.style import Floats, empty, points, styled, title_of

if TYPE_CHECKING:
    from midas.results.reading import Results

__all__ = ["grain_map", "grain_views"]

_LABELS = ("X, along the beam (µm)", "Y (µm)", "Z, up the axis (µm)")
#: markers of the largest grain in space and in the views, px, for few grains and for very many
_LARGEST, _LEAST, _SMALLEST = 26.0, 7.0, 0.2
#: from where the camera looks, and how far away it stands in units of half the diagonal of the box
_EYE, _DISTANCE = np.array([1.1, -1.5, 0.9]), 3.1


def grain_map(
    results: Results,
    colour: str = "ipf_z",
    direction: ArrayLike | None = None,
    *,
    stress: ArrayLike | None = None,
    stiffness: ArrayLike | None = None,
    symmetry: str = "laue",
) -> go.Figure:
    """The grains in the sample, in three dimensions, true to scale.

    Every grain is a marker at its centre of mass, larger the larger its radius; `customdata` of the only trace is its
    identity, so that a click can be told which grain it met.

    Parameters
    ----------
    results : of a layer
    colour : name of one of `colour_choices`
    direction : of the sample, whose crystal direction makes the colour, in place of `colour`
    stress : (n, 3, 3) MPa, sample frame
    stiffness : (6, 6) GPa, crystal frame, from which stresses follow
    symmetry : "laue" or "lattice", of the colours of orientations (docs/theory/colours.md#choice)

    Raises
    ------
    ValueError : no such colour or direction
    """
    choice = colour_choice(results, colour, direction, stress, stiffness, symmetry)
    title = f"{title_of(results, 'Grain map')}<br><sub>{choice.label}</sub>"
    if not len(results.grains):
        return empty(title_of(results, "Grain map"))
    position = np.asarray(results.grains["position"], float)
    trace = go.Scatter3d(
        x=position[:, 0], y=position[:, 1], z=position[:, 2],
        mode="markers", name="grains",
        marker={"size": _sizes(results.grains["radius"]), "line": {"width": 0}, **choice.marker()},
        customdata=results.grains["grain_id"],
        text=hover_texts(results, choice), hoverinfo="text",
    )  # fmt: skip
    ranges = box_of(position, results.grains["radius"])
    scene: dict[str, Any] = {
        f"{axis}axis": {"title": {"text": label}, "range": limits.tolist()}
        for axis, label, limits in zip("xyz", ("X (µm)", "Y (µm)", "Z (µm)"), ranges, strict=True)
    }
    scene |= {"aspectmode": "data", "camera": camera_of(ranges)}
    figure = styled(go.Figure(trace), title, 620, scene=scene)
    figure.update_layout(margin={"l": 0, "r": 0, "t": 60, "b": 70}, uirevision="map")
    return figure


def grain_views(
    results: Results,
    colour: str = "ipf_z",
    direction: ArrayLike | None = None,
    *,
    stress: ArrayLike | None = None,
    stiffness: ArrayLike | None = None,
    symmetry: str = "laue",
) -> go.Figure:
    """The grains seen from above, along Y and along the beam, all to the same scale.

    Parameters and errors are those of `grain_map`.
    """
    choice = colour_choice(results, colour, direction, stress, stiffness, symmetry)
    title = f"{title_of(results, 'Orthogonal views')}<br><sub>{choice.label}</sub>"
    if not len(results.grains):
        return empty(title_of(results, "Orthogonal views"))
    position = np.asarray(results.grains["position"], float)
    ranges = box_of(position, results.grains["radius"])
    width = (ranges[:, 1] - ranges[:, 0]).clip(1e-9)
    figure = make_subplots(
        rows=2, cols=2, column_widths=[width[0], width[1]], row_heights=[width[1], width[2]],
        horizontal_spacing=0.16, vertical_spacing=0.14,
        subplot_titles=["from above, along Z", "", "along Y", "against the beam, along X"],
    )  # fmt: skip
    text = hover_texts(results, choice)
    marker = {"size": _sizes(results.grains["radius"], 0.7), "line": {"width": 0}, **choice.marker(), "opacity": 0.85}
    kind = points(len(position))
    for row, column, across, up in ((1, 1, 0, 1), (2, 1, 0, 2), (2, 2, 1, 2)):
        figure.add_trace(
            kind(
                x=position[:, across], y=position[:, up], mode="markers", marker=marker, text=text, hoverinfo="text",
                customdata=results.grains["grain_id"], showlegend=False,
            ),
            row=row, col=column,
        )  # fmt: skip
        figure.update_xaxes(title_text=_LABELS[across], range=ranges[across].tolist(), row=row, col=column)
        figure.update_yaxes(title_text=_LABELS[up].split(",")[0].replace(" (µm)", "") + " (µm)",
                            range=ranges[up].tolist(), row=row, col=column)  # fmt: skip
    figure.update_xaxes(visible=False, row=1, col=2)
    figure.update_yaxes(visible=False, row=1, col=2)
    # One scale for all: each panel keeps its own x and y alike, and they share their ranges.
    for axis, anchor in (("yaxis", "x"), ("yaxis3", "x3"), ("yaxis4", "x4")):
        figure.layout[axis].update(scaleanchor=anchor, constrain="domain")
    for axis in ("xaxis", "xaxis3", "xaxis4"):
        figure.layout[axis].update(constrain="domain")
    styled(figure, title, 640)
    figure.update_layout(margin={"t": 80, "b": 90})
    return figure


def box_of(position: Floats, radius: Floats) -> Floats:
    """(3, 2) µm, ends of the axes: all grains with their radii, and some space where there is no extent."""
    reach = np.asarray(radius, float)
    largest = float(reach[np.isfinite(reach)].max(initial=0.0))
    margin = max(largest, 0.04 * float(np.ptp(position, axis=0).max()), 5.0)
    return np.stack([position.min(axis=0) - margin, position.max(axis=0) + margin], axis=1)


def camera_of(ranges: Floats) -> dict[str, Any]:
    """A camera from which the whole box is seen, however flat it is."""
    width = ranges[:, 1] - ranges[:, 0]
    scaled = width / np.prod(width) ** (1 / 3)  # as the library scales a scene that keeps the ratios of the data
    distance = _DISTANCE * np.linalg.norm(scaled) / 2
    eye = distance * _EYE / np.linalg.norm(_EYE)
    centre = {"x": 0, "y": 0, "z": -0.05 * float(scaled[2])}
    return {"eye": dict(zip("xyz", eye.tolist(), strict=True)), "center": centre}


def _sizes(radius: Floats, part: float = 1.0) -> Floats:
    """Diameters of the markers, px: in proportion to the radii, smaller the more grains there are."""
    reach = np.nan_to_num(np.asarray(radius, float), nan=0.0)
    largest = max(_LEAST, _LARGEST * min(1.0, (60 / max(len(reach), 1)) ** (1 / 3)))
    sizes: Floats = part * largest * np.clip(reach / max(float(reach.max(initial=0.0)), 1e-30), _SMALLEST, 1)
    return sizes


def hover_texts(results: Results, choice: Choice | None = None) -> list[str]:
    """What a grain tells of itself when the mouse is over it."""
    grains = results.grains
    shown = choice is not None and choice.values is not None and choice.name not in ("radius", "completeness")
    extra = [f"<br>{choice.title} {value:.4g} {choice.unit}" for value in choice.values] if shown else []  # type: ignore[union-attr]
    return [
        f"grain {i}<br>({x:.1f}, {y:.1f}, {z:.1f}) µm<br>radius {r:.1f} µm<br>completeness {c:.3f}"
        + (extra[k] if shown else "")
        for k, (i, (x, y, z), r, c) in enumerate(
            zip(grains["grain_id"], grains["position"], grains["radius"], grains["completeness"], strict=True)
        )
    ]
