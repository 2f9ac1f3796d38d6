"""Elastic constants of a crystal: which there are, what they make the others be, and what contradicts the symmetry.

No pattern of a Laue class stands here: the matrices that its rotations leave alone are computed, so that every setting
and every frame has its own (docs/theory/stress.md#symmetry).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from midas.results.stress.frames import Frame
from midas.results.stress.tensors import FACTORS, rotations
from midas.runtime.errors import ParameterError

Array = NDArray[np.float64]

#: the 21 constants of a triclinic crystal, the usual ones of higher symmetry first
NAMES = (
    *("C11", "C12", "C13", "C33", "C44", "C66", "C22", "C23", "C55", "C14", "C15", "C16"),
    *("C24", "C25", "C26", "C34", "C35", "C36", "C45", "C46", "C56"),
)
#: by how much a constant may miss its symmetry, as a part of the largest: what rounding does in published tables
TOLERANCE = 5e-3
#: between these the largest constant of every crystal lies, GPa (diamond: 1079; caesium, the softest metal: 2.5)
LEAST, MOST = 1.0, 1e4


def place(name: str) -> tuple[int, int] | None:
    """Row and column (from 0) of a constant in Voigt's matrix, in either order (C12, c21); None if there is none."""
    digits = name[1:]
    if name[:1] in ("C", "c") and len(digits) == 2 and all(d in "123456" for d in digits):
        i, k = sorted(int(d) - 1 for d in digits)
        return i, k
    return None


def invariant(frame: Frame) -> Array:
    """(p, 6, 6) basis of the Voigt matrices with the symmetry of a crystal, in the frame of its constants.

    p is the number of independent constants: 3 of a cubic crystal, 21 of a triclinic one.
    """
    to_constants = frame.to_crystal.T @ frame.rotations @ frame.to_crystal
    turned = rotations(to_constants)
    unit = np.zeros((len(NAMES), 6, 6))
    for matrix, (i, k) in zip(unit, _PLACES, strict=True):
        matrix[i, k] = matrix[k, i] = 1.0
    scaled = unit * np.outer(FACTORS, FACTORS)
    averaged = np.mean(turned[:, None] @ scaled @ np.swapaxes(turned, 1, 2)[:, None], axis=0)
    averaged /= np.outer(FACTORS, FACTORS)
    of_names = averaged[:, [i for i, _ in _PLACES], [k for _, k in _PLACES]]
    _, values, vectors = np.linalg.svd(of_names)
    basis = vectors[values > 1e-9]
    matrices: Array = np.einsum("pn,nij->pij", basis, unit)
    return matrices


def voigt_of(constants: Mapping[str, float], frame: Frame) -> Array:
    """(6, 6) Voigt matrix, GPa, of the constants that are given, in their frame.

    Raises
    ------
    ParameterError : one is missing, is none, is not a number, or contradicts the symmetry
    """
    given: dict[tuple[int, int], tuple[str, float]] = {}
    for name, value in constants.items():
        where = place(name)
        if where is None:
            raise ParameterError("must be one of C11 ... C66", key="stiffness", value=name)
        if not np.isfinite(value):
            raise ParameterError("must be a number, GPa", key=name, value=value)
        if where in given and abs(given[where][1] - value) > TOLERANCE * max(abs(value), 1.0):
            reason = f"is {given[where][1]:g} and {value:g}: a stiffness is symmetric"
            raise ParameterError(reason, key=name)
        given[where] = (name, float(value))
    basis = invariant(frame)
    rows = np.array([basis[:, i, k] for i, k in given]).reshape(-1, len(basis))
    if missing := _missing(basis, rows):
        names = ", ".join(missing)
        raise ParameterError(f"{_needs(frame, basis)}; missing: {names}", key="stiffness")
    values = np.array([value for _, value in given.values()])
    _check_unit([name for name, _ in given.values()], values)
    weights = np.linalg.lstsq(rows, values, rcond=None)[0]
    wrong = np.abs(rows @ weights - values)
    if (k := int(np.argmax(wrong))) >= 0 and wrong[k] > TOLERANCE * np.abs(values).max():
        name, value = list(given.values())[k]
        reason = (
            f"is {value:g}, but with the others and the symmetry of space group {frame.setting.number} "
            f"({frame.axes}) it is about {rows[k] @ weights:.4g}"
        )
        raise ParameterError(reason, key=name)
    matrix: Array = np.tensordot(weights, basis, 1)
    return matrix


def _check_unit(names: Sequence[str], values: Array) -> None:
    """Tables have GPa, MPa, Pa, or megabars; a factor of a thousand is found in no result."""
    k = int(np.argmax(np.abs(values)))
    largest = float(np.abs(values[k]))
    if not LEAST <= largest <= MOST:
        size = "large" if largest > MOST else "small"
        raise ParameterError(f"is too {size} for any crystal: the unit is GPa", key=names[k], value=values[k])


def independent(basis: Array) -> tuple[str, ...]:
    """Names of constants that tell all others, the usual ones."""
    names: list[str] = []
    rows = np.empty((0, len(basis)))
    for name, (i, k) in zip(NAMES, _PLACES, strict=True):
        more = np.concatenate([rows, basis[None, :, i, k]])
        if np.linalg.matrix_rank(more, tol=1e-7) > len(rows):
            names.append(name)
            rows = more
    return tuple(names)


def _missing(basis: Array, rows: Array) -> list[str]:
    """Independent constants that the given ones (rows) do not tell."""
    names: list[str] = []
    for name in independent(basis):
        i, k = _PLACES[NAMES.index(name)]
        more = np.concatenate([rows, basis[None, :, i, k]])
        if np.linalg.matrix_rank(more, tol=1e-7) > (np.linalg.matrix_rank(rows, tol=1e-7) if len(rows) else 0):
            names.append(name)
            rows = more
    return names


def _needs(frame: Frame, basis: Array) -> str:
    return f"a crystal of space group {frame.setting.number} ({frame.axes}) has {' '.join(independent(basis))}"


def symmetry_error(voigt: Array, turns: Sequence[Array] | Array) -> float:
    """By how much rotations change a stiffness: its largest element after, as a part of the largest before."""
    mandel = voigt * np.outer(FACTORS, FACTORS)
    turned = rotations(np.asarray(turns))
    change = turned @ mandel @ np.swapaxes(turned, 1, 2) - mandel
    return float(np.abs(change).max() / np.abs(mandel).max())


def _where(name: str) -> tuple[int, int]:
    return int(name[1]) - 1, int(name[2]) - 1


_PLACES = tuple(_where(name) for name in NAMES)
