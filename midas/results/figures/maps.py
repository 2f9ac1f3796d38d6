"""Where the grains are: in space, and seen along the axes of the sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray
from plotly.subplots import make_subplots

from midas._ext.numerics.elementwise import tan
from midas.results.figures.choices import Choice, colour_choice
from midas.results.figures.style import Floats, empty, points, styled, title_of

if TYPE_CHECKING:
    from midas.results.reading import Results

__all__ = ["grain_map", "grain_views"]

_LABELS = ("X (µm)", "Y (µm)", "Z (µm)")
#: markers of the largest grain in space and in the views, px, for few grains and for very many
_LARGEST, _LEAST, _SMALLEST = 26.0, 7.0, 0.2
#: around the markers, so that pale ones are seen; none around small ones
_LINE, _NO_LINE, _LINED = {"width": 1, "color": "#555"}, {"width": 0}, 400
#: from where the camera looks; its field of view (degrees), the part of it that the box fills, and the shape of the
#: picture in a window of 390 px
_EYE, _FIELD, _ROOM, _SHAPE = np.array([1.1, -1.5, 0.9]), 45.0, 0.8, 0.84


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

    Every grain is a marker at its centre of mass, larger the larger its radius; the rows of `customdata` of
    the only trace begin with its identity, so that a click can be told which grain it met.

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
    position = np.asarray(results.grains["position"], np.float32)
    trace = go.Scatter3d(
        x=position[:, 0], y=position[:, 1], z=position[:, 2],
        mode="markers", name="grains",
        marker={"size": _sizes(results.grains["radius"]), **_look(choice, len(position))},
        **hover_of(results, choice, "xyz"),
    )  # fmt: skip
    ranges = box_of(position, results.grains["radius"])
    thin = 0.5 * float(np.ptp(ranges, axis=1).max())
    scene: dict[str, Any] = {
        f"{axis}axis": {"title": {"text": label}, "range": limits.tolist(), "nticks": 4 if np.ptp(limits) < thin else 7}
        for axis, label, limits in zip("xyz", _LABELS, ranges, strict=True)
    }
    scene |= {"aspectmode": "data", "camera": camera_of(ranges)}
    figure = styled(go.Figure(trace), title, 540, scene=scene)
    figure.update_layout(margin={"l": 0, "r": 0, "t": 75, "b": 65}, uirevision="map")
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
    position = np.asarray(results.grains["position"], np.float32)
    ranges = box_of(position, results.grains["radius"])
    width = (ranges[:, 1] - ranges[:, 0]).clip(1e-9)
    figure = make_subplots(
        rows=2, cols=2, column_widths=[width[0], width[1]], row_heights=[width[1], width[2]],
        horizontal_spacing=0.16, vertical_spacing=0.14,
    )  # fmt: skip
    marker = {"size": _sizes(results.grains["radius"], 0.7), **_look(choice, len(position))}
    if choice.values is not None:
        marker["colorbar"] = {**marker["colorbar"], "x": 0.8, "len": 0.42, "y": 0.75, "yanchor": "middle", "nticks": 3}
    kind = points(len(position))
    for k, (row, column, across, up) in enumerate(((1, 1, 0, 1), (2, 1, 0, 2), (2, 2, 1, 2))):
        shown = marker if k == 0 else {**marker, "showscale": False}
        figure.add_trace(
            kind(
                x=position[:, across], y=position[:, up], mode="markers", marker=shown, showlegend=False,
                **hover_of(results, choice, "xyz"[across] + "xyz"[up]),
            ),
            row=row, col=column,
        )  # fmt: skip
        panel = {"row": row, "col": column}
        figure.update_xaxes(title_text=_LABELS[across], range=ranges[across].tolist(), nticks=5, tickangle=0, **panel)
        figure.update_yaxes(title_text=_LABELS[up] if column == 1 else "", range=ranges[up].tolist(), nticks=5, **panel)
    figure.update_xaxes(visible=False, row=1, col=2)
    figure.update_yaxes(visible=False, row=1, col=2)
    # One scale for all, the panels close to each other.
    for name, side, level in (("", "right", "bottom"), ("3", "right", "top"), ("4", "left", "top")):
        figure.layout[f"xaxis{name}"].update(constrain="domain", constraintoward=side)
        figure.layout[f"yaxis{name}"].update(scaleanchor=f"x{name}", constrain="domain", constraintoward=level)
    return styled(figure, title, 640)


def box_of(position: NDArray[np.floating], radius: Floats) -> Floats:
    """(3, 2) µm, ends of the axes: all grains with their radii, and some space where there is no extent."""
    reach = np.asarray(radius, float)
    largest = float(reach[np.isfinite(reach)].max(initial=0.0))
    margin = max(largest, 0.04 * float(np.ptp(position, axis=0).max()), 5.0)
    ends = np.stack([position.min(axis=0) - margin, position.max(axis=0) + margin], axis=1)
    return np.asarray(ends, np.float64)


def camera_of(ranges: Floats, shape: float = _SHAPE) -> dict[str, Any]:
    """A camera that sees the whole box with the names of its axes, however flat it is.

    Parameters
    ----------
    ranges : (3, 2) ends of the axes
    shape : width of the picture as part of its height; wider ones show more
    """
    width = ranges[:, 1] - ranges[:, 0]
    scaled = width / np.prod(width) ** (1 / 3)  # as the library scales a scene that keeps the ratios of the data
    corners = np.stack(np.meshgrid(*[[-half, half] for half in scaled / 2]), axis=-1).reshape(-1, 3)
    towards = _EYE / np.linalg.norm(_EYE)
    right = np.cross([0.0, 0.0, 1.0], towards)
    right /= np.linalg.norm(right)
    up = np.cross(towards, right)
    half = _ROOM * tan(np.radians(_FIELD / 2))
    # A corner is in the picture when it is less to the side than its distance from the camera allows.
    aside = np.maximum(np.abs(corners @ right) / (half * min(shape, 1.0)), np.abs(corners @ up) / half)
    eye = float((aside + corners @ towards).max()) * towards
    return {"eye": dict(zip("xyz", eye.tolist(), strict=True)), "center": {"x": 0, "y": 0, "z": 0}}


def _look(choice: Choice, n: int) -> dict[str, Any]:
    """Colours of the markers of n grains, and their rims."""
    return {"line": _LINE if n <= _LINED else _NO_LINE, "opacity": 1, **choice.marker()}


def _sizes(radius: Floats, part: float = 1.0) -> NDArray[np.float32]:
    """Diameters of the markers, px: in proportion to the radii, smaller the more grains there are."""
    reach = np.nan_to_num(np.asarray(radius, float), nan=0.0)
    largest = max(_LEAST, _LARGEST * min(1.0, (60 / max(len(reach), 1)) ** (1 / 3)))
    sizes = part * largest * np.clip(reach / max(float(reach.max(initial=0.0)), 1e-30), _SMALLEST, 1)
    return np.asarray(sizes, np.float32)


def hover_of(results: Results, choice: Choice, axes: str) -> dict[str, Any]:
    """What a grain tells of itself when the mouse is over it; `axes` are those of the sample that are drawn.

    Returns
    -------
    ``customdata``, a row for each grain that begins with its identity, and the template that reads it
    """
    grains = results.grains
    columns = [grains["grain_id"], grains["radius"], grains["completeness"]]
    lines = ["grain %{customdata[0]}", *(f"{a.upper()} %{{{b}:.1f}} µm" for a, b in zip(axes, "xyz", strict=False)),
             "radius %{customdata[1]:.1f} µm", "completeness %{customdata[2]:.3f}"]  # fmt: skip
    if choice.values is not None and choice.name not in ("radius", "completeness"):
        columns.append(choice.values)
        lines.append(f"{choice.title} %{{customdata[3]:.4g}} {choice.unit}")
    return {"customdata": np.column_stack(columns), "hovertemplate": "<br>".join(lines) + "<extra></extra>"}
