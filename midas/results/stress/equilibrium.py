"""Averages over the volume, and the reference cell with which they agree with the load.

See docs/theory/stress.md#averages and docs/theory/stress.md#reference-cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas.results.stress import tensors
from midas.results.stress.frames import direct_basis
from midas.results.stress.grains import StrainedGrains
from midas.results.stress.stiffness import Stiffness
from midas.runtime.errors import StageError

Array = NDArray[np.float64]

#: the smallest of the singular values, over the largest, with which orientations tell the axes from each other
_DETERMINED = 0.05


@dataclass(frozen=True)
class Average:
    """A tensor averaged over the volume of the grains.

    Parameters
    ----------
    mean : (6,) Mandel vector
    covariance : (6, 6) of the mean, of what the grains were measured with; NaN where no grain has any
    scatter : (6,) standard deviation of the components from grain to grain, weighted by volume
    effective : number of grains of equal volume that would scatter as much in the mean
    """

    mean: Array
    covariance: Array
    scatter: Array
    effective: float

    @property
    def components(self) -> Array:
        """(6,) components of the mean."""
        return self.mean / tensors.FACTORS

    @property
    def sigma(self) -> Array:
        """(6,) standard deviations of the components of the mean, of the measurement."""
        deviations: Array = np.sqrt(np.diagonal(self.covariance)) / tensors.FACTORS
        return deviations

    @property
    def sampling(self) -> Array:
        """(6,) what grains that were not seen may change the components of the mean by: standard error."""
        error: Array = self.scatter / np.sqrt(self.effective)
        return error


def average(vectors: Array, covariances: Array, weights: Array) -> Average:
    """The mean of the tensors of grains.

    A grain whose covariance is not known counts with the mean one of the others.

    Parameters
    ----------
    vectors, covariances : (n, 6), (n, 6, 6), Mandel
    weights : (n,), of which the sum is 1
    """
    mean = weights @ vectors
    scatter = np.sqrt(weights @ (vectors - mean) ** 2) / tensors.FACTORS
    covariance = np.einsum("n,nij->ij", weights**2, filled(covariances))
    return Average(mean, covariance, scatter, float(1 / (weights @ weights)))


def filled(covariances: Array) -> Array:
    """The covariances with the mean one where they are not known; NaN when none is."""
    known = np.all(np.isfinite(covariances), axis=(1, 2))
    if known.all() or not known.any():
        return covariances
    return np.where(known[:, None, None], covariances, covariances[known].mean(axis=0))


@dataclass(frozen=True)
class Change:
    """A change of the reference cell.

    Parameters
    ----------
    axes : names of the scales: ``cell``, or ``a``, ``b``, ``c``
    values : (p,) relative change of each, 1e-6: the true cell is larger than the reference where positive
    covariance : (p, p) of these, of the measurement
    sampling : (p,) standard error of a mean over as many grains as there are
    before, after : volume averages of the stress, without and with the change, MPa
    applied : (6,) Mandel vector of the stress that the average should be, MPa
    response : (p, 6) crystal frame: strain that a change of 1 takes away
    stresses, covariances : (n, 6), (n, 6, 6) of the grains with the change, sample frame, MPa
    """

    axes: tuple[str, ...]
    values: Array
    covariance: Array
    sampling: Array
    before: Average
    after: Average
    applied: Array
    response: Array
    stresses: Array
    covariances: Array

    @property
    def sigma(self) -> Array:
        """(p,) standard deviations of the values, of the measurement."""
        deviations: Array = np.sqrt(np.diagonal(self.covariance))
        return deviations

    def cell(self, cell: Sequence[float]) -> tuple[float, ...]:
        """The cell (Å, degrees) after the change."""
        factors = {name: 1 + value * 1e-6 for name, value in zip(self.axes, self.values, strict=True)}
        lengths = []
        for own, length in zip("abc", cell[:3], strict=True):
            name = own if own in factors else "cell" if "cell" in factors else "a"
            lengths.append(length * factors[name])
        return (*lengths, *cell[3:])


def one_scale() -> tuple[tuple[str, ...], Array]:
    """The cell as a whole larger or smaller: name, and strain (1, 6) in the crystal frame."""
    return ("cell",), tensors.UNIT[None].copy()


def by_axes(crystal_system: str, cell: Sequence[float]) -> tuple[tuple[str, ...], Array]:
    """The lengths that the symmetry leaves free, each by itself: names, and strains (p, 6) in the crystal frame.

    Raises
    ------
    StageError : of triclinic and monoclinic cells, whose angles are free as well
    """
    groups = {"cubic": ("abc",), "orthorhombic": ("a", "b", "c")}.get(crystal_system, ("ab", "c"))
    if crystal_system in ("triclinic", "monoclinic"):
        reason = f"the angles of a {crystal_system} cell may be off as well: only -correct scale can be asked for"
        raise StageError(reason)
    if groups == ("abc",) or (groups == ("ab", "c") and abs(cell[3] - 90) > 0.5):  # rhombohedral axes
        return one_scale()
    basis = direct_basis(cell)
    strains = []
    for group in groups:
        changed = basis * np.where([own in group for own in "abc"], 1.0, 0.0)
        strains.append(tensors.mandel(changed @ np.linalg.inv(basis)))
    return tuple(group[0] for group in groups), np.array(strains)


def reference_cell(
    grains: StrainedGrains, stiffness: Stiffness, applied: Array, scales: tuple[tuple[str, ...], Array]
) -> Change:
    """The change of the reference cell with which the average stress is nearest to the applied one.

    Parameters
    ----------
    applied : (6,) Mandel vector, sample frame, MPa
    scales : what may change, see `one_scale` and `by_axes`

    Raises
    ------
    StageError : the orientations do not tell one axis from the other
    """
    names, response = scales
    weights = grains.weights
    hooke = stiffness.in_sample(grains.orientations)
    turn = tensors.rotations(grains.orientations)
    # The stress (n, 6, p) that the change takes away from each grain, and from the mean.
    slopes = hooke @ turn @ response.T
    of_mean = np.einsum("n,nip->ip", weights, slopes)
    singular = np.linalg.svd(of_mean, compute_uv=False)
    if singular[-1] < _DETERMINED * singular[0]:
        reason = f"the orientations of these grains do not tell {names[0]} from {names[-1]}: use -correct scale"
        raise StageError(reason)
    solve = np.linalg.pinv(of_mean)
    stresses = np.einsum("nij,nj->ni", hooke, grains.strains)
    covariances = hooke @ grains.covariances @ np.swapaxes(hooke, 1, 2)
    before = average(stresses, covariances, weights)
    values = solve @ (before.mean - applied)
    corrected = stresses - slopes @ values
    with_change = _covariances(slopes, solve, weights, covariances)
    after = average(corrected, covariances, weights)
    remaining = np.eye(6) - of_mean @ solve
    after = Average(after.mean, remaining @ before.covariance @ remaining.T, after.scatter, after.effective)
    spread = (corrected - after.mean) @ solve.T
    sampling = np.sqrt(weights @ spread**2 / before.effective)
    covariance = solve @ before.covariance @ solve.T
    return Change(
        names, values, covariance, sampling, before, after, applied, response, corrected, with_change
    )  # fmt: skip


def _covariances(slopes: Array, solve: Array, weights: Array, covariances: Array) -> Array:
    """Covariances of the stresses after the change, which depends on the grain itself, too.

    The stress of grain i is s_i - k_i sum_j L_j s_j, L_j = w_j solve.
    """
    own = slopes @ solve * weights[:, None, None]
    direct = np.eye(6) - own
    known = filled(covariances)
    of_change = np.einsum("n,nij->ij", weights**2, known)
    others = of_change - weights[:, None, None] ** 2 * known
    through = slopes @ solve
    both: Array = direct @ covariances @ np.swapaxes(direct, 1, 2) + through @ others @ np.swapaxes(through, 1, 2)
    return both
