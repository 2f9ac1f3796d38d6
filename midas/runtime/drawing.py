"""Pictures without a browser, drawn with Pillow: coordinates, ticks, dots and bars."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Array = NDArray[np.float64]
Colour = tuple[int, int, int]
#: left, top, right, bottom, px
Box = tuple[int, int, int, int]

#: of outlines, ticks and their numbers
AXIS: Colour = (90, 90, 90)
#: colours of what is told apart, in turn
PALETTE: tuple[Colour, ...] = (
    (31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40), (148, 103, 189), (140, 86, 75), (227, 119, 194),
    (127, 127, 127), (188, 189, 34), (23, 190, 207),
)  # fmt: skip


def font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    """The font that comes with Pillow."""
    return ImageFont.load_default(size)


def png_of(picture: Image.Image) -> bytes:
    """The bytes of a PNG file."""
    out = io.BytesIO()
    picture.save(out, "PNG", optimize=False)
    return out.getvalue()


def ticks(low: float, high: float) -> Array:
    """Round numbers between two, about five of them."""
    step = 10.0 ** np.floor(np.log10((high - low) / 4))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (factor * step) <= 6)
    numbers = np.arange(np.ceil(low / step), np.floor(high / step) + 1)
    return np.asarray(np.round(numbers * step, 12), np.float64)


class Axes:
    """A rectangle of a picture with coordinates of its own.

    Parameters
    ----------
    box : the rectangle
    x, y : numbers at its left and right, its bottom and top edge
    """

    def __init__(self, draw: ImageDraw.ImageDraw, box: Box, x: tuple[float, float], y: tuple[float, float]):
        self.draw, self.box = draw, box
        left, top, right, bottom = box
        self._x = (x[0], (right - left) / (x[1] - x[0]), left)
        self._y = (y[0], (top - bottom) / (y[1] - y[0]), bottom)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """The place in the picture."""
        (x0, x_scale, left), (y0, y_scale, bottom) = self._x, self._y
        return left + (x - x0) * x_scale, bottom + (y - y0) * y_scale

    def frame(self, title: str, x_ticks: Array, y_ticks: Array, y_text: Callable[[float], str] = "{:g}".format) -> None:
        """Outline, title above, ticks with numbers."""
        left, top, right, bottom = self.box
        self.draw.rectangle(self.box, outline=AXIS)
        self.draw.text((left, top - 20), title, "black", font=font(14))
        for x in x_ticks.tolist():
            place = self.at(x, 0)[0]
            self.draw.line([(place, bottom), (place, bottom + 4)], fill=AXIS)
            self.draw.text((place, bottom + 5), f"{x:g}", AXIS, font=font(12), anchor="ma")
        for y in y_ticks.tolist():
            place = self.at(0, y)[1]
            self.draw.line([(left - 4, place), (left, place)], fill=AXIS)
            self.draw.text((left - 6, place), y_text(y), AXIS, font=font(12), anchor="rm")

    def dot(self, x: float, y: float, colour: Colour, size: float = 1.5) -> None:
        """A filled circle; `size` is its radius, px."""
        across, down = self.at(x, y)
        self.draw.ellipse([across - size, down - size, across + size, down + size], fill=colour)

    def bar(self, low: float, high: float, value: float, colour: Colour) -> None:
        """A column from 0 up to a value."""
        left, top = self.at(low, value)
        right, bottom = self.at(high, 0.0)
        if bottom > top:
            self.draw.rectangle([left, top, max(right - 1, left), bottom], fill=colour)

    def holds(self, x: float, y: float) -> bool:
        """Whether a place lies inside."""
        across, down = self.at(x, y)
        left, top, right, bottom = self.box
        return left <= across <= right and top <= down <= bottom
