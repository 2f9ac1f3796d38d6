"""Colours of crystal directions: the inverse pole figure key (docs/theory/colours.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from midas._ext.numerics.elementwise import arctan, arctan2, cos, hypot, sin
from midas.results.colours.laue import Floats, LaueGroup, laue_group

__all__ = ["ColourKey", "ipf_colours", "key_of", "rgb_texts"]

_ROOT = np.sqrt
#: corners of the triangle that the reflections of a group leave: red, green, blue (docs/theory/colours.md#triangles)
_TRIANGLES: dict[str, tuple[tuple[float, float, float], ...]] = {
    "mmm": ((0, 0, 1), (1, 0, 0), (0, 1, 0)),
    "4/mmm": ((0, 0, 1), (1, 0, 0), (_ROOT(0.5), _ROOT(0.5), 0)),
    "6/mmm": ((0, 0, 1), (_ROOT(0.75), 0.5, 0), (1, 0, 0)),
    "m-3m": ((0, 0, 1), (_ROOT(0.5), 0, _ROOT(0.5)), (_ROOT(1 / 3), _ROOT(1 / 3), _ROOT(1 / 3))),
}
#: the group of reflections whose triangles a group is painted with
_TRIANGLES_OF = {
    "-1": "mmm", "2/m": "mmm", "mmm": "mmm", "4/m": "4/mmm", "4/mmm": "4/mmm", "-3": "6/mmm", "-3m": "6/mmm",
    "6/m": "6/mmm", "6/mmm": "6/mmm", "m-3": "m-3m", "m-3m": "m-3m",
}  # fmt: skip
#: grey at the middle of the triangles that the group tells apart: the first is white
_GREYS = {1: (1.0,), 2: (1.0, 0.0), 4: (1.0, 0.0, 2 / 3, 1 / 3)}
#: how much lighter or darker the edges become along which a white triangle and a black one do not touch
_LIFT = 0.3
#: points of an edge by which its hues are tabulated, and directions that are coloured at once
_POINTS, _CHUNK = 721, 20_000


@dataclass(frozen=True)
class ColourKey:
    """The colours of the directions of a crystal.

    Parameters
    ----------
    group : of equivalent directions
    """

    group: LaueGroup

    @cached_property
    def corners(self) -> Floats:
        """(3, 3) float64, rows: the directions of the triangle that are red, green and blue."""
        return np.array(_TRIANGLES[_TRIANGLES_OF[self.group.name]])

    @cached_property
    def _reflections(self) -> Floats:
        """(3, 3, 3) reflections in the planes of the edges, each opposite to a corner."""
        normals = np.linalg.inv(self.corners).T
        normals = normals / np.linalg.norm(normals, axis=1, keepdims=True)
        mirrors: Floats = np.eye(3) - 2 * normals[:, :, None] * normals[:, None, :]
        return mirrors

    @cached_property
    def _triangles(self) -> tuple[Floats, NDArray[np.intp]]:
        """Operations from every triangle of the sphere to the first one, and the kind of each triangle."""
        operations = [np.eye(3)]
        for one in operations:  # grows as it goes
            for mirror in self._reflections:
                product = one @ mirror
                if not any(np.allclose(product, known, atol=1e-9) for known in operations):
                    operations.append(product)
        kinds: list[Floats] = []
        kind = np.empty(len(operations), np.intp)
        for i, operation in enumerate(operations):
            same = [k for k, first in enumerate(kinds) if self.group.contains(operation @ first.T)]
            if not same:
                kinds.append(operation)
            kind[i] = same[0] if same else len(kinds) - 1
        return np.array(operations).transpose(0, 2, 1), kind

    @cached_property
    def _lifts(self) -> Floats:
        """(3,) by how much the edge opposite to each corner is lifted off the pure hues."""
        if self._triangles[1].max() == 0:
            return np.zeros(3)
        return np.array([_LIFT * self.group.contains(mirror) for mirror in self._reflections])

    @cached_property
    def _wheel(self) -> _Wheel:
        return _Wheel.of(self.corners)

    def colours(self, directions: ArrayLike) -> Floats:
        """Red, green and blue of directions.

        Parameters
        ----------
        directions : (n, 3) of any length but 0, crystal frame (a* along x, c along z)

        Returns
        -------
        (n, 3) float64, 0 ... 1
        """
        vectors = np.asarray(directions, float).reshape(-1, 3)
        out = np.empty(vectors.shape)
        for start in range(0, len(vectors), _CHUNK):
            out[start : start + _CHUNK] = self._of(vectors[start : start + _CHUNK] @ self.group.turn.T)
        return out

    def _of(self, vectors: Floats) -> Floats:
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        operations, kinds = self._triangles
        weights = vectors @ (np.linalg.inv(self.corners).T @ operations).transpose(2, 0, 1).reshape(3, -1)
        weights = weights.reshape(len(vectors), -1, 3)
        # Over three numbers each this is five times faster than a minimum along the axis.
        best = np.argmax(np.minimum(np.minimum(weights[..., 0], weights[..., 1]), weights[..., 2]), axis=1)
        inside = np.clip(weights[np.arange(len(vectors)), best], 0, None)
        hue, grey = self._wheel(np.einsum("nij,nj->ni", operations[best], vectors))
        share = inside / inside.sum(axis=1, keepdims=True)
        lift = sum(4 * self._lifts[k] * share[:, k - 2] * share[:, k - 1] for k in range(3))
        grey = (grey + (1 - grey) * lift)[:, None]
        levels = np.array(_GREYS[int(kinds.max()) + 1])[kinds[best]]
        colours: Floats = (1 - grey) * pure_hues(hue) + grey * levels[:, None]
        return colours


@dataclass(frozen=True)
class _Wheel:
    """Hue and grey within a triangle (docs/theory/colours.md#hue).

    Parameters
    ----------
    middle, first, second : (3,) the middle of the triangle, and two directions across it, the first to the red corner
    angles, hues : (m,) the angles about the middle, from 0 to 2 pi, and the hues there, from 0 to 1
    normals : (3, 3) of the edges, rows, inwards
    """

    middle: Floats
    first: Floats
    second: Floats
    angles: Floats
    hues: Floats
    normals: Floats

    @classmethod
    def of(cls, corners: Floats) -> _Wheel:
        middle = corners.sum(axis=0)
        middle = middle / np.linalg.norm(middle)
        first = corners[0] - (corners[0] @ middle) * middle
        first = first / np.linalg.norm(first)
        second = np.cross(middle, first) * np.sign(np.linalg.det(corners))
        normals = np.linalg.inv(corners).T
        normals = normals / np.linalg.norm(normals, axis=1, keepdims=True)
        at = [np.mod(arctan2(c @ second, c @ first), 2 * np.pi) for c in corners[1:]]
        angles, hues = [np.zeros(1)], [np.zeros(1)]
        for k, (low, high) in enumerate(((0.0, at[0]), (at[0], at[1]), (at[1], 2 * np.pi))):
            around = np.linspace(low, high, _POINTS)
            reach = _reach(middle, first, second, around, normals)
            area = np.concatenate([[0.0], np.cumsum((reach[1:] + reach[:-1]) / 2)])
            angles.append(around[1:])
            hues.append((k + area[1:] / area[-1]) / 3)
        return cls(middle, first, second, np.concatenate(angles), np.concatenate(hues), normals)

    def __call__(self, directions: Floats) -> tuple[Floats, Floats]:
        """Hue (0 ... 1) and part of grey (1 in the middle, 0 on edges) of (n, 3) unit vectors in the triangle."""
        along, across, up = directions @ self.first, directions @ self.second, directions @ self.middle
        around = np.mod(arctan2(across, along), 2 * np.pi)
        reach = _reach(self.middle, self.first, self.second, around, self.normals)
        distance = arctan2(hypot(along, across), up)
        return np.interp(around, self.angles, self.hues), np.clip(1 - distance / reach, 0, 1)


def _reach(middle: Floats, first: Floats, second: Floats, around: Floats, normals: Floats) -> Floats:
    """(n,) angle from the middle to the edge of the triangle, in directions at these angles about it."""
    across = cos(around)[:, None] * first + sin(around)[:, None] * second
    outwards = -(across @ normals.T)
    with np.errstate(divide="ignore"):
        edges = np.where(outwards > 0, arctan((normals @ middle) / np.maximum(outwards, 1e-300)), np.pi / 2)
    reach: Floats = edges.min(axis=1)
    return reach


def pure_hues(hue: Floats) -> Floats:
    """(n, 3) red, green, blue of (n,) hues: red at 0, green at 1/3, blue at 2/3."""
    distance = np.abs(np.mod(hue[:, None] - np.array([0, 1 / 3, 2 / 3]) + 0.5, 1) - 0.5)
    return np.asarray(np.clip(2 - 6 * distance, 0, 1), np.float64)


@lru_cache(maxsize=32)
def _key(space_group: int, cell: tuple[float, ...] | None, symmetry: str, setting: str) -> ColourKey:
    return ColourKey(laue_group(space_group, cell, symmetry, setting))


def key_of(
    space_group: int, cell: Sequence[float] | None = None, symmetry: str = "laue", setting: str = ""
) -> ColourKey:
    """The key of a crystal; parameters and errors are those of `laue_group`."""
    return _key(space_group, None if cell is None else tuple(map(float, cell)), symmetry, setting)


def ipf_colours(
    orientations: ArrayLike,
    space_group: int,
    direction: ArrayLike = (0, 0, 1),
    cell: Sequence[float] | None = None,
    symmetry: str = "laue",
    setting: str = "",
) -> NDArray[np.uint8]:
    """Colour of the crystal direction that points along a direction of the sample.

    Parameters
    ----------
    orientations : (n, 3, 3), U, crystal to sample
    space_group : 1 ... 230
    direction : (3,), sample frame
    cell : a, b, c (Å), alpha, beta, gamma (degrees), which tells the setting; without one the standard setting
    symmetry : "laue" or "lattice", which directions are equivalent (docs/theory/colours.md#choice)
    setting : name of the setting, which overrules the cell

    Returns
    -------
    (n, 3) uint8
    """
    u = np.asarray(orientations, float).reshape(-1, 3, 3)
    crystal = np.einsum("nij,i->nj", u, np.asarray(direction, float))
    colours = key_of(space_group, cell, symmetry, setting).colours(crystal)
    return np.asarray(np.rint(255 * colours), np.uint8)


def rgb_texts(colours: NDArray[np.uint8]) -> list[str]:
    """``#rrggbb`` of every row."""
    return [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in colours.tolist()]
