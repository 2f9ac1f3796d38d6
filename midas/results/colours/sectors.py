"""Sectors of the sphere that hold every direction of a crystal once (docs/theory/colours.md#sectors)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas._ext.numerics.elementwise import cos, sin
from midas.results.colours.laue import LaueGroup

Floats = NDArray[np.float64]

_BAR = "\N{COMBINING OVERLINE}"
#: azimuth and name of the directions square to the main axis, by the family of their names
_HEXAGONAL = {
    -30: f"21{_BAR}1{_BAR}0", 0: f"101{_BAR}0", 30: f"112{_BAR}0", 60: f"011{_BAR}0", 90: f"1{_BAR}21{_BAR}0",
    120: f"1{_BAR}100",
}  # fmt: skip
_SQUARE = {0: "100", 45: "110", 90: "010"}
#: azimuths of the ends of a sector with the main axis, degrees
_WEDGES = {
    "-1": (0, 360), "2/m": (0, 180), "mmm": (0, 90), "4/m": (0, 90), "4/mmm": (0, 45), "-3": (0, 120), "6/m": (0, 60),
    "6/mmm": (0, 30),
}  # fmt: skip
_CUBIC = {"m-3m": ((0, 0, 1), (1, 0, 1), (1, 1, 1)), "m-3": ((0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1))}
_STEPS = 61


@dataclass(frozen=True)
class Sector:
    """Part of the upper hemisphere.

    Parameters
    ----------
    outline : (m, 3) unit vectors around it
    normals : (k, 3) of the planes that bound it, inwards
    corners : directions with names of their own: unit vector and text
    """

    outline: Floats
    normals: Floats
    corners: tuple[tuple[Floats, str], ...]

    def contains(self, directions: Floats) -> NDArray[np.bool_]:
        """Which of (n, 3) directions lie in it."""
        return np.asarray((directions @ self.normals.T >= -1e-9).all(axis=1))


def sector_of(group: LaueGroup) -> Sector:
    """The sector of a Laue group, in the frame of its key."""
    if group.name in _CUBIC:
        return _cubic(group.name)
    low, high = _WEDGES.get(group.name, (0, 60))
    if group.name == "2/m" and not group.contains(np.diag([1.0, -1.0, 1.0])) and not group.contains(
        np.diag([1.0, 1.0, -1.0])
    ):  # fmt: skip
        low, high = -90, 90  # the unique axis is along x
    if group.name == "-3m" and not group.contains(np.diag([1.0, -1.0, 1.0])):
        low, high = -30, 30  # the mirrors contain the axes a instead of a*
    rim = _around(np.linspace(low, high, 4 * _STEPS))
    normals = [np.array([0.0, 0.0, 1.0])]
    outline = rim
    if high - low < 360:
        normals += [_around(np.array([low + 90.0]))[0], _around(np.array([high - 90.0]))[0]]
        pole = np.array([[0.0, 0.0, 1.0]])
        outline = np.concatenate([_arc(pole[0], rim[0]), rim, _arc(rim[-1], pole[0])])
    return Sector(outline, np.array(normals), _corners(group, low, high))


def _cubic(name: str) -> Sector:
    corners = [np.array(one, float) / np.linalg.norm(one) for one in _CUBIC[name]]
    following = [*corners[1:], corners[0]]
    texts = ["".join(map(str, one)) for one in _CUBIC[name]]
    outline = np.concatenate([_arc(a, b) for a, b in zip(corners, following, strict=True)])
    normals = np.array([np.cross(a, b) for a, b in zip(corners, following, strict=True)])
    return Sector(outline, normals, tuple(zip(corners, texts, strict=True)))


def _corners(group: LaueGroup, low: int, high: int) -> tuple[tuple[Floats, str], ...]:
    up = np.array([0.0, 0.0, 1.0])
    if group.name in ("-1", "2/m"):
        sides = {-90: "", 0: "a*", 90: _across(group), 180: "", 270: ""}
        found = [(up, "c"), *((_around(np.array([float(at)]))[0], text) for at, text in sides.items())]
        return tuple((v, text) for v, text in found if text)
    names = _HEXAGONAL if group.hexagonal else _SQUARE if group.name != "mmm" else {0: "100", 90: "010"}
    found = [(up, "0001" if group.hexagonal else "001")]
    found += [(_around(np.array([float(at)]))[0], names[at]) for at in names if low <= at <= high]
    return tuple(found)


def _across(group: LaueGroup) -> str:
    """What lies along y, square to a* and c."""
    if group.name == "-1":
        return "c × a*"
    return "b*" if group.contains(np.diag([-1.0, 1.0, 1.0])) else "b"


def _around(degrees: Floats) -> Floats:
    """Unit vectors square to z at these azimuths."""
    angle = np.radians(degrees)
    return np.stack([cos(angle), sin(angle), np.zeros_like(angle)], axis=1)


def _arc(first: Floats, last: Floats) -> Floats:
    """(m, 3) points of the great circle from one direction to another."""
    part = np.linspace(0, 1, _STEPS)[:, None]
    chord = (1 - part) * first + part * last
    arc: Floats = chord / np.linalg.norm(chord, axis=1, keepdims=True)
    return arc
