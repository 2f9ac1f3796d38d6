"""DAMASK 3: ``material.yaml`` and a grid of Laguerre cells (docs/exports.md#damask).

Its orientation is a passive rotation from the sample to the crystal, written as the quaternion (scalar first, not
negative) that has the Bunge angles of the crystal: in its convention (P = -1) the numbers of our U, with a along x and
c* along z. Lengths are in m.
"""

from __future__ import annotations

import json

import numpy as np

from midas.experiment.orientation import quaternions_from_matrices
from midas.results.exchange.crystal_frames import to_frame
from midas.results.exchange.exported import Exported, Files
from midas.results.exchange.laguerre import grid_of, owners, radii_of
from midas.results.exchange.symmetry import bravais_lattice, short_symbol
from midas.results.exchange.vtk import grid_file

_METRES = 1e-6
_HOMOGENIZATION = "direct"


def files(exported: Exported) -> Files:
    """The material of every grain, and the numbers of these (from 0) in the voxels."""
    grains = exported.some()
    grid = grid_of(grains, exported.options.voxel, exported.options.box)
    material = owners(grid, grains.positions, radii_of(grains))
    comment = "\n".join((*exported.header, "lengths in m; axes of the sample: X along the beam, Z up"))
    content = grid_file(grid.shape, _METRES * grid.origin, _METRES * grid.spacing, {"material": material}, comment)
    return {".material.yaml": _material(exported), ".damask.vti": content}


def _material(exported: Exported) -> bytes:
    """One material a grain, in their order; what the phase is made of is for the user to add."""
    grains, cell, group = exported.some(), exported.cell, exported.space_group
    phase = json.dumps(short_symbol(group))
    quaternions = quaternions_from_matrices(to_frame(grains.orientations, cell, "a c*"))
    lines = [
        *exported.header,
        f"homogenization:\n  {_HOMOGENIZATION}:\n    N_constituents: 1\n    mechanical: {{type: pass}}",
        f"phase:\n  {phase}:\n    lattice: {bravais_lattice(group, cell)}",
    ]
    if not np.isclose(cell[0], cell[2], rtol=1e-12) and 75 <= group <= 194:
        lines.append(f"    c/a: {cell[2] / cell[0]!r}")
    lines.append("material:")
    for grain_id, q in zip(grains.ids.tolist(), quaternions.tolist(), strict=True):
        orientation = ", ".join(f"{x:.15f}" for x in q)
        lines.append(
            f"  - homogenization: {_HOMOGENIZATION}  # grain {grain_id}\n"
            f"    constituents:\n      - phase: {phase}\n        v: 1.0\n        O: [{orientation}]"
        )
    return "".join(f"{line}\n" for line in lines).encode()
