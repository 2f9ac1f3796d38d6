"""Crystals of a sample: cells, reflections, strain, size and mosaic spread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .rotations import by_vector

Array = NDArray[np.float64]

#: whether (n, 3) Miller indices are present
Condition = Callable[[Array], NDArray[np.bool_]]


def face_centred(hkl: Array) -> NDArray[np.bool_]:
    """All even or all odd."""
    return np.asarray((np.ptp(hkl % 2, axis=1) == 0), np.bool_)


def primitive(hkl: Array) -> NDArray[np.bool_]:
    """No condition."""
    return np.ones(len(hkl), np.bool_)


def axes_of(cell: ArrayLike) -> Array:
    """Cell vectors as columns, in the crystal's frame: the reciprocal a along x, c along z.

    Parameters
    ----------
    cell : (6,), Å and degrees

    Returns
    -------
    (3, 3) float64, Å
    """
    lengths, angles = np.split(np.asarray(cell, np.float64), 2)
    cosine = np.cos(np.radians(angles))
    metric = np.outer(lengths, lengths)
    for (i, j), value in zip(((1, 2), (0, 2), (0, 1)), cosine, strict=True):
        metric[i, j] = metric[j, i] = metric[i, j] * value
    # The reciprocal basis is the upper triangular factor of its metric.
    reciprocal = np.linalg.cholesky(np.linalg.inv(metric)).T
    return np.asarray(np.linalg.inv(reciprocal).T, np.float64)


def reflections_of(cell: ArrayLike, smallest_spacing: float, present: Condition = primitive) -> Array:
    """(n, 3) Miller indices with at least this lattice spacing (Å)."""
    axes = axes_of(cell)
    most = int(np.linalg.norm(axes, axis=0).max() / smallest_spacing) + 1
    grid = np.mgrid[-most : most + 1, -most : most + 1, -most : most + 1].reshape(3, -1).T.astype(np.float64)
    length = np.linalg.norm(grid @ np.linalg.inv(axes), axis=1)
    kept: Array = grid[(length > 0) & (length <= 1 / smallest_spacing) & present(grid)]
    return kept


def lattice_symmetry(cell: ArrayLike, tolerance: float = 1e-3) -> Array:
    """(n, 3, 3) proper symmetry operations of a lattice, acting on the coefficients of its cell vectors.

    They are the matrices of the numbers -1, 0 and 1 that leave the metric alone. That covers the reduced and the
    conventional cells of this folder's tests; a strongly oblique cell would need larger numbers.
    """
    axes = axes_of(cell)
    metric = axes.T @ axes
    every = np.stack(np.meshgrid(*[np.array([-1.0, 0.0, 1.0])] * 9, indexing="ij"), axis=-1).reshape(-1, 3, 3)
    proper = every[np.abs(np.linalg.det(every) - 1) < 0.5]
    error = np.abs(proper.transpose(0, 2, 1) @ metric @ proper - metric).max(axis=(1, 2))
    kept: Array = proper[error < tolerance * metric.max()]
    return kept


@dataclass(frozen=True)
class Crystal:
    """One crystal.

    Parameters
    ----------
    cell : (6,) unstrained, Å and degrees
    orientation : (3, 3), crystal to sample
    position : (3,) in the sample, µm
    strain : (3, 3) symmetric, in the sample's frame; the lattice is stretched by 1 + strain
    strength : of its spots
    size : standard deviation of the positions in it, µm
    mosaic : standard deviation of the rotations in it about each axis, degrees
    """

    cell: tuple[float, ...]
    orientation: Array
    position: Array
    strain: Array = field(default_factory=lambda: np.zeros((3, 3)))
    strength: float = 1.0
    size: float = 0.0
    mosaic: float = 0.0

    def lattice(self) -> Array:
        """(3, 3), cell vectors as columns in the sample's frame, Å."""
        return np.asarray((np.eye(3) + self.strain) @ self.orientation @ axes_of(self.cell), np.float64)

    def scattering_vectors(self, hkl: Array) -> Array:
        """(n, 3) in the sample's frame, 1/Å without 2π."""
        return np.asarray(hkl @ np.linalg.inv(self.lattice()), np.float64)

    def pieces(self, rng: np.random.Generator, count: int) -> list[Crystal]:
        """Point-like perfect crystals that together are this one; their mean position and rotation are its own."""
        if not self.size and not self.mosaic:
            return [self]
        shifts, turns = rng.standard_normal((2, count, 3))
        shifts, turns = (self.size * (shifts - shifts.mean(axis=0)), self.mosaic * (turns - turns.mean(axis=0)))
        return [
            replace(
                self,
                orientation=by_vector(turn) @ self.orientation,
                position=self.position + shift,
                strength=self.strength / count,
                size=0.0,
                mosaic=0.0,
            )
            for shift, turn in zip(shifts, turns, strict=True)
        ]
