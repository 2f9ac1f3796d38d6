"""Neper: centroids, radii and orientations, and the command that makes a tessellation of them (docs/exports.md#neper).

Neper takes a quaternion that turns the axes of the sample onto those of the crystal (``quaternion:active``), which is
the rotation U, with a along x and c* along z.
"""

from __future__ import annotations

import shlex

from midas.experiment.orientation import quaternions_from_matrices
from midas.results.colours.laue import laue_symbol
from midas.results.exchange.crystal_frames import to_frame
from midas.results.exchange.exported import Exported, Files
from midas.results.exchange.laguerre import box_around, radii_of

CENTRES, RADII, ORIENTATIONS, SCRIPT = ".neper-centres", ".neper-radii", ".neper-orientations", ".neper.sh"


def files(exported: Exported) -> Files:
    """Three lists with a line a grain, and a script for the shell; µm."""
    grains = exported.some()
    quaternions = quaternions_from_matrices(to_frame(grains.orientations, exported.cell, "a c*"))
    lists = {CENTRES: grains.positions, RADII: radii_of(grains)[:, None], ORIENTATIONS: quaternions}
    content = {
        ending: "".join(" ".join(f"{x:.12f}" for x in row) + "\n" for row in rows).encode()
        for ending, rows in lists.items()
    }
    return {**content, SCRIPT: _script(exported)}


def _script(exported: Exported) -> bytes:
    """Reads the lists beside itself, wherever it is called from, and writes ``<name>.tess`` there."""
    grains = exported.some()
    low, high = box_around(grains, exported.options.box)
    size, start = (",".join(f"{x:.6f}" for x in corner) for corner in (high - low, low))
    header = "\n".join(exported.header)
    symmetry = shlex.quote(laue_symbol(exported.space_group))
    return (
        f"#!/bin/sh\n{header}\n"
        "# Laguerre cells of the grains for Neper 4; lengths in um, axes of the sample: X along the beam, Z up.\n"
        'cd "$(dirname "$0")" || exit 1\n'
        'name=$(basename "$0" .neper.sh)\n'
        f'neper -T -n {len(grains)} -dim 3 -domain "cube({size}):translate({start})" -morpho voronoi \\\n'
        f'    -morphooptiini "coo:file($name{CENTRES}),weight:file($name{RADII})" \\\n'
        f'    -ori "file($name{ORIENTATIONS},des=quaternion:active)" -oridescriptor quaternion:active \\\n'
        f'    -oricrysym {symmetry} -format tess -o "$name" "$@"\n'
    ).encode()
