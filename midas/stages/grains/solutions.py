"""What a grain selection hands to the strains and tables: the chosen solutions and their spots."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas.formats.grains import GrainIdsKey


@dataclass(frozen=True)
class GrainSolutions:
    """The grains of a layer.

    Parameters
    ----------
    ids : (n,) int64, seed id of the row that stands for each grain
    orientation : (n, 9) float64, crystal to sample, row-major
    position : (n, 3) float64, µm
    cell : (n, 6) float64, Å and degrees
    diff_pos, diff_ome, diff_angle : (n,) float64, mean distances of the fit: µm, degrees, degrees
    grain_radius : (n,) float64, µm
    completeness : (n,) float64, of the seed
    offsets : (n + 1,) int64; grain i has the entries ``offsets[i] : offsets[i + 1]`` of the next ones
    spots : int64, spot ids
    y_centred, z_centred : float64, µm, each spot as if its grain were at the origin
    normals : (total, 3) float64, scattering vectors in the sample frame, of any length
    counted : (total,) bool, which spots count for the strain
    key : which seeds were found to be one grain
    """

    ids: NDArray[np.int64]
    orientation: NDArray[np.float64]
    position: NDArray[np.float64]
    cell: NDArray[np.float64]
    diff_pos: NDArray[np.float64]
    diff_ome: NDArray[np.float64]
    diff_angle: NDArray[np.float64]
    grain_radius: NDArray[np.float64]
    completeness: NDArray[np.float64]
    offsets: NDArray[np.int64]
    spots: NDArray[np.int64]
    y_centred: NDArray[np.float64]
    z_centred: NDArray[np.float64]
    normals: NDArray[np.float64]
    counted: NDArray[np.bool_]
    key: GrainIdsKey

    def __len__(self) -> int:
        return len(self.ids)
