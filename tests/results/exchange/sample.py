"""A few strained grains of a crystal, known to the last digit, and places to write them to."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from midas.experiment.orientation import matrices_from_quaternions
from midas.results.exchange.exported import Exported
from midas.results.exchange.options import ExportOptions
from midas.results.grain_list import GrainList

#: space group and unstrained cell of one crystal of each kind of frame
CRYSTALS = {
    "cubic": (225, (3.6, 3.6, 3.6, 90.0, 90.0, 90.0)),
    "hexagonal": (194, (2.95, 2.95, 4.68, 90.0, 90.0, 120.0)),
    "monoclinic": (14, (5.1, 7.2, 6.3, 90.0, 105.0, 90.0)),
    "triclinic": (2, (5.1, 6.2, 7.3, 82.0, 97.0, 105.0)),
}


def grains(crystal: str = "hexagonal", count: int = 4, seed: int = 3) -> GrainList:
    """Grains of random orientations, places, sizes and cells."""
    space_group, cell = CRYSTALS[crystal]
    random = np.random.default_rng(seed)
    q = random.standard_normal((count, 4))
    strain = 1e-4 * random.standard_normal((count, 3, 3))
    return GrainList(
        ids=np.arange(count) * 7 + 12,
        orientations=matrices_from_quaternions(q / np.linalg.norm(q, axis=1, keepdims=True)),
        positions=random.uniform(-400, 400, (count, 3)),
        cells=np.array(cell) * (1 + 1e-3 * random.standard_normal((count, 6))),
        radii=random.uniform(40, 80, count),
        completeness=random.uniform(0.7, 1.0, count),
        strains=1e6 * (strain + strain.swapaxes(1, 2)),
        space_group=space_group,
        cell=cell,
    )


def exported(some: GrainList, **options: object) -> Exported:
    """Grains on their way out, without a layer behind them."""
    return Exported.of(some, Path("LayerNr_1/Grains.csv"), ["# a test, midas 1"], None, ExportOptions(**options))


def bunge(angles: np.ndarray) -> np.ndarray:
    """U = Rz(phi1) Rx(Phi) Rz(phi2), crystal to sample, of angles in radians."""

    def about(axis: int, angle: float) -> np.ndarray:
        i, j = [(1, 2), (2, 0), (0, 1)][axis]
        matrix = np.eye(3)
        matrix[i, i] = matrix[j, j] = np.cos(angle)
        matrix[j, i], matrix[i, j] = np.sin(angle), -np.sin(angle)
        return matrix

    return about(2, angles[0]) @ about(0, angles[1]) @ about(2, angles[2])


def turned_by(quaternion: np.ndarray) -> np.ndarray:
    """The matrix of Hamilton's q v q* for a unit quaternion, scalar first."""
    w, v = quaternion[0], np.asarray(quaternion[1:])
    cross = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
    return (w * w - v @ v) * np.eye(3) + 2 * np.outer(v, v) + 2 * w * cross


def busing_levy(cell: np.ndarray | tuple[float, ...]) -> np.ndarray:
    """B of Busing and Levy (1967), equation 3, without 2 pi: columns a*, b*, c*, with a* along x and c along z."""
    a, b, c = cell[:3]
    alpha, beta, gamma = np.radians(cell[3:])
    cosines = np.cos([alpha, beta, gamma])
    volume = a * b * c * np.sqrt(1 - (cosines**2).sum() + 2 * cosines.prod())
    lengths = b * c * np.sin(alpha) / volume, a * c * np.sin(beta) / volume, a * b * np.sin(gamma) / volume
    cos_beta = (np.cos(alpha) * np.cos(gamma) - np.cos(beta)) / (np.sin(alpha) * np.sin(gamma))
    cos_gamma = (np.cos(alpha) * np.cos(beta) - np.cos(gamma)) / (np.sin(alpha) * np.sin(beta))
    sin_beta, sin_gamma = np.sqrt(1 - cos_beta**2), np.sqrt(1 - cos_gamma**2)
    return np.array(
        [
            [lengths[0], lengths[1] * cos_gamma, lengths[2] * cos_beta],
            [0, lengths[1] * sin_gamma, -lengths[2] * sin_beta * np.cos(alpha)],
            [0, 0, 1 / c],
        ]
    )


def a_along_x(cell: np.ndarray | tuple[float, ...]) -> np.ndarray:
    """Cell vectors in columns with a along x and b in the plane of x and y, so that c* is along z."""
    a, b, c = cell[:3]
    alpha, beta, gamma = np.radians(cell[3:])
    cx = np.cos(beta)
    cy = (np.cos(alpha) - np.cos(beta) * np.cos(gamma)) / np.sin(gamma)
    return np.array(
        [
            [a, b * np.cos(gamma), c * cx],
            [0, b * np.sin(gamma), c * cy],
            [0, 0, c * np.sqrt(1 - cx**2 - cy**2)],
        ]
    )
