"""The elastic stiffness of a single crystal (docs/theory/stress.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from midas.results.stress import tensors
from midas.results.stress.constants import voigt_of
from midas.results.stress.frames import Frame, crystal_system, frame_of
from midas.results.stress.materials import MATERIALS, material
from midas.runtime.errors import ParameterError

Array = NDArray[np.float64]

#: GPa times 1e-6 is this many MPa
_MPA = 1e-3
#: by how much a full matrix may miss its own transpose, as a part of its largest element
_SYMMETRIC = 1e-3


@dataclass(frozen=True)
class Stiffness:
    """How a crystal answers to strain.

    Parameters
    ----------
    matrix : (6, 6) GPa, Mandel's notation, order 11 22 33 23 13 12, crystal frame of the suite (a* along x, c along z)
    name : of the material
    source : where the numbers come from
    slip : its usual slip families, see `midas.results.stress.slip`
    axes : the frame in which the constants were given, in words

    Raises
    ------
    ParameterError : not symmetric, or some strain would set energy free
    """

    matrix: Array
    name: str = ""
    source: str = ""
    slip: tuple[str, ...] = ()
    axes: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        matrix = np.asarray(self.matrix, np.float64)
        if matrix.shape != (6, 6) or not np.isfinite(matrix).all():
            raise ParameterError("must be 6 x 6 numbers, GPa", key="stiffness", value=self.name or None)
        if np.abs(matrix - matrix.T).max() > _SYMMETRIC * np.abs(matrix).max():
            raise ParameterError("is not symmetric", key="stiffness", value=self.name or None)
        matrix = (matrix + matrix.T) / 2
        lowest = float(np.linalg.eigvalsh(matrix)[0])
        if lowest <= 0:
            reason = f"is not positive definite (an eigenvalue is {lowest:.4g} GPa): no crystal is stable with it"
            raise ParameterError(reason, key="stiffness", value=self.name or None)
        object.__setattr__(self, "matrix", matrix)

    @classmethod
    def from_constants(
        cls,
        constants: Mapping[str, float],
        space_group: int,
        cell: Sequence[float] | None = None,
        *,
        axes: Sequence[str] = (),
        name: str = "",
        source: str = "",
        slip: Sequence[str] = (),
    ) -> Stiffness:
        """The stiffness of its constants in Voigt's notation: the independent ones, or more.

        Parameters
        ----------
        constants : C11, C12 ..., GPa
        space_group, cell : of the crystal, which tell the others; Å and degrees
        axes : where the frame of the constants lies, see `midas.results.stress.frames.frame_of`

        Raises
        ------
        ParameterError : a constant is missing, or contradicts the symmetry; not positive definite
        """
        frame = frame_of(space_group, cell, axes)
        return cls._in_frame(voigt_of(constants, frame), frame, name, source, slip)

    @classmethod
    def from_voigt(
        cls,
        matrix: ArrayLike,
        space_group: int,
        cell: Sequence[float] | None = None,
        *,
        axes: Sequence[str] = (),
        name: str = "",
        source: str = "",
        slip: Sequence[str] = (),
    ) -> Stiffness:
        """The stiffness of a full matrix in Voigt's notation, GPa, which must have the symmetry of the crystal.

        Parameters and errors are those of `from_constants`.
        """
        voigt = np.asarray(matrix, np.float64)
        if voigt.shape != (6, 6) or not np.isfinite(voigt).all():
            raise ParameterError("must be 6 x 6 numbers, GPa", key="stiffness")
        if np.abs(voigt - voigt.T).max() > _SYMMETRIC * np.abs(voigt).max():
            i, k = np.unravel_index(np.argmax(np.abs(voigt - voigt.T)), (6, 6))
            reason = f"is not symmetric: C{i + 1}{k + 1} is {voigt[i, k]:g}, C{k + 1}{i + 1} is {voigt[k, i]:g}"
            raise ParameterError(reason, key="stiffness")
        voigt = (voigt + voigt.T) / 2
        given = {f"C{i + 1}{k + 1}": float(voigt[i, k]) for i in range(6) for k in range(i, 6)}
        return cls.from_constants(given, space_group, cell, axes=axes, name=name, source=source, slip=slip)

    @classmethod
    def of_material(cls, name: str, space_group: int | None = None, cell: Sequence[float] | None = None) -> Stiffness:
        """The stiffness of a material of the table, see `midas.results.stress.materials`.

        Parameters
        ----------
        name : symbol or English name, any case
        space_group, cell : of the crystal at hand; by default those of the material

        Raises
        ------
        ParameterError : no such material; the crystal at hand is of another system
        """
        found = material(name)
        if found is None:
            names = ", ".join(one.names[0] for one in MATERIALS)
            raise ParameterError(f"is no material of the table, which has {names}", key="material", value=name)
        group = found.space_group if space_group is None else space_group
        if crystal_system(group) != crystal_system(found.space_group):
            reason = f"is {crystal_system(found.space_group)}, but space group {group} is {crystal_system(group)}"
            raise ParameterError(reason, key="material", value=name)
        given = dict(found.constants)
        same = group == found.space_group
        slip = found.slip if same else ()
        return cls.from_constants(given, group, cell, name=found.title, source=found.source, slip=slip)

    @classmethod
    def _in_frame(cls, voigt: Array, frame: Frame, name: str, source: str, slip: Sequence[str]) -> Stiffness:
        turn = tensors.rotations(frame.to_crystal)
        matrix = turn @ tensors.stiffness_to_mandel(voigt) @ turn.T
        return cls(matrix, name, source, tuple(slip), frame.axes)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """The same as `voigt`, for functions that take a matrix."""
        return np.array(self.voigt, dtype)

    @property
    def voigt(self) -> Array:
        """(6, 6) GPa, Voigt's notation, crystal frame of the suite."""
        return tensors.stiffness_to_voigt(self.matrix)

    @property
    def compliance(self) -> Array:
        """(6, 6) 1/GPa, Mandel's notation, crystal frame of the suite."""
        inverse: Array = np.asarray(np.linalg.inv(self.matrix), np.float64)
        symmetric: Array = (inverse + inverse.T) / 2
        return symmetric

    def rotate(self, rotation: ArrayLike) -> Stiffness:
        """The stiffness of the crystal turned by (3, 3) U, in the frame into which U turns: crystal to sample, say."""
        turn = tensors.rotations(rotation)
        return Stiffness(turn @ self.matrix @ turn.T, self.name, self.source, self.slip, self.axes)

    def stress(self, strain: ArrayLike, orientation: ArrayLike | None = None) -> Array:
        """Hooke's law.

        Parameters
        ----------
        strain : (..., 3, 3) symmetric, 1e-6; in the frame of the sample with an `orientation`, else of the crystal
        orientation : (..., 3, 3) U, crystal to sample

        Returns
        -------
        (..., 3, 3) MPa, in the frame of the strain
        """
        vectors = tensors.mandel(strain)
        if orientation is None:
            return tensors.from_mandel(vectors @ self.matrix * _MPA)
        turn = tensors.rotations(orientation)
        in_crystal = np.einsum("...ji,...j->...i", turn, vectors)
        return tensors.from_mandel(np.einsum("...ij,...j->...i", turn, in_crystal @ self.matrix * _MPA))

    def in_sample(self, orientations: ArrayLike) -> Array:
        """(..., 6, 6) MPa per 1e-6 of strain: Mandel matrices of crystals turned by (..., 3, 3) U, sample frame."""
        turn = tensors.rotations(orientations)
        matrices: Array = turn @ (self.matrix * _MPA) @ np.swapaxes(turn, -1, -2)
        return matrices

    @property
    def voigt_average(self) -> tuple[float, float]:
        """Bulk and shear modulus, GPa, of a random polycrystal of equal strains: the upper bounds."""
        return _moduli(self.matrix)

    @property
    def reuss_average(self) -> tuple[float, float]:
        """Bulk and shear modulus, GPa, of a random polycrystal of equal stresses: the lower bounds."""
        bulk, shear = _moduli(self.compliance)
        return 1 / (9 * bulk), 1 / (4 * shear)

    def young_modulus(self, direction: ArrayLike) -> float:
        """GPa, of uniaxial load along a direction, crystal frame."""
        n = np.asarray(direction, np.float64)
        n = n / np.linalg.norm(n)
        along = tensors.mandel(np.outer(n, n))
        return float(1 / (along @ self.compliance @ along))


def _moduli(matrix: Array) -> tuple[float, float]:
    """The isotropic part of a Mandel matrix: a third of its spherical number, half of its deviatoric one."""
    spherical = tensors.UNIT @ matrix @ tensors.UNIT / 3
    return float(spherical / 3), float((np.trace(matrix) - spherical) / 10)


def stresses(strains: ArrayLike, orientations: ArrayLike, stiffness: Stiffness) -> Array:
    """Stress tensors of grains, sample frame, MPa.

    Parameters
    ----------
    strains : (n, 3, 3) sample frame, 1e-6
    orientations : (n, 3, 3) U, crystal to sample
    stiffness : of the crystal

    Returns
    -------
    (n, 3, 3) MPa; NaN where a strain is
    """
    return stiffness.stress(strains, orientations)
