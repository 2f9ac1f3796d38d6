"""Small grain lists to match and to stitch."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from midas.experiment.orientation import matrices_from_quaternions
from midas.formats.grains import GRAINS, GrainsHeader
from midas.formats.table import Table

CELL = (3.524, 3.524, 3.524, 90.0, 90.0, 90.0)


def quaternions(count: int, seed: int) -> np.ndarray:
    """Random orientations."""
    q = np.random.default_rng(seed).standard_normal((count, 4))
    return q / np.linalg.norm(q, axis=1, keepdims=True)


def write(
    path: Path,
    orientations: np.ndarray,
    positions: np.ndarray,
    ids: object = None,
    radii: object = 50.0,
    cell: tuple[float, ...] = CELL,
) -> Path:
    """A Grains.csv; orientations are quaternions or matrices."""
    matrices = orientations if orientations.ndim == 3 else matrices_from_quaternions(orientations)
    table = np.zeros((47, len(matrices)))
    table[0] = np.arange(1, len(matrices) + 1) if ids is None else ids
    table[1:10] = matrices.reshape(-1, 9).T
    table[10:13] = positions.reshape(-1, 3).T
    table[13:19] = np.array(cell)[:, None]
    table[22] = radii
    table[42] = 7777.0  # RMSErrorStrain, which is no size
    path.parent.mkdir(parents=True, exist_ok=True)
    header = GrainsHeader(len(matrices), 0.0, 200.0, 0.0, 1, 225, cell).text()
    GRAINS.write(path, Table(GRAINS.names, table), header=header)
    return path


def rows(path: Path) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a table."""
    header, *lines = path.read_text().splitlines()
    return header.split("\t"), [line.split("\t") for line in lines]


def angle(u: np.ndarray, v: np.ndarray, group: np.ndarray) -> float:
    """Misorientation of two matrices, by matrices: the smallest rotation angle over u S v^-1."""
    traces = [np.trace(u @ s @ v.T) for s in group]
    return float(np.degrees(np.arccos(np.clip((max(traces) - 1) / 2, -1, 1))))


def cubic_group() -> np.ndarray:
    """The 24 rotations of a cube: signed permutations with determinant 1."""
    from itertools import permutations, product

    found = []
    for order in permutations(range(3)):
        for signs in product((1, -1), repeat=3):
            matrix = np.zeros((3, 3))
            matrix[range(3), order] = signs
            if np.linalg.det(matrix) > 0:
                found.append(matrix)
    return np.array(found)
