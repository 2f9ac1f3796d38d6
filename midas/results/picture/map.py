"""Views of the grains of a layer, coloured by orientation, and the key of the colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from midas.results.colours.keys import ipf_colours, key_of
from midas.results.colours.projection import project, unproject
from midas.results.colours.sectors import sector_of
from midas.runtime.drawing import Axes, Box, font, ticks

if TYPE_CHECKING:
    from midas.results.reading import Results

Array = NDArray[np.float64]

#: the picture is drawn so many times as large and made smaller, so that its edges are smooth
_FINE = 2
#: least radius of a grain, px, and what is left free around the sample
_LEAST, _FREE = 2.5, 1.08
_EDGE = (60, 60, 60)


def draw_view(picture: Image.Image, results: Results, box: Box, title: str, axes: tuple[int, int, int]) -> None:
    """The grains as discs of their radius, the nearest ones on top.

    Parameters
    ----------
    axes : axis of the sample that points to the left, the one that points up, and the one towards the observer
    """
    grains = results.grains
    left, top, right, bottom = box
    place, radius = grains["position"], np.nan_to_num(grains["radius"])
    across, up, near = place[:, axes[0]], place[:, axes[1]], place[:, axes[2]]
    if axes[2] == 0:
        near = -near  # seen from upstream
    middle, reach = _extent(np.column_stack([across, up]), radius, (right - left) / (bottom - top))
    x, y = (middle[0] + reach[0], middle[0] - reach[0]), (middle[1] - reach[1], middle[1] + reach[1])
    fine = Image.new("RGB", (_FINE * (right - left), _FINE * (bottom - top)), "white")
    inner = Axes(ImageDraw.Draw(fine), (0, 0, *fine.size), x, y)
    scale = fine.size[0] / (2 * reach[0])
    colours = ipf_colours(grains["orientation"], results.space_group, (0, 0, 1), results.cell)
    for row in np.argsort(near, kind="stable").tolist():
        h, v = inner.at(float(across[row]), float(up[row]))
        size = max(float(radius[row]) * scale, _LEAST * _FINE)
        red, green, blue = colours[row].tolist()
        inner.draw.ellipse([h - size, v - size, h + size, v + size], (red, green, blue), _EDGE, _FINE // 2)
    picture.paste(fine.resize((right - left, bottom - top), Image.Resampling.BOX), (left, top))
    outer = Axes(ImageDraw.Draw(picture), box, x, y)
    outer.frame(title, ticks(x[1], x[0]), ticks(*y))


def _extent(places: Array, radius: Array, aspect: float) -> tuple[Array, tuple[float, float]]:
    """Middle and half extents of a view that holds all grains, the same scale along both axes."""
    low, high = (places - radius[:, None]).min(axis=0), (places + radius[:, None]).max(axis=0)
    half = max(float(high[1] - low[1]) / 2, float(high[0] - low[0]) / 2 / aspect, 1.0) * _FREE
    return (low + high) / 2, (half * aspect, half)


def draw_key(picture: Image.Image, results: Results, box: Box) -> None:
    """The directions of the crystal along Z of the sample, in their colours, with the names of the corners."""
    key = key_of(results.space_group, results.cell)
    sector = sector_of(key.group)
    outline = project(sector.outline)
    low, high = outline.min(axis=0), outline.max(axis=0)
    left, top, right, bottom = box
    scale = min((right - left) / (high[0] - low[0]), (bottom - top) / (high[1] - low[1]))
    size = tuple(int(_FINE * scale * length) for length in high - low)
    x, y = np.meshgrid(np.linspace(low[0], high[0], size[0]), np.linspace(high[1], low[1], size[1]))
    directions = unproject(np.stack([x.ravel(), y.ravel()], axis=1))
    inside = sector.contains(directions) & (directions[:, 2] >= 0)
    paint = np.full((len(directions), 3), 255, np.uint8)
    # The key of a crystal turns directions into the frame of the sector first; here they are in that frame.
    paint[inside] = np.rint(255 * key.colours(directions[inside] @ key.group.turn))
    image = Image.fromarray(paint.reshape(size[1], size[0], 3))
    image = image.resize((size[0] // _FINE, size[1] // _FINE), Image.Resampling.BOX)
    picture.paste(image, (left, top))
    draw = ImageDraw.Draw(picture)
    draw.text((left, top - 42), f"crystal direction along z ({key.group.name})", "black", font=font(14))
    for vector, name in sector.corners:
        h, v = (project(vector[None])[0] - (low[0], high[1])) * (scale, -scale)
        tall = image.size[1]
        if 0.15 * tall < v < 0.85 * tall:  # beside the rim
            place, anchor = (left + h + 4, top + v), "lm"
        elif v <= 0.15 * tall:
            place, anchor = (left + h, top + v - 3), "mb"
        else:
            place, anchor = (left + h, top + v + 3), "ma"
        draw.text(place, _plain(name), "black", font=font(14), anchor=anchor)


def _plain(name: str) -> str:
    """Without the bars over letters, which the font of the picture does not have."""
    out = ""
    for letter in name:
        out = out[:-1] + "-" + out[-1] if letter == "\N{COMBINING OVERLINE}" else out + letter
    return out
