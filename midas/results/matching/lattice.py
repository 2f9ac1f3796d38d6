"""Lattices of grains, and rotations as vectors (docs/theory/matching.md#orientation-of-a-strained-lattice)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from midas._ext.numerics.elementwise import arctan2, cos
from midas.experiment.crystal import reciprocal_basis
from midas.experiment.orientation import nearest_rotations
from midas.results.grain_list import GrainList

Floats = NDArray[np.float64]


def direct_axes(cells: Floats) -> Floats:
    """(n, 3, 3) cell vectors as columns in the crystal frame."""
    bases = np.array([reciprocal_basis(cell) for cell in cells]).reshape(-1, 3, 3)
    return np.linalg.inv(bases).transpose(0, 2, 1)


def lattice_rotations(grains: GrainList, cell: tuple[float, ...] | None) -> Floats:
    """(n, 3, 3) rotation of each lattice against the unstrained one; of a grain without a cell its orientation."""
    rotations = nearest_rotations(grains.orientations)
    known = np.isfinite(grains.cells).all(axis=1) & (grains.cells[:, :3] > 0).all(axis=1)
    if cell is not None and known.any():
        reference = direct_axes(np.array([cell], np.float64))[0]
        rotations[known] = nearest_rotations(
            rotations[known] @ direct_axes(grains.cells[known]) @ np.linalg.inv(reference)
        )
    return rotations


def rotation_vectors(quaternions: Floats) -> Floats:
    """(n, 3) axis times angle, degrees, of (n, 4) quaternions."""
    q = np.where(quaternions[:, :1] < 0, -quaternions, quaternions)
    sine = np.linalg.norm(q[:, 1:], axis=1)
    angle = np.degrees(2 * arctan2(sine, q[:, 0]))
    vectors: Floats = q[:, 1:] * (angle / np.where(sine > 0, sine, 1.0))[:, None]
    return vectors


def quaternions_of_vectors(vectors: Floats) -> Floats:
    """(n, 4) quaternions of rotation vectors in degrees."""
    half = np.radians(np.linalg.norm(vectors, axis=1)) / 2
    scale = 0.5 * np.radians(np.sinc(half / np.pi))
    return np.column_stack([cos(half), vectors * scale[:, None]])
