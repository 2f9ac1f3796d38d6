"""A line a grain with names of DREAM.3D-NX, which spreadsheets and pandas read too (docs/exports.md#dream3d)."""

from __future__ import annotations

import numpy as np

from midas.experiment.orientation import euler_angles, quaternions_from_matrices
from midas.results.exchange.crystal_frames import to_frame
from midas.results.exchange.exported import Exported, Files

_TENSOR = ("XX", "YY", "ZZ", "YZ", "XZ", "XY")
_ROWS, _COLUMNS = (0, 1, 2, 1, 0, 0), (0, 1, 2, 2, 2, 1)
#: names of the columns after the id; angles in radians and quaternions with the scalar last, as DREAM.3D has them
NAMES = (
    *("FeatureIds", "GrainIds", "Phases"),
    *(f"Centroids_{axis}" for axis in "XYZ"),
    *("EquivalentDiameters", "Volumes"),
    *(f"EulerAngles_{i}" for i in range(3)),
    *(f"Quats_{name}" for name in "XYZW"),
    "Completeness",
    *(f"LatticeConstants_{i}" for i in range(6)),
    *(f"Strain_{name}" for name in _TENSOR),
)


def files(exported: Exported) -> Files:
    """Comment lines, one line of names, a line a grain; features count from 1, since DREAM.3D keeps 0 for itself."""
    grains = exported.grains
    u = to_frame(grains.orientations, exported.cell, "a c*")
    q = quaternions_from_matrices(u)
    columns = np.column_stack(
        [
            grains.positions,
            2 * grains.radii,
            4 / 3 * np.pi * grains.radii**3,
            euler_angles(u),
            q[:, 1:],
            q[:, 0],
            grains.completeness,
            grains.cells,
            grains.strains[:, _ROWS, _COLUMNS],
        ]
    )
    lines = [*exported.header, ",".join(NAMES)]
    for number, (grain_id, row) in enumerate(zip(grains.ids.tolist(), columns.tolist(), strict=True), 1):
        lines.append(f"{number},{grain_id},1," + ",".join("" if np.isnan(x) else f"{x:.12g}" for x in row))
    return {".features.csv": "".join(f"{line}\n" for line in lines).encode()}
