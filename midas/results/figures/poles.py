"""Pole figures: where directions of the crystals point in the sample, and the other way round."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from midas._ext.numerics.elementwise import cos, sin
from midas.experiment.crystal import reciprocal_basis
from midas.results.colours.keys import key_of
from midas.results.colours.laue import LaueGroup
from midas.results.colours.projection import project, unproject
from midas.results.colours.sectors import Sector, sector_of
from midas.results.figures.choices import DIRECTIONS, orientation_colours, setting_word
from midas.results.figures.density import multiples_of_random
from midas.results.figures.key import sector_on
from midas.results.figures.style import BLUE, GREY, SEQUENTIAL, Floats, empty, points, styled, title_of

if TYPE_CHECKING:
    from midas.results.reading import Results

__all__ = ["inverse_pole_figure", "pole_figure"]

#: what lies to the right and up where an axis of the sample is in the middle
_AROUND = {"z": ("x", "y"), "x": ("y", "z"), "y": ("z", "x")}
#: more points than so many are shown by how dense they are; up to so many each has a colour of its own
_DENSE, _COLOURED = 4000, 1500
#: so many points have the largest size
_FEW = 300
#: pixels along the longer side of a picture of densities
_PIXELS = 160


def pole_figure(
    results: Results,
    hkl: Sequence[int] = (1, 1, 1),
    *,
    centre: str = "z",
    projection: str = "equal-area",
    symmetry: str = "laue",
) -> go.Figure:
    """Directions in the sample along which the normals of a family of planes point, one point for each plane.

    Poles of the lower hemisphere are shown by their opposites. Points have the colour of their grain along the axis in
    the middle. Very many poles are shown by their density, in multiples of that without texture
    (docs/theory/colours.md#density).

    Parameters
    ----------
    results : of a layer
    hkl : Miller indices of the planes
    centre : axis of the sample in the middle: "z" (the rotation axis, X to the right), "x" or "y"
    projection : "equal-area", in which without texture all parts are filled alike, or "stereographic"
    symmetry : "laue" or "lattice", which makes the family

    Raises
    ------
    ValueError : no such plane, axis, projection or symmetry
    """
    if len(hkl) != 3 or not any(hkl):
        raise ValueError(f"hkl must be three indices that are not all zero, not {tuple(hkl)}")
    if centre not in _AROUND:
        raise ValueError(f"centre must be one of {', '.join(_AROUND)}, not {centre!r}")
    title = title_of(results, f"Pole figure {{{' '.join(map(str, hkl))}}}")
    group = key_of(results.space_group, results.cell, symmetry, setting_word(results)).group
    normals = _family(group, reciprocal_basis(results.cell) @ np.asarray(hkl, float))
    if not len(results.grains):
        project(normals[:0], projection)
        return empty(title)
    right, up = _AROUND[centre]
    u = np.asarray(results.grains["orientation"], float)
    poles = _upper_poles(u, normals, (right, up, centre))
    figure = go.Figure()
    if len(poles) > _DENSE:
        figure.add_trace(_density(poles, None, projection, (np.array([-1.0, -1.0]), np.array([1.0, 1.0]))))
    else:
        own = np.array(orientation_colours(results, DIRECTIONS[centre], symmetry))
        colour = np.repeat(own, len(normals)).tolist() if len(poles) <= _COLOURED else BLUE
        ids = np.repeat(results.grains["grain_id"], len(normals))
        figure.add_trace(_points(project(poles, projection), ids, colour))
    _rim(figure, right.upper(), up.upper(), centre.upper())
    axes = f"{centre.upper()} in the middle, {right.upper()} to the right; {projection}"
    return styled(figure, f"{title}<br><sub>{axes}</sub>", 500, margin={"l": 5, "r": 5, "b": 55})


def inverse_pole_figure(
    results: Results,
    direction: str | ArrayLike = "z",
    *,
    projection: str = "equal-area",
    symmetry: str = "laue",
) -> go.Figure:
    """Directions in the crystals that point along a direction of the sample, by their equivalents in the sector.

    Parameters
    ----------
    results : of a layer
    direction : "x", "y", "z", or three numbers, sample frame
    projection : "equal-area", in which without texture all parts are filled alike, or "stereographic"
    symmetry : "laue" or "lattice", which directions are equivalent (docs/theory/colours.md#choice)

    Raises
    ------
    ValueError : no such direction, projection or symmetry
    """
    if isinstance(direction, str) and direction not in DIRECTIONS:
        raise ValueError(f"direction must be one of {', '.join(DIRECTIONS)} or three numbers, not {direction!r}")
    name = direction.upper() if isinstance(direction, str) else " ".join(f"{x:g}" for x in np.asarray(direction, float))
    along = np.asarray(DIRECTIONS[direction] if isinstance(direction, str) else direction, float)
    if along.shape != (3,) or not np.linalg.norm(along) > 0:
        raise ValueError(f"a direction is three numbers that are not all zero, not {direction!r}")
    title = title_of(results, f"Inverse pole figure along {name}")
    group = key_of(results.space_group, results.cell, symmetry, setting_word(results)).group
    sector = sector_of(group)
    figure = go.Figure()
    ends = sector_on(figure, sector, projection)
    if not len(results.grains):
        return empty(title)
    u = np.asarray(results.grains["orientation"], float)
    crystal = np.einsum("nij,i->nj", u, along / np.linalg.norm(along)) @ group.turn.T
    equivalents = np.einsum("kij,nj->nki", group.operations, crystal)
    if len(u) > _DENSE / 2:
        figure.add_trace(_density(equivalents.reshape(-1, 3), sector, projection, ends))
    else:
        inside = (equivalents @ sector.normals.T).min(axis=2)
        folded = equivalents[np.arange(len(u)), np.argmax(inside, axis=1)]
        colours = orientation_colours(results, along, symmetry)
        figure.add_trace(_points(project(folded, projection), results.grains["grain_id"], colours))
    what = f"Laue group {group.name}" if symmetry == "laue" else f"symmetry of the lattice {group.name}"
    return styled(figure, f"{title}<br><sub>{what}; {projection}</sub>", 420, margin={"l": 5, "r": 5, "b": 55})


def _upper_poles(u: Floats, normals: Floats, axes: tuple[str, str, str]) -> Floats:
    """(n m, 3) unit vectors of the upper hemisphere: every normal of every grain, along these axes of the sample."""
    frame = np.array([DIRECTIONS[axis] for axis in axes])
    poles = np.einsum("ij,njk,mk->nmi", frame, u, normals)
    return np.asarray(np.where(poles[..., 2:] < 0, -poles, poles).reshape(-1, 3))


def _family(group: LaueGroup, normal: Floats) -> Floats:
    """(m, 3) unit vectors along the normals of the equivalent planes, one of each opposite pair, crystal frame."""
    operations = group.turn.T @ group.operations @ group.turn
    every = operations @ (normal / np.linalg.norm(normal))
    kept: list[Floats] = []
    for one in every:
        if not any(abs(abs(float(one @ other)) - 1) < 1e-6 for other in kept):
            kept.append(one)
    return np.array(kept)


def _rim(figure: go.Figure, right: str, up: str, centre: str) -> None:
    """The circle, its diameters, and the names of the axes."""
    around = np.linspace(0, 2 * np.pi, 181)
    for x, y, width in (
        (cos(around), sin(around), 1.5),
        (np.array([-1.0, 1.0]), np.zeros(2), 0.5),
        (np.zeros(2), np.array([-1.0, 1.0]), 0.5),
    ):
        figure.add_scatter(
            x=x, y=y, mode="lines", line={"color": "black" if width > 1 else GREY, "width": width}, hoverinfo="skip",
            showlegend=False,
        )  # fmt: skip
    for across, above, text in ((1.1, 0.0, right), (0.0, 1.1, up), (0.06, 0.06, centre)):
        figure.add_annotation(x=across, y=above, text=text, showarrow=False, font={"size": 14, "color": "black"})
    figure.update_xaxes(visible=False, range=[-1.2, 1.2], constrain="domain")
    figure.update_yaxes(visible=False, range=[-1.15, 1.2], scaleanchor="x", constrain="domain")


def _density(poles: Floats, sector: Sector | None, projection: str, ends: tuple[Floats, Floats]) -> go.Heatmap:
    """How dense the poles are within a sector, or on the whole hemisphere."""
    low, high = ends
    number = np.maximum(np.rint(_PIXELS * (high - low) / (high - low).max()), 2).astype(int)
    x, y = (a + (np.arange(n) + 0.5) / n * (b - a) for a, b, n in zip(low, high, number, strict=True))
    directions = unproject(np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2), projection)
    inside = directions[:, 2] >= 0 if sector is None else sector.contains(directions)
    values = np.full(len(directions), np.nan, np.float32)
    values[inside] = multiples_of_random(poles, directions[inside])
    return go.Heatmap(
        x=x, y=y, z=values.reshape(len(y), len(x)), colorscale=SEQUENTIAL, hoverongaps=False, name="density",
        zmin=0, zmax=max(2.0, float(np.nanmax(values))), hovertemplate="%{z:.2f}<extra></extra>",
        colorbar={"title": {"text": "multiples of random", "side": "top"}, "orientation": "h", "thickness": 10,
                  "len": 0.6, "y": 0, "yanchor": "top", "nticks": 5},
    )  # fmt: skip


def _points(places: Floats, ids: Floats, colour: str | list[str]) -> go.Scatter | go.Scattergl:
    """Points on paper, smaller and paler the more there are."""
    n = len(places)
    many = n > 1000
    size = max(3.5, 8 * min(1.0, (_FEW / max(n, 1)) ** 0.4))
    return points(n)(
        x=np.asarray(places[:, 0], np.float32), y=np.asarray(places[:, 1], np.float32), mode="markers",
        customdata=ids, hovertemplate="grain %{customdata}<extra></extra>", showlegend=False, name="grains",
        marker={"color": colour, "size": round(size, 1), "opacity": 0.6 if many else 1,
                "line": {"width": 0 if many else 0.7, "color": "#444"}},
    )  # fmt: skip
