"""Strained grains of a layer, and the stress of each of them with its uncertainty (docs/theory/stress.md)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from midas.results.stress import tensors
from midas.results.stress.slip import SlipSystems
from midas.results.stress.stiffness import Stiffness

Array = NDArray[np.float64]


@dataclass(frozen=True)
class StrainedGrains:
    """What is needed of the grains of a layer.

    Parameters
    ----------
    ids : (n,) int64
    orientations : (n, 3, 3) U, crystal to sample
    strains : (n, 6) Mandel vectors, sample frame, 1e-6
    covariances : (n, 6, 6) of these; NaN where it is not known
    radii : (n,) µm; the cube of it is the weight of the grain
    """

    ids: NDArray[np.int64]
    orientations: Array
    strains: Array
    covariances: Array
    radii: Array

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def weights(self) -> Array:
        """(n,) parts of the volume of all grains; equal ones where no grain has a size."""
        volumes = np.where(np.isfinite(self.radii) & (self.radii > 0), self.radii, 0.0) ** 3
        if not volumes.any():
            volumes = np.ones(len(self))
        fractions: Array = volumes / volumes.sum()
        return fractions

    def known(self) -> StrainedGrains:
        """Those that have a strain."""
        rows = np.isfinite(self.strains).all(axis=1)
        names = ("ids", "orientations", "strains", "covariances", "radii")
        return replace(self, **{name: getattr(self, name)[rows] for name in names})


@dataclass(frozen=True)
class GrainStresses:
    """The stress of every grain.

    Parameters
    ----------
    sample, crystal : (n, 6) Mandel vectors, MPa, in both frames
    sample_covariances, crystal_covariances : (n, 6, 6) of these; NaN where not known
    """

    sample: Array
    crystal: Array
    sample_covariances: Array
    crystal_covariances: Array


def stresses_of(
    grains: StrainedGrains, stiffness: Stiffness, given: tuple[Array, Array] | None = None
) -> GrainStresses:
    """The stress of every grain, and its covariance by linear propagation.

    Parameters
    ----------
    given : stresses (n, 6) and covariances (n, 6, 6) in the frame of the sample, where a change of the reference cell
        has changed them; by default those of Hooke's law
    """
    if given is None:
        matrices = stiffness.in_sample(grains.orientations)
        given = (
            np.einsum("nij,nj->ni", matrices, grains.strains),
            matrices @ grains.covariances @ np.swapaxes(matrices, 1, 2),
        )
    sample, covariances = given
    turn = tensors.rotations(grains.orientations)
    return GrainStresses(
        sample,
        np.einsum("nji,nj->ni", turn, sample),
        covariances,
        np.swapaxes(turn, 1, 2) @ covariances @ turn,
    )


def sigma_of(gradients: Array, covariances: Array) -> Array:
    """(n,) standard deviation of numbers with these gradients (n, 6) by vectors with these covariances (n, 6, 6)."""
    with np.errstate(invalid="ignore"):
        variances = np.einsum("ni,nij,nj->n", gradients, covariances, gradients)
        deviations: Array = np.sqrt(np.maximum(variances, 0.0))
    return np.where(np.isnan(variances), np.nan, deviations)


def sigmas(covariances: Array) -> Array:
    """(n, 6) standard deviations of the components of tensors, of covariances (n, 6, 6) of their Mandel vectors."""
    variances = np.diagonal(covariances, axis1=-2, axis2=-1)
    deviations: Array = np.sqrt(np.maximum(variances, 0.0)) / tensors.FACTORS
    return np.where(np.isnan(variances), np.nan, deviations)


def von_mises_gradients(vectors: Array) -> Array:
    """(n, 6) change of the von Mises stress with the Mandel vector; NaN where there is none, at no shear at all."""
    with np.errstate(invalid="ignore", divide="ignore"):
        gradients: Array = 1.5 * (vectors @ tensors.DEVIATORIC) / tensors.von_mises(vectors)[:, None]
    return gradients


@dataclass(frozen=True)
class Shear:
    """What the slip systems of every grain feel.

    Parameters
    ----------
    resolved : (n, s) resolved shear stress of each system, MPa
    active : (n,) the system with the largest one, from 0; -1 where there is none
    largest, sigma : (n,) its size and standard deviation, MPa
    general : (n,) largest over von Mises stress
    schmid : (n,) largest Schmid factor of uniaxial load; NaN without a direction
    """

    resolved: Array
    active: NDArray[np.int64]
    largest: Array
    sigma: Array
    general: Array
    schmid: Array


def shear_of(stress: GrainStresses, systems: SlipSystems, orientations: Array, load: Array | None = None) -> Shear:
    """Resolved shear stresses.

    Parameters
    ----------
    orientations : (n, 3, 3)
    load : direction of uniaxial load, sample frame
    """
    schmid = systems.schmid
    resolved = stress.crystal @ schmid.T
    known = np.all(np.isfinite(resolved), axis=1)
    active = np.where(known, np.argmax(np.abs(np.where(known[:, None], resolved, 0.0)), axis=1), -1)
    largest = np.abs(np.take_along_axis(resolved, np.maximum(active, 0)[:, None], axis=1))[:, 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        general = largest / tensors.von_mises(stress.crystal)
    return Shear(
        resolved,
        active,
        largest,
        sigma_of(schmid[np.maximum(active, 0)], stress.crystal_covariances),
        general,
        np.full(len(active), np.nan) if load is None else schmid_factors(systems, orientations, load),
    )


def schmid_factors(systems: SlipSystems, orientations: Array, load: Array) -> Array:
    """(n,) largest Schmid factor of uniaxial load along a direction of the sample."""
    along = np.asarray(load, np.float64) / np.linalg.norm(load)
    in_crystal = np.einsum("nji,j->ni", orientations, along)
    factors = np.abs((in_crystal @ systems.normals.T) * (in_crystal @ systems.directions.T))
    largest: Array = factors.max(axis=1)
    return largest
