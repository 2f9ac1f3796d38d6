"""Strain of grains: from their cells, and from the spacings of their spots.

See docs/theory/grains.md#strain-from-the-cell and docs/theory/grains.md#strain-from-the-spacings.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import lsq_linear

from midas._ext.grains.strain import fable_strain, kenesei_residuals, kenesei_strain, lattice_spacings
from midas.experiment.vectors import products, unit
from midas.parameters import Parameters
from midas.runtime.errors import FormatError
from midas.stages.grains.inputs import GrainInputs
from midas.stages.grains.solutions import GrainSolutions

log = logging.getLogger(__name__)

#: largest size of a strain component
STRAIN_BOUND = 0.01
#: smallest part of the largest singular value that directions must have to determine a strain without the strays
DETERMINED = 1e-2
#: Å, below that of any ring
_SMALLEST_SPACING = 1e-3


@dataclass(frozen=True)
class Strains:
    """Strain of each grain, dimensionless, sample frame; residuals of all spots, grain after grain."""

    fable: NDArray[np.float64]
    kenesei: NDArray[np.float64]
    rms: NDArray[np.float64]
    residuals: NDArray[np.float64]


def strains(inputs: GrainInputs, parameters: Parameters, lsd: float, grains: GrainSolutions, threads: int) -> Strains:
    """The strains of the grains from the spots that count, and what is left of each spot that they list."""
    return strains_of(grains, inputs.spacings[grains.spots], parameters, lsd, threads)


def strains_of(
    grains: GrainSolutions, unstrained: NDArray[np.float64], parameters: Parameters, lsd: float, threads: int
) -> Strains:
    """The same with the lattice spacing (Å) of the ring of every spot."""
    fable = fable_strain(grains.cell, grains.orientation, np.array(parameters["LatticeParameter"], np.float64), threads)
    _check_spots(grains, unstrained)
    spacings = lattice_spacings(grains.y_centred, grains.z_centred, lsd, parameters["Wavelength"])
    relative = (spacings - unstrained) / unstrained
    counted = np.flatnonzero(_counted(grains))
    offsets = np.searchsorted(counted, grains.offsets).astype(np.int64)
    normals, changes = np.ascontiguousarray(grains.normals[counted]), np.ascontiguousarray(relative[counted])
    kenesei, solved = kenesei_strain(offsets, normals, changes, STRAIN_BOUND, threads)
    for i in np.flatnonzero(~solved):
        own = slice(offsets[i], offsets[i + 1])
        kenesei[i] = _smallest_strain(normals[own], changes[own])
        log.warning("the spots of grain %d do not determine its strain", grains.ids[i])
    residuals = kenesei_residuals(grains.offsets, grains.normals, relative, kenesei, threads)
    squares = residuals[counted] ** 2
    rms = np.sqrt(np.add.reduceat(squares, offsets[:-1]) / np.diff(offsets)) if len(grains) else np.empty(0)
    return Strains(fable, kenesei, rms, residuals)


def _check_spots(grains: GrainSolutions, unstrained: NDArray[np.float64]) -> None:
    """FormatError for a grain without spots, and for a spot of a grain that can be none."""
    if (empty := np.flatnonzero(np.diff(grains.offsets) == 0)).size:
        raise FormatError(f"grain {grains.ids[empty[0]]} has no spots; run ff-refine again", file="OrientPosFit.bin")
    bad = np.flatnonzero(((grains.y_centred == 0) & (grains.z_centred == 0)) | ~(unstrained > _SMALLEST_SPACING))
    if bad.size:
        grain = grains.ids[np.searchsorted(grains.offsets, bad[0], side="right") - 1]
        reason = f"a spot of grain {grain} lies on no ring, or on the beam; run ff-refine again"
        raise FormatError(reason, file="FitBest.bin")


def _counted(grains: GrainSolutions) -> NDArray[np.bool_]:
    """The spots that count: all of a grain of which too few would be left to determine its strain."""
    counted, g = grains.counted.copy(), unit(grains.normals)
    design = products(g, g)
    for first, end in pairwise(grains.offsets.tolist()):
        if counted[first:end].all():
            continue
        singular = np.linalg.svd(design[first:end][counted[first:end]], compute_uv=False)
        if len(singular) < design.shape[1] or singular[-1] < DETERMINED * singular[0]:
            counted[first:end] = True
    return counted


def _smallest_strain(normals: NDArray[np.float64], relative: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of all strains that fit equally well the one of smallest norm."""
    g = unit(normals)
    strain: NDArray[np.float64] = lsq_linear(products(g, g), relative, (-STRAIN_BOUND, STRAIN_BOUND), method="bvls").x
    return strain
