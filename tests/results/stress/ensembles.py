"""Grains in equilibrium with a load, and a contraction of tensors that shares nothing with the program."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from midas.results.stress import Stiffness, tensors
from midas.results.stress.grains import StrainedGrains


def fourth_rank(voigt: np.ndarray) -> np.ndarray:
    """(3, 3, 3, 3) stiffness of a Voigt matrix, element by element."""
    number = {(0, 0): 0, (1, 1): 1, (2, 2): 2, (1, 2): 3, (2, 1): 3, (0, 2): 4, (2, 0): 4, (0, 1): 5, (1, 0): 5}
    c = np.empty((3, 3, 3, 3))
    for i, j, k, l in np.ndindex(3, 3, 3, 3):
        c[i, j, k, l] = voigt[number[i, j], number[k, l]]
    return c


def contracted(voigt: np.ndarray, strain: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Stress (MPa) of a strain (1e-6), both in the sample, of a crystal turned by u."""
    c = np.einsum("ia,jb,kc,ld,abcd->ijkl", u, u, u, u, fourth_rank(voigt))
    return np.einsum("ijkl,kl->ij", c, strain) * 1e-3


def symmetric(rng: np.random.Generator, n: int, size: float) -> np.ndarray:
    """(n, 3, 3) random symmetric matrices."""
    t = rng.normal(0, size, (n, 3, 3))
    return (t + np.swapaxes(t, 1, 2)) / 2


def in_equilibrium(
    stiffness: Stiffness,
    applied: np.ndarray,
    n: int = 200,
    seed: int = 0,
    *,
    change: np.ndarray | None = None,
    sigma: float = 10.0,
    orientations: np.ndarray | None = None,
) -> StrainedGrains:
    """Grains whose average stress is the applied one, (3, 3) MPa; a wrong reference cell and noise are put on top.

    `change` is the strain (3, 3) 1e-6 in the crystal frame by which the true cell is larger than the reference.
    """
    rng = np.random.default_rng(seed)
    u = Rotation.random(n, random_state=seed).as_matrix() if orientations is None else orientations
    radii = rng.uniform(20, 80, n)
    weights = radii**3 / (radii**3).sum()
    stress = symmetric(rng, n, 60.0)
    stress += applied - np.einsum("n,nij->ij", weights, stress)
    hooke = stiffness.in_sample(u)
    strain = np.linalg.solve(hooke, tensors.mandel(stress)[..., None])[..., 0]
    if change is not None:
        strain = strain + tensors.mandel(u @ change @ np.swapaxes(u, 1, 2))
    # Errors along the beam are others, and errors of two components are correlated.
    spread = sigma * (np.eye(6) + 0.3 * np.eye(6, k=1)) * [1.0, 1.0, 0.7, 1.2, 1.0, 1.0]
    noise = rng.normal(size=(n, 6)) @ spread.T
    return StrainedGrains(np.arange(1, n + 1), u, strain + noise, np.tile(spread @ spread.T, (n, 1, 1)), radii)
