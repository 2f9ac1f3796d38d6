"""Orientations: matrices, quaternions, Euler angles, symmetry and misorientation.

See docs/theory/grains.md#misorientation.

Quaternions are unit, scalar first. An orientation U maps crystal to sample; its symmetry equivalents are q·S.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from midas._ext.numerics.elementwise import arctan2, cos, hypot, sin
from midas._ext.physics.orientation import misorientations
from midas.experiment.setting import setting_of
from midas.runtime.errors import ParameterError

_H = np.sqrt(0.5)
_S = np.sqrt(0.75)
_Q = 0.5

_TWO_FOLDS_Z = [(0, 1, 0, 0), (0, 0, 1, 0)]
_CUBIC = [
    (1, 0, 0, 0), (_H, _H, 0, 0), (0, 1, 0, 0), (_H, -_H, 0, 0), (_H, 0, _H, 0), (0, 0, 1, 0), (_H, 0, -_H, 0),
    (_H, 0, 0, _H), (0, 0, 0, 1), (_H, 0, 0, -_H), (_Q, _Q, _Q, _Q), (_Q, -_Q, -_Q, -_Q), (_Q, -_Q, _Q, _Q),
    (_Q, _Q, -_Q, -_Q), (_Q, _Q, -_Q, _Q), (_Q, -_Q, _Q, -_Q), (_Q, -_Q, -_Q, _Q), (_Q, _Q, _Q, -_Q), (0, _H, _H, 0),
    (0, -_H, _H, 0), (0, _H, 0, _H), (0, _H, 0, -_H), (0, 0, _H, _H), (0, 0, _H, -_H),
]  # fmt: skip
_HEXAGONAL = [
    (1, 0, 0, 0), (_S, 0, 0, _Q), (_Q, 0, 0, _S), (0, 0, 0, 1), (_Q, 0, 0, -_S), (_S, 0, 0, -_Q), *_TWO_FOLDS_Z[:1],
    (0, _S, _Q, 0), (0, _Q, _S, 0), *_TWO_FOLDS_Z[1:], (0, -_Q, _S, 0), (0, -_S, _Q, 0),
]  # fmt: skip
_TRIGONAL = [(1, 0, 0, 0), (0, _S, -_Q, 0), (_Q, 0, 0, _S), (0, 0, 1, 0), (_Q, 0, 0, -_S), (0, _S, _Q, 0)]
_TETRAGONAL = [
    (1, 0, 0, 0), (_H, 0, 0, _H), (0, 0, 0, 1), (_H, 0, 0, -_H), *_TWO_FOLDS_Z, (0, _H, _H, 0), (0, -_H, _H, 0),
]  # fmt: skip
_ORTHORHOMBIC = [(1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)]
_MONOCLINIC = [(1, 0, 0, 0), (0, 0, 1, 0)]
_TRICLINIC = [(1, 0, 0, 0)]

#: last space group of each crystal system and its proper rotations, in the legacy order
_SYSTEMS = (
    (2, _TRICLINIC),
    (15, _MONOCLINIC),
    (74, _ORTHORHOMBIC),
    (142, _TETRAGONAL),
    (167, _TRIGONAL),
    (194, _HEXAGONAL),
    (230, _CUBIC),
)


def symmetry_operators(
    space_group: int, cell: Sequence[float] | None = None, setting: str = "", *, legacy: bool = False
) -> NDArray[np.float64]:
    """Proper rotations of the lattice, which the positions of spots cannot tell apart.

    See docs/theory/grains.md#symmetry-operators.

    Parameters
    ----------
    space_group : 1 ... 230
    cell : a, b, c (Å), alpha, beta, gamma (degrees), which tells the setting; without one the standard setting
    setting : name of the setting, which overrules the cell
    legacy : the operators of the crystal system along standard axes, with those of -3m for all trigonal groups

    Returns
    -------
    (n, 4) quaternions that form a group, crystal frame

    Raises
    ------
    ParameterError : no such space group or setting of it
    """
    if not 1 <= space_group <= 230:
        raise ParameterError("must be a space group number, 1 ... 230", key="SpaceGroup", value=space_group)
    operators = np.array(next(o for last, o in _SYSTEMS if space_group <= last), dtype=np.float64)
    if legacy:
        return operators
    try:
        found = setting_of(space_group, cell, setting)
    except ValueError as error:
        raise ParameterError(str(error), key="SpaceGroupSetting", value=setting) from None
    if found.lattice == "hexagonal":
        return np.array(_HEXAGONAL, dtype=np.float64)
    if found.unique_axis >= 0:
        return np.eye(4)[[0, 1 + found.unique_axis]]
    if found.rhombohedral_axes:
        if cell is None:
            raise ParameterError(
                "needs the cell, whose angle says how the axes lie", key="SpaceGroupSetting", value=setting
            )
        turn = quaternions_from_matrices(found.to_hexagonal_axes(cell))
        back = turn * [1, -1, -1, -1]
        return quaternion_product(quaternion_product(back, operators), turn)
    return operators


def quaternion_product(p: ArrayLike, r: ArrayLike) -> NDArray[np.float64]:
    """Hamilton product of (..., 4) quaternions."""
    a, b, c, d = np.moveaxis(np.asarray(p, float), -1, 0)
    e, f, g, h = np.moveaxis(np.asarray(r, float), -1, 0)
    return np.stack(
        [
            a * e - b * f - c * g - d * h,
            a * f + b * e + c * h - d * g,
            a * g - b * h + c * e + d * f,
            a * h + b * g - c * f + d * e,
        ],
        axis=-1,
    )


def quaternions_from_matrices(matrices: ArrayLike) -> NDArray[np.float64]:
    """(..., 3, 3) rotation matrices to (..., 4) quaternions with scalar part >= 0."""
    m = np.asarray(matrices, float)
    # The largest of the four squared components is never small, so dividing by it is safe.
    m11, m22, m33 = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    four_q2 = np.stack([1 + m11 + m22 + m33, 1 + m11 - m22 - m33, 1 - m11 + m22 - m33, 1 - m11 - m22 + m33], axis=-1)
    d = [m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]]
    s = [m[..., 1, 0] + m[..., 0, 1], m[..., 0, 2] + m[..., 2, 0], m[..., 2, 1] + m[..., 1, 2]]
    rows = np.stack(
        [
            np.stack([four_q2[..., 0], d[0], d[1], d[2]], axis=-1),
            np.stack([d[0], four_q2[..., 1], s[0], s[1]], axis=-1),
            np.stack([d[1], s[0], four_q2[..., 2], s[2]], axis=-1),
            np.stack([d[2], s[1], s[2], four_q2[..., 3]], axis=-1),
        ],
        axis=-2,
    )
    best = np.argmax(four_q2, axis=-1)
    q = np.take_along_axis(rows, best[..., None, None], axis=-2)[..., 0, :]
    q = np.where(q[..., :1] < 0, -q, q)
    length: NDArray[np.float64] = np.linalg.norm(q, axis=-1, keepdims=True)
    return q / length


def matrices_from_quaternions(quaternions: ArrayLike) -> NDArray[np.float64]:
    """(..., 4) unit quaternions to (..., 3, 3) rotation matrices."""
    w, x, y, z = np.moveaxis(np.asarray(quaternions, float), -1, 0)
    return np.stack(
        [
            np.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], axis=-1),
            np.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], axis=-1),
            np.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], axis=-1),
        ],
        axis=-2,
    )


def nearest_rotations(matrices: ArrayLike) -> NDArray[np.float64]:
    """The rotations closest to (..., 3, 3) matrices that print rounding has made slightly non-orthogonal."""
    u, _, vt = np.linalg.svd(np.asarray(matrices, float))
    sign = np.sign(np.linalg.det(u @ vt))
    u = u.copy()
    u[..., :, 2] *= sign[..., None]
    nearest: NDArray[np.float64] = u @ vt
    return nearest


def misorientation(q1: ArrayLike, q2: ArrayLike, operators: ArrayLike) -> NDArray[np.float64]:
    """Smallest rotation angle (degrees) between orientations modulo symmetry, broadcast over (..., 4)."""
    first, second = np.broadcast_arrays(np.asarray(q1, float), np.asarray(q2, float))
    p, q = (np.ascontiguousarray(one.reshape(-1, 4)) for one in (first, second))
    return misorientations(p, q, np.ascontiguousarray(operators, float)).reshape(first.shape[:-1])


def reduced(quaternions: ArrayLike, operators: ArrayLike) -> NDArray[np.float64]:
    """Of the equivalents q·S of each (..., 4) orientation the one with the largest scalar part, the first of equals."""
    equivalents = quaternion_product(np.asarray(quaternions, float)[..., None, :], operators)
    best = np.argmax(np.abs(equivalents[..., 0]), axis=-1)
    q = np.take_along_axis(equivalents, best[..., None, None], axis=-2)[..., 0, :]
    return np.where(q[..., :1] < 0, -q, q)


def euler_angles(matrices: ArrayLike) -> NDArray[np.float64]:
    """Bunge angles phi1, Phi, phi2 (radians; [0, 2pi), [0, pi], [0, 2pi)) of U = Rz(phi1) Rx(Phi) Rz(phi2)."""
    m = np.asarray(matrices, float)
    sin_phi = hypot(m[..., 0, 2], m[..., 1, 2])
    phi = arctan2(sin_phi, m[..., 2, 2])
    degenerate = sin_phi < 1e-12
    phi1 = np.where(degenerate, 0.0, arctan2(m[..., 0, 2], -m[..., 1, 2]))
    upright = arctan2(np.where(m[..., 2, 2] > 0, m[..., 1, 0], -m[..., 1, 0]), m[..., 0, 0])
    phi2 = np.where(degenerate, upright, arctan2(m[..., 2, 0], m[..., 2, 1]))
    return np.stack([np.mod(phi1, 2 * np.pi), phi, np.mod(phi2, 2 * np.pi)], axis=-1)


def matrices_from_euler(angles: ArrayLike) -> NDArray[np.float64]:
    """U = Rz(phi1) Rx(Phi) Rz(phi2) of (..., 3) Bunge angles in radians."""
    (c1, c, c2), (s1, s, s2) = (np.moveaxis(f(np.asarray(angles, float)), -1, 0) for f in (cos, sin))
    return np.stack(
        [
            np.stack([c1 * c2 - s1 * s2 * c, -c1 * s2 - s1 * c2 * c, s1 * s], axis=-1),
            np.stack([s1 * c2 + c1 * s2 * c, -s1 * s2 + c1 * c2 * c, -c1 * s], axis=-1),
            np.stack([s2 * s, c2 * s, c], axis=-1),
        ],
        axis=-2,
    )


def rotation_range(space_group: int, hkl: ArrayLike, angles: ArrayLike, rhombohedral_axes: bool = False) -> float:
    """Degrees of rotation about a plane normal after which a crystal's spots repeat.

    See docs/theory/indexing.md#rotation-range.

    Classes 23 and m-3 are given the range of m-3m: their reflection lists have its multiplicity, so no spot pattern is
    lost, but of two twin-related orientations with the same spots only one is ever proposed.

    Parameters
    ----------
    hkl : indices of the plane
    angles : alpha, beta, gamma of the cell, degrees
    rhombohedral_axes : of a rhombohedral lattice; the three-fold axis is then along (1 1 1)
    """
    if not 1 <= space_group <= 230:
        raise ParameterError("must be a space group number, 1 ... 230", key="SpaceGroup", value=space_group)
    h, k, index = (abs(int(i)) for i in np.asarray(hkl))
    zeros = (h, k, index).count(0)
    if zeros == 3:
        return 0.0
    if space_group <= 2:
        return 360.0
    if space_group <= 15:
        # A two-fold axis along the only index that is not zero: the other two axes stand square to it.
        square = np.asarray(angles, float) == 90.0
        unique = int(np.flatnonzero([h, k, index])[0])
        return 180.0 if zeros == 2 and all(square[i] for i in range(3) if i != unique) else 360.0
    if space_group <= 74:
        return 180.0 if zeros == 2 else 360.0
    if space_group <= 142:
        if zeros == 2:
            return 180.0 if index == 0 else 90.0
        return 180.0 if index == 0 and h == k else 360.0
    if rhombohedral_axes:
        h, k, index = (int(i) for i in np.asarray(hkl))
        return 120.0 if h == k == index else 360.0
    if space_group <= 194:
        along_c = zeros == 2 and index != 0
        return (120.0 if space_group <= 167 else 60.0) if along_c else 360.0
    if zeros == 2:
        return 90.0
    if zeros == 1:
        return 180.0 if len({h, k, index}) == 2 else 360.0
    return 120.0 if h == k == index else 360.0
