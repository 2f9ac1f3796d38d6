"""The colours of orientations, with the directions to which they belong."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from PIL import Image

from midas._ext.numerics.elementwise import hypot
from midas.results.colours.keys import ColourKey, key_of
from midas.results.colours.projection import project, unproject
from midas.results.colours.sectors import Sector, sector_of
from midas.results.figures.style import styled

__all__ = ["ipf_key"]

Floats = NDArray[np.float64]

#: pixels along the longer side of the picture of the key
_PIXELS = 320


def ipf_key(
    space_group: int,
    cell: Sequence[float] | None = None,
    symmetry: str = "laue",
    projection: str = "stereographic",
    setting: str = "",
) -> go.Figure:
    """The colours of the directions of a crystal, and which direction has which.

    Parameters
    ----------
    space_group : 1 ... 230
    cell : a, b, c (Å), alpha, beta, gamma (degrees), which tells the setting; without one the standard setting
    symmetry : "laue" or "lattice" (docs/theory/colours.md#choice)
    projection : "stereographic" or "equal-area"
    setting : name of the setting, which overrules the cell

    Raises
    ------
    ValueError : no such space group, setting, symmetry or projection
    """
    key = key_of(space_group, cell, symmetry, setting)
    sector = sector_of(key.group)
    figure = go.Figure()
    low, high = sector_on(figure, sector, projection)
    figure.add_layout_image(
        source=_picture(key, sector, projection, low, high), xref="x", yref="y", x=low[0], y=high[1],
        sizex=high[0] - low[0], sizey=high[1] - low[1], sizing="stretch", layer="below",
    )  # fmt: skip
    axes = "; hexagonal axes" if key.group.hexagonal else ""
    what = "Laue group" if symmetry == "laue" else "symmetry of the lattice"
    lattice = key_of(space_group, cell, "lattice", setting).group.name
    note = "" if lattice == key.group.name else f"<br>spots know orientations up to the lattice only: {lattice}"
    text = f"{what} {key.group.name}{axes}; {projection}{note}"
    margin = {"l": 5, "r": 5, "t": 105, "b": 5}
    return styled(figure, f"Colours of directions<br><sub>{text}</sub>", 410, margin=margin)


def sector_on(figure: go.Figure, sector: Sector, projection: str) -> tuple[Floats, Floats]:
    """Draw the outline and the names of the corners; the ends of what it covers, (2,) lowest and (2,) highest."""
    line = project(np.concatenate([sector.outline, sector.outline[:1]]), projection)
    figure.add_scatter(
        x=line[:, 0], y=line[:, 1], mode="lines", line={"color": "black", "width": 1.5}, hoverinfo="skip",
        showlegend=False, name="outline",
    )  # fmt: skip
    low, high = line.min(axis=0), line.max(axis=0)
    middle = line.mean(axis=0)
    for direction, text in sector.corners:
        x, y = project(direction[None], projection)[0]
        inside = len(sector.normals) == 1 and direction[2] > 0.5  # the pole of a whole hemisphere
        dx, dy = (0, 14) if inside else _outwards(x - middle[0], y - middle[1])
        figure.add_annotation(
            x=x, y=y, text=text, showarrow=False, xshift=dx, yshift=dy, font={"size": 14, "color": "black"},
        )  # fmt: skip
    room = 0.12 * float((high - low).max()) + 0.02
    figure.update_xaxes(visible=False, range=[low[0] - 2 * room, high[0] + 2 * room], constrain="domain")
    figure.update_yaxes(visible=False, range=[low[1] - room, high[1] + room], scaleanchor="x", constrain="domain")
    return low, high


def _outwards(x: float, y: float) -> tuple[float, float]:
    """Pixels by which a name stands beside its corner."""
    length = float(hypot(x, y)) or 1.0
    return 20 * x / length, 13 * y / length


def _picture(key: ColourKey, sector: Sector, projection: str, low: Floats, high: Floats) -> str:
    """The sector in its colours on a transparent ground, as an address that holds its own data."""
    size = high - low
    pixels = np.maximum(np.rint(_PIXELS * size / size.max()), 2).astype(int)
    x = low[0] + (np.arange(pixels[0]) + 0.5) / pixels[0] * size[0]
    y = high[1] - (np.arange(pixels[1]) + 0.5) / pixels[1] * size[1]
    directions = unproject(np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2), projection)
    inside = sector.contains(directions)
    picture = np.zeros((len(directions), 4), np.uint8)
    # `directions` are in the frame of the key, the colours ask for those of the crystal.
    picture[inside, :3] = np.rint(255 * key.colours(directions[inside] @ key.group.turn))
    picture[inside, 3] = 255
    buffer = io.BytesIO()
    Image.fromarray(picture.reshape(pixels[1], pixels[0], 4), "RGBA").save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
