"""Slices of Laguerre cells as maps of EBSD vendors: ``.ctf`` and ``.ang`` (docs/exports.md#ctf).

Euler angles and the coordinates of the map are in one frame, that of the sample: x to the right is X, y is Y. The
crystal has a* along x and c along z in a ``.ctf``, a along x and c* along z in an ``.ang``.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from midas.experiment.orientation import euler_angles
from midas.results.exchange.crystal_frames import Frame, to_frame
from midas.results.exchange.exported import Exported, Files
from midas.results.exchange.laguerre import Grid, grid_of, owners, radii_of, slice_of
from midas.results.exchange.symmetry import edax_number, oxford_number, short_symbol
from midas.runtime.files import readable

Floats = NDArray[np.float64]

#: what the header of an .ang must hold and diffraction of X-rays does not have
_MICROSCOPE = {"TEM_PIXperUM": 1.0, "x-star": 0.0, "y-star": 0.0, "z-star": 0.0, "WorkingDistance": 0.0}


def _slice(exported: Exported, frame: Frame) -> tuple[Grid, NDArray[np.int64], Floats]:
    """The grid, the row of the grain at each point (y by y, x fastest), Bunge angles (radians) of every grain."""
    grains, options = exported.some(), exported.options
    grid = slice_of(grid_of(grains, options.voxel, options.box), options.height)
    rows = owners(grid, grains.positions, radii_of(grains))[0]
    return grid, rows, euler_angles(to_frame(grains.orientations, exported.cell, frame))


def _points(grid: Grid, rows: NDArray[np.int64]) -> Iterator[tuple[float, float, int]]:
    """Coordinates from the corner of the map, and the row of the grain."""
    steps = [(grid.spacing * np.arange(count)).tolist() for count in grid.shape[:2]]
    for y, line in zip(steps[1], rows.tolist(), strict=True):
        for x, row in zip(steps[0], line, strict=True):
            yield x, y, row


def _remarks(exported: Exported, grid: Grid) -> list[str]:
    corner = [grid.centres(axis)[0] for axis in range(3)]
    at = f"first point at X {corner[0]:.3f}, Y {corner[1]:.3f}, Z {corner[2]:.3f} um of the sample"
    return [line.lstrip("# ") for line in exported.header] + [f"{at}; X along the beam, Z up"]


def ctf_files(exported: Exported) -> Files:
    """A ``.ctf``: degrees, one phase, every point indexed; the bands hold the id of the grain."""
    grid, rows, angles = _slice(exported, "a* c")
    grains, cell, group = exported.grains, exported.cell, exported.space_group
    step = f"{grid.spacing:.6f}"
    lines = [
        "Channel Text File",
        f"Prj\t{readable(grains.name)}",
        f"Author\t{'; '.join(_remarks(exported, grid))}",
        "JobMode\tGrid",
        f"XCells\t{grid.shape[0]}",
        f"YCells\t{grid.shape[1]}",
        f"XStep\t{step}",
        f"YStep\t{step}",
        "AcqE1\t0\nAcqE2\t0\nAcqE3\t0",
        "Euler angles refer to Sample Coordinate system (CS0)!\tMag\t0\tCoverage\t100\tDevice\t0\tKV\t0\t"
        "TiltAngle\t0\tTiltAxis\t0",
        "Phases\t1",
        "\t".join(
            [
                ";".join(f"{x:.6f}" for x in cell[:3]),
                ";".join(f"{x:.6f}" for x in cell[3:]),
                *(short_symbol(group), str(oxford_number(group)), str(group)),
            ]
        ),
        "Phase\tX\tY\tBands\tError\tEuler1\tEuler2\tEuler3\tMAD\tBC\tBS",
    ]
    words = ["\t".join(f"{x:.8f}" for x in three) for three in np.degrees(angles).tolist()]
    ids = grains.ids.tolist()
    lines += [f"1\t{x:.6f}\t{y:.6f}\t{ids[row]}\t0\t{words[row]}\t0.0\t255\t255" for x, y, row in _points(grid, rows)]
    return {".ctf": "".join(f"{line}\n" for line in lines).encode()}


def ang_files(exported: Exported) -> Files:
    """An ``.ang``: radians, one phase; the image quality holds the id of the grain, the confidence the completeness."""
    grid, rows, angles = _slice(exported, "a c*")
    grains, cell, group = exported.grains, exported.cell, exported.space_group
    symbol = short_symbol(group)
    lines = [
        *(f"# {remark}" for remark in _remarks(exported, grid)),
        *(f"# {name} {value:.6f}" for name, value in _MICROSCOPE.items()),
        "#",
        f"# Phase 1\n# MaterialName  {symbol}\n# Formula  {symbol}\n# Info",
        f"# Symmetry {edax_number(group)}",
        "# LatticeConstants " + " ".join(f"{x:.6f}" for x in cell),
        "# NumberFamilies 0\n#",
        "# GRID: SqrGrid",
        f"# XSTEP: {grid.spacing:.6f}\n# YSTEP: {grid.spacing:.6f}",
        f"# NCOLS_ODD: {grid.shape[0]}\n# NCOLS_EVEN: {grid.shape[0]}\n# NROWS: {grid.shape[1]}",
        "#\n# OPERATOR: midas\n# SAMPLEID: \n# SCANID: \n#",
    ]
    words = [" ".join(f"{x:.9f}" for x in three) for three in angles.tolist()]
    ids, completeness = grains.ids.tolist(), np.nan_to_num(grains.completeness, nan=0.0).tolist()
    lines += [
        f"{words[row]} {x:.6f} {y:.6f} {ids[row]:.1f} {completeness[row]:.4f} 1 0 0.000"
        for x, y, row in _points(grid, rows)
    ]
    return {".ang": "".join(f"{line}\n" for line in lines).encode()}
