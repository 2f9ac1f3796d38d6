"""Space divided among grains: Laguerre cells on a grid (docs/exports.md#laguerre-cells).

A point belongs to the grain whose power distance `|x - c|² - r²` is smallest. With the radii of spheres of the grains'
volumes the cells come close to these volumes; equal radii give the Voronoi cells.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from midas.results.grain_list import GrainList
from midas.runtime.errors import UsageError

log = logging.getLogger(__name__)

Floats = NDArray[np.float64]

#: voxels along the longest side, unless the user says how large they are
_VOXELS = 64
#: more do not fit into the memory of a usual machine
_MOST_VOXELS = 100_000_000
#: points that are looked up at a time
_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class Grid:
    """Cubic voxels.

    Parameters
    ----------
    origin : corner with the smallest coordinates, µm, sample frame
    spacing : edge of a voxel, µm
    shape : voxels along x, y, z
    """

    origin: Floats
    spacing: float
    shape: tuple[int, int, int]

    def centres(self, axis: int) -> Floats:
        """Coordinates of the middles of the voxels along an axis, µm."""
        middles: Floats = self.origin[axis] + self.spacing * (np.arange(self.shape[axis]) + 0.5)
        return middles


def radii_of(grains: GrainList) -> Floats:
    """Radii to divide space with; 0 for all, with a warning, where any is not known."""
    if np.isfinite(grains.radii).all():
        return grains.radii
    log.warning("%s: not all grains have a radius; space is divided half way between them", grains.name)
    return np.zeros(len(grains))


def box_around(grains: GrainList, box: Sequence[float] | None = None) -> tuple[Floats, Floats]:
    """Lowest and highest corner (µm) of what the grains fill: the box of a user, else that around their spheres.

    Without radii the spheres are of a size at which they would fill the box around the centres.
    """
    if box is not None:
        return np.array(box[0::2], np.float64), np.array(box[1::2], np.float64)
    centres, radii = grains.positions, grains.radii
    low, high = centres.min(axis=0), centres.max(axis=0)
    if not np.isfinite(radii).all():
        radii = np.full(len(grains), max(float((high - low).max()), 1.0) / (2 * len(grains) ** (1 / 3)))
    edge = radii[:, None]
    return np.asarray((centres - edge).min(axis=0)), np.asarray((centres + edge).max(axis=0))


def grid_of(grains: GrainList, voxel: float | None = None, box: Sequence[float] | None = None) -> Grid:
    """The grid over the box of the grains; whole voxels, so that it may end up to one further.

    Raises
    ------
    UsageError : so many voxels fit into no memory
    """
    low, high = box_around(grains, box)
    size = np.maximum(high - low, 1e-6)
    spacing = float(size.max()) / _VOXELS if voxel is None else voxel
    counts = np.maximum(np.ceil(size / spacing - 1e-9), 1)
    if counts.prod() > _MOST_VOXELS:
        raise UsageError(f"makes {counts.prod():.2g} voxels; at most {_MOST_VOXELS:.0e}", key="-voxel", value=spacing)
    nx, ny, nz = (int(count) for count in counts)
    return Grid(low, spacing, (nx, ny, nz))


def slice_of(grid: Grid, height: float | None) -> Grid:
    """One layer of voxels whose middle is at z = `height` (µm), by default that of the grid.

    Raises
    ------
    UsageError : `height` lies outside the grid
    """
    low, high = grid.origin[2], grid.origin[2] + grid.spacing * grid.shape[2]
    if height is not None and not low <= height <= high:
        reason = f"lies outside of what is filled, z from {low:.6g} to {high:.6g}; see -box"
        raise UsageError(reason, key="-slice", value=height)
    middle = grid.origin[2] + 0.5 * grid.spacing * grid.shape[2] if height is None else height
    return Grid(
        np.array([*grid.origin[:2], middle - 0.5 * grid.spacing]), grid.spacing, (grid.shape[0], grid.shape[1], 1)
    )


def owners(grid: Grid, positions: Floats, radii: Floats) -> NDArray[np.int64]:
    """The row of the grain to which each voxel belongs.

    Parameters
    ----------
    positions : (n, 3) µm, n > 0
    radii : (n,) µm

    Returns
    -------
    (nz, ny, nx), so that x runs fastest in memory
    """
    # |x - c|² - r² + R² is the squared distance of (x, 0) and (c, sqrt(R² - r²)): a neighbour in four dimensions.
    lift = np.sqrt(np.maximum(radii.max() ** 2 - radii**2, 0.0))
    tree = cKDTree(np.column_stack([positions, lift]))
    x, y, z = (grid.centres(axis) for axis in range(3))
    found = np.empty((len(z), len(y), len(x)), np.int64)
    rows = max(_AT_ONCE // len(x), 1)
    for layer, height in enumerate(z):
        for start in range(0, len(y), rows):
            some = y[start : start + rows]
            points = np.zeros((len(some), len(x), 4))
            points[..., 0], points[..., 1], points[..., 2] = x, some[:, None], height
            found[layer, start : start + rows] = tree.query(points)[1]
    return found
