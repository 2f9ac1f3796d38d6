"""The frames that other programs attach to a crystal, and the way from one to another (docs/exports.md#crystal-frames).

An orientation matrix maps a crystal frame to the sample, so that it means nothing without that frame. Ours has a* along
x and c along z, with b* in the plane of x and y: the triangular B of Busing and Levy, which ImageD11 and Oxford
Instruments use as well. HEXRD, EDAX, DREAM.3D, Neper, DAMASK and orix have a along x and c* along z. The two are the
same for cubic, tetragonal and orthorhombic cells; hexagonal ones differ by 30 degrees about c.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from midas.experiment.crystal import cell_of, reciprocal_basis
from midas.experiment.orientation import nearest_rotations

Floats = NDArray[np.float64]

#: which two axes lie along x and z
Frame = Literal["a* c", "a c*"]


def cell_vectors(cell: ArrayLike) -> Floats:
    """(..., 3, 3) a, b, c (Å) in columns, in our crystal frame, of (..., 6) cells (Å and degrees)."""
    cells = np.asarray(cell, np.float64)
    bases = np.array([reciprocal_basis(one) for one in cells.reshape(-1, 6)]).reshape(*cells.shape[:-1], 3, 3)
    vectors: Floats = np.linalg.inv(bases).swapaxes(-1, -2)
    return vectors


def frame_change(cell: Sequence[float] | Floats, frame: Frame) -> Floats:
    """The rotation that takes components in our crystal frame to those in another one.

    Parameters
    ----------
    cell : a, b, c (Å), alpha, beta, gamma (degrees)
    frame : the other one

    Returns
    -------
    (3, 3), whose rows are the axes of the other frame in ours

    Examples
    --------
    >>> turn = frame_change((3, 3, 5, 90, 90, 120), "a c*")
    >>> print(np.degrees(np.arctan2(turn[1, 0], turn[0, 0])).round(6))
    30.0
    """
    if frame == "a* c":
        return np.eye(3)
    vectors = cell_vectors(cell)
    x = vectors[:, 0] / np.linalg.norm(vectors[:, 0])
    z = np.cross(vectors[:, 0], vectors[:, 1])
    z /= np.linalg.norm(z)
    return np.array([x, np.cross(z, x), z])


def to_frame(orientations: Floats, cell: Sequence[float] | Floats, frame: Frame) -> Floats:
    """(..., 3, 3) our orientations as matrices from another crystal frame to the sample."""
    turned: Floats = orientations @ frame_change(cell, frame).T
    return turned


def from_frame(orientations: Floats, cell: Sequence[float] | Floats, frame: Frame) -> Floats:
    """Inverse of `to_frame`."""
    turned: Floats = orientations @ frame_change(cell, frame)
    return turned


def lattice_vectors(orientations: Floats, cells: Floats) -> Floats:
    """(n, 3, 3) a, b, c (Å) in columns, in the sample frame.

    Orientations count as the rotations next to them: printed digits, which are no rotation to the last one, would
    strain the lattice.
    """
    vectors: Floats = nearest_rotations(orientations) @ cell_vectors(cells)
    return vectors


def orientations_and_cells(vectors: Floats) -> tuple[Floats, Floats]:
    """Inverse of `lattice_vectors`: (n, 3, 3) orientations and (n, 6) cells (Å and degrees).

    The vectors must be right-handed and lie in no plane.
    """
    cells = cell_of(np.einsum("nki,nkj->nij", vectors, vectors))
    return vectors @ np.linalg.inv(cell_vectors(cells)), cells
