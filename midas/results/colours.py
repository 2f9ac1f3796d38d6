"""Colours of orientations: the inverse pole figure key."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from midas.experiment.orientation import matrices_from_quaternions, symmetry_operators
from midas.experiment.setting import setting_of

_ROOT2, _ROOT3 = np.sqrt(2.0), np.sqrt(3.0)

#: Last space group of each kind of lattice and the corners of its triangle of directions that are all different, in the
#: crystal frame (a* along x, c along z). They are red, green and blue. The rotations of monoclinic and triclinic
#: crystals leave a part of the sphere that is no triangle.
_TRIANGLES: tuple[tuple[int, tuple[tuple[float, float, float], ...] | None], ...] = (
    (15, None),
    (74, ((0, 0, 1), (1, 0, 0), (0, 1, 0))),
    (142, ((0, 0, 1), (1, 0, 0), (1 / _ROOT2, 1 / _ROOT2, 0))),
    (167, ((0, 0, 1), (1, 0, 0), (0.5, _ROOT3 / 2, 0))),
    (194, ((0, 0, 1), (1, 0, 0), (_ROOT3 / 2, 0.5, 0))),
    (230, ((0, 0, 1), (0, 1 / _ROOT2, 1 / _ROOT2), (1 / _ROOT3, 1 / _ROOT3, 1 / _ROOT3))),
)


def pole_figure_colours(
    orientations: ArrayLike,
    space_group: int,
    direction: ArrayLike = (0, 0, 1),
    cell: Sequence[float] | None = None,
) -> NDArray[np.uint8] | None:
    """Colour of the crystal direction that points along a direction of the sample.

    The direction, or an equivalent of it, is a sum of the corners of the triangle with weights that are not negative;
    the weights, the largest one made 1, are red, green and blue.

    Parameters
    ----------
    orientations : (n, 3, 3), U, crystal to sample
    space_group : 1 ... 230
    direction : (3,), sample frame
    cell : a, b, c (Å), alpha, beta, gamma (degrees), which tells the setting; without one the standard setting

    Returns
    -------
    (n, 3) uint8, or None for a crystal system that has no such triangle
    """
    operators = matrices_from_quaternions(symmetry_operators(space_group))
    setting = setting_of(space_group, cell)
    # Primitive trigonal lattices are hexagonal ones.
    kind = 194 if setting.lattice == "hexagonal" else space_group
    corners = next(corners for last, corners in _TRIANGLES if kind <= last)
    if corners is None:
        return None
    u = np.asarray(orientations, float).reshape(-1, 3, 3)
    crystal = np.einsum("nij,i->nj", u, np.asarray(direction, float))
    if cell is not None and setting.rhombohedral_axes:
        crystal = crystal @ setting.to_hexagonal_axes(cell).T
    equivalents = np.einsum("kij,nj->nki", operators, crystal)
    equivalents = np.concatenate([equivalents, -equivalents], axis=1)  # a direction and its opposite diffract alike
    weights = equivalents @ np.linalg.inv(np.array(corners))
    best = np.argmax(weights.min(axis=2), axis=1)
    inside: NDArray[np.float64] = np.clip(np.take_along_axis(weights, best[:, None, None], axis=1)[:, 0], 0, None)
    colours: NDArray[np.uint8] = np.rint(255 * inside / inside.max(axis=1, keepdims=True)).astype(np.uint8)
    return colours
