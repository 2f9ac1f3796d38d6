"""The results of a layer in one picture, drawn with Pillow (docs/theory/evidence.md#the-picture)."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from midas.results.evidence import Predicted
from midas.results.picture.charts import draw_components, draw_histogram, draw_residuals
from midas.results.picture.map import draw_key, draw_view
from midas.results.picture.numbers import headlines
from midas.results.stress.tensors import equivalent_strain
from midas.runtime.drawing import Box, font, png_of
from midas.runtime.files import write_atomic

if TYPE_CHECKING:
    from midas.results.reading import Results

_WIDTH, _HEIGHT = 1600, 1000
_TOP_VIEW: Box = (60, 90, 610, 640)
_SIDE_VIEW: Box = (60, 700, 610, 960)
_KEY: Box = (675, 715, 885, 925)
#: left ends of the columns of charts, their width, and tops and height of the rows
_COLUMNS, _WIDE, _ROWS, _HIGH = (690, 1005, 1320), 250, (90, 385), 220
#: lines of text, how far apart, and letters in a line
_TEXT_AT, _LINE, _LETTERS = (930, 680), 20, 84
_MOST_LINES, _MORE = 15, "... more in the report"
_NUMBER = (0, 0, 0)
#: colours of the verdicts by their level, those of the page
_LEVELS = {"wrong": (179, 38, 30), "look": (160, 90, 0), "note": (61, 90, 128), "fine": (30, 122, 70)}
#: a text, or with the level of the verdict that it is
Line = str | tuple[str, str]


def summary_picture(
    results: Results, lines: Sequence[Line] = (), predicted: Predicted | None = None, title: str = ""
) -> bytes:
    """A PNG of 1600 x 1000 pixels: map with its key, sizes, completeness, strain, residuals, and what they mean.

    The same results give the same bytes.

    Parameters
    ----------
    lines : verdicts in words, below the headline numbers; long ones are wrapped, and what does not fit is left out.
        Beside its text a verdict may have its level ("wrong", "look", "note", "fine"), which gives its colour
    predicted : reflections of the grains, for the residuals; None: there are none in the picture
    title : by default the number of grains and the folder

    Returns
    -------
    the bytes of the file
    """
    picture = Image.new("RGB", (_WIDTH, _HEIGHT), "white")
    draw = ImageDraw.Draw(picture)
    grains = results.grains
    place = "/".join(results.folder.absolute().parts[-2:])
    draw.text((60, 14), title or f"{len(grains)} grains in {place}", "black", font=font(28))
    if len(grains):
        draw_view(picture, results, _TOP_VIEW, "from above: x (beam) up, y to the left (um)", (1, 0, 2))
        draw_view(picture, results, _SIDE_VIEW, "along the beam: z up, y to the left (um)", (1, 2, 0))
        draw_key(picture, results, _KEY)
        _draw_charts(draw, results, predicted)
    else:
        draw.text((60, 90), "No grains were found.", "black", font=font(24))
    _write(draw, headlines(results, predicted), lines)
    return png_of(picture)


def write_picture(results: Results, path: Path, lines: Sequence[Line] = (), predicted: Predicted | None = None) -> Path:
    """Write `summary_picture` of these results into a file, whole or not at all; parameters are its own.

    Returns
    -------
    the file
    """
    write_atomic(path, summary_picture(results, lines, predicted))
    return path


def _draw_charts(draw: ImageDraw.ImageDraw, results: Results, predicted: Predicted | None) -> None:
    grains = results.grains
    boxes: list[Box] = [(x, y, x + _WIDE, y + _HIGH) for y in _ROWS for x in _COLUMNS]
    draw_histogram(draw, boxes[0], "radius (um)", grains["radius"])
    draw_histogram(draw, boxes[1], "completeness", grains["completeness"], upper=1.0)
    draw_histogram(draw, boxes[2], "equivalent strain (1e-6)", equivalent_strain(grains["strain"]))
    draw_components(draw, boxes[3], "strain (1e-6): median, half, 95 %", grains["strain"])
    if predicted is None:
        return
    own = predicted.spots[predicted.spots["counted"]]
    off = {"d_y": "y", "d_z": "z"}
    draw_residuals(draw, boxes[4], "spots observed - predicted (px)", {text: own[n] for n, text in off.items()})
    draw_residuals(draw, boxes[5], "omega observed - predicted (degrees)", {"omega": own["d_omega"]})


def _write(draw: ImageDraw.ImageDraw, numbers: Sequence[str], verdicts: Sequence[Line]) -> None:
    """The lines of text, the numbers first."""
    x, y = _TEXT_AT
    shown = [(line, _NUMBER) for text in numbers for line in textwrap.wrap(text, _LETTERS)]
    wrapped = [
        (line, _LEVELS[level])
        for text, level in ((entry, "note") if isinstance(entry, str) else entry for entry in verdicts)
        for line in textwrap.wrap(text, _LETTERS)
    ]
    room = _MOST_LINES - len(shown)
    if len(wrapped) > room:
        wrapped = [*wrapped[: max(room - 1, 0)], (_MORE, _NUMBER)]
    for number, (line, colour) in enumerate([*shown, *wrapped]):
        draw.text((x, y + number * _LINE), line, colour, font=font(15))
